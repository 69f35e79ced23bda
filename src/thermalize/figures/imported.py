"""Figures of the user's own: `figures: {name: {kind: import, target: "package.module:function", caption: PATH}}`.

    function(inputs, **options) → matplotlib.figure.Figure

`inputs` is `thermalize.figures.FigureInputs`: the experiment, its truth and rollouts (lazily), diagnostics, scores of
ensembles, samples, histories and cards of its models, by the names of the configuration. The figure is drawn and saved
in the style of the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from matplotlib.figure import Figure

from thermalize.config import ImportedFigureConfig
from thermalize.figures.inputs import FigureInputs
from thermalize.figures.style import styled
from thermalize.runtime.errors import UserError
from thermalize.runtime.targets import RAISED, factory, said

__all__ = ["imported_figure", "refusing"]

LEAST, MOST = 0.1, 50.0
"""Inches of a side; a poster has 47."""


def imported_figure(name: str, config: ImportedFigureConfig, inputs: FigureInputs) -> Figure:
    """What the function of a figure draws.

    Raises:
        UserError: the function fails, or returns something else.
    """
    where, function = f"figures.{name}: {config.target}", factory(config.target)
    with styled():
        try:
            figure = function(inputs, **config.options)
        except UserError:
            raise
        except RAISED as error:
            raise UserError(f"{where} raises {said(error)}") from error
    if not isinstance(figure, Figure):
        raise UserError(f"{where} returns {type(figure).__name__}; it must return a matplotlib.figure.Figure")
    width, height = figure.get_size_inches()
    if not all(LEAST <= each <= MOST for each in (width, height)):
        size = f"{width:g} × {height:g} inches"
        raise UserError(f"{where} returns a figure of {size}; make it {LEAST:g} to {MOST:g} inches wide and high")
    return figure


@contextmanager
def refusing(name: str, config: ImportedFigureConfig) -> Iterator[None]:
    """Turn what Matplotlib finds wrong with the parts of a figure, while it draws them, into a UserError."""
    try:
        yield
    except (UserError, OSError):
        raise
    except RAISED as error:
        raise UserError(f"figures.{name}: {config.target} returns a figure that raises {said(error)}") from error
