"""Fields of two-dimensional systems: truth and rollouts at a few times, every channel on one scale that the truth sets.

Columns are times: the initial condition, around the departure of a rollout from the truth's envelope, the end. A panel
with a dashed frame is outside the envelope; a hatched one has no state.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from thermalize.artifacts.figures.colours import channel_names, colour_bar, symmetric_limit
from thermalize.artifacts.figures.panels import Row, chosen_steps, rows_of, truth_frames
from thermalize.artifacts.figures.planes import Plane, paint_plane, plane_of, remark
from thermalize.artifacts.figures.registry import register
from thermalize.artifacts.inputs import FigureInputs, state
from thermalize.artifacts.style import MUTED, PAGE
from thermalize.errors import UserError

__all__ = ["draw_fields", "fields"]

COLUMNS = 5
ROW, MARGIN = 1.24, 0.5
"""Heights of a row of panels and of what is around them, in inches."""


@register("fields")
def fields(inputs: FigureInputs) -> Figure:
    """One row per trajectory, one column per time, one block of rows per channel."""
    if not inputs.planar:
        raise UserError("the figure fields shows fields of two dimensions; this system has one, draw spacetime instead")
    channels = range(state(inputs.truth).sizes["channel"])
    rows = len(channels) * (1 + sum(len(inputs.stabilizers(emulator)) for emulator in inputs.emulators))
    figure = Figure(figsize=(PAGE, ROW * rows + MARGIN), layout="constrained")
    draw_fields(inputs, figure, channels)
    return figure


def draw_fields(
    inputs: FigureInputs, figure: Figure | SubFigure, channels: Sequence[int], columns: int = COLUMNS, row: float = ROW
) -> None:
    """The chosen channels one below the other, each with its colour bar; rows are `row` inches high."""
    steps = chosen_steps(inputs, columns)
    rows = rows_of(inputs, steps, truth_frames(inputs, steps))
    axes = figure.subplots(len(channels) * len(rows), len(steps), squeeze=False, sharex=True, sharey=True)
    field = state(inputs.truth)
    plane = plane_of(field)
    for channel, block in zip(channels, np.split(axes, len(channels)), strict=True):
        limit = symmetric_limit(rows[0].states[:, channel])
        for line, shown in zip(block, rows, strict=True):
            draw_row(line, shown, steps, channel, plane, limit)
            name_row(line[0], shown.name, channel_names(field)[channel], plane)
        for panel, step in zip(block[0], steps, strict=True):
            panel.set_title(inputs.moment(step), pad=3)
        colour_bar(
            figure, block[0, 0].images[0], block, field, channel, row * len(rows), pad=0.01, fraction=0.03, aspect=30
        )
    for panel in axes[-1]:
        panel.set_xlabel(plane.labels[0])


def draw_row(line: np.ndarray, row: Row, steps: Sequence[int], channel: int, plane: Plane, limit: float) -> None:
    """One channel of one trajectory; panels outside the truth's envelope get a dashed frame."""
    for axes, step, states, said in zip(line, steps, row.states, row.remarks, strict=True):
        paint_plane(axes, states[channel], plane, limit)
        remark(axes, said)
        if row.left is not None and step >= row.left:
            for spine in axes.spines.values():
                spine.set(linestyle=(0, (3, 2)), linewidth=1.2)
    if row.aside:
        line[-1].set_title(row.aside, loc="right", color=MUTED, fontsize=6.5, pad=3)


def name_row(axes: Axes, name: str, channel: str, plane: Plane) -> None:
    """The row's name to the left of the label of y, the channel before it where there are several."""
    axes.set_ylabel(plane.labels[1])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 4, 5, 10]))
    text = "\n".join(filter(None, (channel, fill(name, 20))))
    axes.annotate(
        text, (0, 0.5), xycoords=(axes.yaxis.label, "axes fraction"), xytext=(-3, 0), textcoords="offset points",
        rotation=90, ha="right", va="center", ma="center", fontweight="bold",
    )  # fmt: skip
