"""u(x, t) of truth and rollouts: at the beginning, at the end, and where a rollout leaves the truth's envelope.

Fields of two dimensions are cut at the first y, and of several channels the first is shown; the labels say so.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from thermalize.artifacts.figures.colours import colour_bar
from thermalize.artifacts.figures.registry import register
from thermalize.artifacts.figures.strips import Strip, paint, rollout_strip, scale, truth_strip, windows
from thermalize.artifacts.inputs import FigureInputs, state, units
from thermalize.artifacts.style import PAGE, headline
from thermalize.artifacts.units import length_scale

__all__ = ["draw_strips", "spacetime"]

TICKS = 4
ROW = 1.05
"""Height of a row in inches."""

GAP = 0.05
"""Room between two windows in widths of a window, so that their times do not run into each other."""


@register("spacetime")
def spacetime(inputs: FigureInputs) -> Figure:
    """One row per trajectory, one column per window of time."""
    figure = Figure(figsize=(PAGE, 0.55 + ROW * (1 + count(inputs))), layout="constrained")
    draw_strips(inputs, figure)
    return figure


def count(inputs: FigureInputs) -> int:
    return sum(len(inputs.stabilizers(emulator)) for emulator in inputs.emulators)


def draw_strips(inputs: FigureInputs, figure: Figure | SubFigure) -> None:
    """All strips of `inputs` with their colour bar."""
    rows = strips(inputs)
    axes = figure.subplots(
        len(rows), len(rows["truth"]), squeeze=False, sharex="col", sharey=True, gridspec_kw={"wspace": GAP}
    )
    limit = scale(rows["truth"])
    for line, (name, row) in zip(axes, rows.items(), strict=True):
        image = paint_row(inputs, line, name, row, limit)
    for panel in axes[-1]:
        panel.set_xlabel(f"time t [{inputs.clock.units}]")
        panel.xaxis.set_major_locator(MaxNLocator(TICKS))
    place = {"aspect": 15 * len(rows), "pad": 0.01, "fraction": 0.03}
    colour_bar(figure, image, axes, state(inputs.truth), 0, 0.9 * ROW * len(rows), **place)


def strips(inputs: FigureInputs) -> dict[str, list[Strip]]:
    """The strips of every row, one per window: the truth first, then emulators and stabilizers as configured."""
    shown = windows(inputs)
    following = range(len(shown))[::-1]
    rows = {"truth": [truth_strip(inputs, *each) for each in zip(shown, following, strict=True)]}
    several = len(inputs.emulators) > 1
    for emulator in inputs.emulators:
        for stabilizer in inputs.stabilizers(emulator):
            key = (emulator, stabilizer, inputs.seeds(emulator, stabilizer)[0])
            name = f"{emulator}, {stabilizer}" if several else stabilizer
            rows[name] = [rollout_strip(inputs, key, window) for window in shown]
    return rows


def paint_row(inputs: FigureInputs, line: np.ndarray, name: str, row: list[Strip], limit: float) -> AxesImage:
    """All windows of one trajectory; a remark stands above the window it is about."""
    x, label = space(state(inputs.truth))
    step = inputs.clock.factor
    images = [paint(axes, shown, x, step, limit) for axes, shown in zip(line, row, strict=True)]
    seen = any(shown.leaves for shown in row)
    for place, (axes, shown) in enumerate(zip(line, row, strict=True)):
        here = shown.leaves or shown.left is None or (place == 0 and not seen)
        headline(axes, "" if place else name, shown.remark if here else "")
    line[0].set_ylabel(label)
    return images[0]


def space(field: xr.DataArray) -> tuple[np.ndarray, str]:
    """The last axis of a field as it is shown, and its label, which says where further axes are cut."""
    x = field[field.dims[-1]]
    scale = length_scale(units(x), float(x[-1] - x[0]))
    unit = "" if scale.units == "length units" else f" {scale.units}"
    cuts = [f"{axis} = {float(field[axis][0]) * scale.factor:g}{unit}" for axis in field.dims[3:-1]]
    where = f"\nat {', '.join(cuts)}" if cuts else ""
    return x.to_numpy() * scale.factor, f"{x.name} [{scale.units}]{where}"
