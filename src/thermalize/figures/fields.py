"""Fields of two-dimensional systems: truth and rollouts at a few times, every channel on one scale that the truth sets.

Columns are times: the initial condition, around the departure of a rollout from the truth's envelope, the end. Pictures
are in units of length. A panel with a dashed frame is outside the envelope; a hatched one has no state.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from thermalize.figures.inputs import FigureInputs, state, units
from thermalize.figures.panels import (
    Row,
    channel_names,
    chosen_steps,
    colour_bar,
    rows_of,
    symmetric_limit,
    truth_frames,
)
from thermalize.figures.registry import register
from thermalize.figures.style import FIELD_MAP, LOST, MUTED, PAGE
from thermalize.figures.units import length_scale
from thermalize.runtime.errors import UserError

__all__ = ["Plane", "draw_fields", "fields", "paint_plane", "plane_of", "remark"]

BOX = {"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85}


class Plane(NamedTuple):
    """Where the picture lies (left, right, bottom, top) in units of length as they are shown, and labels of x and y."""

    extent: tuple[float, float, float, float]
    labels: tuple[str, str]


def plane_of(field: xr.DataArray) -> Plane:
    """The plane of the last two axes; it is periodic and ends one spacing after its last points."""
    y, x = (field[name] for name in field.dims[-2:])
    scale = length_scale(units(x), float(x[-1] - x[0]))
    ends = [(float(axis[0]), float(2 * axis[-1] - axis[-2])) for axis in (x, y)]
    (left, right), (bottom, top) = ((low * scale.factor, high * scale.factor) for low, high in ends)
    return Plane((left, right, bottom, top), (f"{x.name} [{scale.units}]", f"{y.name} [{scale.units}]"))


def paint_plane(axes: Axes, values: np.ndarray, plane: Plane, limit: float) -> AxesImage:
    """A state [y, x] from −`limit` to `limit`; hatched where it has no numbers."""
    gone = not np.isfinite(values).all()
    shown = np.full_like(values, np.nan) if gone else values
    image = axes.imshow(
        shown, FIELD_MAP, interpolation="none", vmin=-limit, vmax=limit, origin="lower", extent=plane.extent,
    )  # fmt: skip
    left, right, bottom, top = plane.extent
    if gone:
        axes.add_patch(Rectangle((left, bottom), right - left, top - bottom, **LOST))
    axes.spines[["top", "right"]].set_visible(True)
    return image


def remark(axes: Axes, text: str) -> None:
    """A few words at the foot of a panel, or in the middle where it is hatched."""
    if not text:
        return
    middle = any(patch.get_hatch() for patch in axes.patches)
    broken = text.replace(": ", ":\n").replace(" t = ", "\nt = ")
    axes.text(
        0.5, 0.5 if middle else 0.06, broken, transform=axes.transAxes, ha="center",
        va="center" if middle else "bottom", fontsize=6, bbox=BOX,
    )  # fmt: skip


COLUMNS = 5
ROW, MARGIN = 1.24, 0.5
"""Heights of a row of panels and of what is around them, in inches."""


@register("fields", when="plane")
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
