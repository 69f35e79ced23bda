"""The result in one wide picture: truth, a raw and a stabilised rollout as strips, and how long each kind stays in bounds.

The members shown are the first ones, not the best ones, and the survival curves hold all of them.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from thermalize.artifacts.figures.registry import register
from thermalize.artifacts.figures.spacetime import field_label, paint_row, rows
from thermalize.artifacts.figures.strips import length, scale, windows
from thermalize.artifacts.figures.survival import draw_survival
from thermalize.artifacts.inputs import FigureInputs
from thermalize.artifacts.style import headline
from thermalize.config import NoStabilizerConfig

__all__ = ["overview"]

SIZE = (9.0, 3.4)


@register("overview")
def overview(inputs: FigureInputs) -> Figure:
    """Strips of the first emulator on the left, its survival curves on the right."""
    emulator = inputs.emulators[0]
    shown = select(inputs, emulator)
    strips = rows(shown, windows(length(shown)))
    figure = Figure(figsize=SIZE, layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(2.1, 1))
    axes = left.subplots(len(strips), 2, squeeze=False, sharex="col", sharey=True)
    limit = scale(strips["truth"])
    for line, (name, pair) in zip(axes, strips.items(), strict=True):
        image = paint_row(shown, line, name, pair, limit)
    for panel in axes[-1]:
        panel.set_xlabel("time t [time units]")
    left.colorbar(image, ax=axes, extend="both", aspect=30, pad=0.01, fraction=0.04).set_label(field_label(shown))
    panel = right.subplots()
    draw_survival(inputs, panel, emulator)
    panel.set_ylabel("share of members inside the truth's envelope [1]")
    headline(panel, "")
    return figure


def select(inputs: FigureInputs, emulator: str) -> FigureInputs:
    """Only the raw and the first stabilised rollout of one emulator."""
    configured = inputs.experiment.stabilizers
    present = inputs.stabilizers(emulator)
    raw = [label for label in present if isinstance(configured[label], NoStabilizerConfig)][:1]
    kept = raw + [label for label in present if not isinstance(configured[label], NoStabilizerConfig)][:1]
    return inputs.only(emulator, kept)
