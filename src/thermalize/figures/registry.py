"""Figures by name: a new figure is one module with one registered function, and its caption in `report/`.

What is said when a figure is registered is literal text: `thermalize.workflow.pictures` reads it from the source, so
that nothing is imported where jobs are planned.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Literal

import numpy as np
from matplotlib.figure import Figure

from thermalize.figures.inputs import FigureInputs
from thermalize.figures.style import COLUMN, PAGE, styled
from thermalize.runtime.errors import UserError

__all__ = ["FIGURES", "Draw", "columns", "draw", "register"]

Draw = Callable[[FigureInputs], Figure]

FIGURES: dict[str, Draw] = {}
"""Every known figure: name → function of the inputs."""


def register(name: str, when: str = "always", shows: str = "rollouts") -> Callable[[Draw], Draw]:  # noqa: ARG001
    """Make a drawing function known as `name` and let it always draw in the house style.

    Args:
        name: of the figure, of its file and of its caption.
        when: the experiments that have it, one of `thermalize.workflow.pictures.CONDITIONS`.
        shows: what it is drawn from: the named `rollouts` with all that is known of them, or the `tables` of every
            point of the sweeps.
    """

    def decorate(function: Draw) -> Draw:
        @wraps(function)
        def styled_function(inputs: FigureInputs) -> Figure:
            with styled():
                return function(inputs)

        FIGURES[name] = styled_function
        return styled_function

    return decorate


def draw(name: str, inputs: FigureInputs) -> Figure:
    """Draw the figure of that name; an unknown name is refused with the known ones."""
    if name not in FIGURES:
        raise UserError(f"there is no figure named {name!r}; the figures are {', '.join(sorted(FIGURES))}")
    return FIGURES[name](inputs)


def columns(count: int, heights: tuple[float, ...], sharey: Literal["row", False] = "row") -> tuple[Figure, np.ndarray]:
    """A figure of len(heights) rows [inches] and `count` columns, one per emulator; axes come as (rows, count)."""
    width = COLUMN if count == 1 else max(PAGE, 2.4 * count)
    figure = Figure(figsize=(width, sum(heights)), layout="constrained")
    axes = figure.subplots(len(heights), count, squeeze=False, sharex="col", sharey=sharey, height_ratios=heights)
    return figure, axes
