"""The result in one wide picture: truth, a raw and a stabilised rollout as strips, and how long each kind survives.

The members shown are the first ones, not the best ones, and the survival curves hold all of them.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from thermalize.artifacts.figures.registry import register
from thermalize.artifacts.figures.spacetime import draw_strips
from thermalize.artifacts.figures.survival import draw_survival
from thermalize.artifacts.inputs import FigureInputs
from thermalize.artifacts.style import headline
from thermalize.config import NoStabilizerConfig

__all__ = ["overview"]

SIZE = (10.0, 3.5)


@register("overview")
def overview(inputs: FigureInputs) -> Figure:
    """Strips of the first emulator on the left, its survival curves on the right."""
    emulator = inputs.emulators[0]
    figure = Figure(figsize=SIZE, layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(2.5, 1))[0]
    draw_strips(inputs.only(emulator, picked(inputs, emulator)), left)
    panel = right.subplots()
    draw_survival(inputs, panel, emulator)
    headline(panel, f"emulator {emulator}")
    panel.set_ylabel("share of members inside the truth's envelope [1]")
    return figure


def picked(inputs: FigureInputs, emulator: str) -> list[str]:
    """The first raw and the first stabilised rollout of an emulator."""
    configured = inputs.experiment.stabilizers
    present = inputs.stabilizers(emulator)
    raw = [label for label in present if isinstance(configured[label], NoStabilizerConfig)]
    others = [label for label in present if label not in raw]
    return raw[:1] + others[:1]
