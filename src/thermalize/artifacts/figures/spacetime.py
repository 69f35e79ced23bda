"""u(x, t) of truth and rollouts: at the beginning, at the end, and where a rollout leaves the truth's envelope."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from thermalize.artifacts.figures.registry import register
from thermalize.artifacts.figures.strips import Strip, paint, rollout_strip, scale, truth_strip, windows
from thermalize.artifacts.inputs import FigureInputs, state, units
from thermalize.artifacts.style import PAGE, headline

__all__ = ["draw_strips", "spacetime"]

TICKS = 4


@register("spacetime")
def spacetime(inputs: FigureInputs) -> Figure:
    """One row per trajectory, one column per window of time."""
    figure = Figure(figsize=(PAGE, 0.55 + 1.05 * (1 + count(inputs))), layout="constrained")
    draw_strips(inputs, figure)
    return figure


def count(inputs: FigureInputs) -> int:
    return sum(len(inputs.stabilizers(emulator)) for emulator in inputs.emulators)


def draw_strips(inputs: FigureInputs, figure: Figure | SubFigure) -> None:
    """All strips of `inputs` with their colour bar."""
    rows = strips(inputs)
    axes = figure.subplots(len(rows), len(rows["truth"]), squeeze=False, sharex="col", sharey=True)
    limit = scale(rows["truth"])
    for line, (name, row) in zip(axes, rows.items(), strict=True):
        image = paint_row(inputs, line, name, row, limit)
    time = state(inputs.truth)["time"]
    for panel in axes[-1]:
        panel.set_xlabel(f"time t [{units(time)}]")
        panel.xaxis.set_major_locator(MaxNLocator(TICKS))
    bar = figure.colorbar(image, ax=axes, extend="both", aspect=15 * len(rows), pad=0.01, fraction=0.03)
    field = state(inputs.truth)
    bar.set_label(f"{field.attrs.get('long_name', field.name)} [{units(field)}]")


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
    grid = state(inputs.truth)
    x = grid[grid.dims[-1]]
    images = [paint(axes, shown, x.to_numpy(), inputs.interval, limit) for axes, shown in zip(line, row, strict=True)]
    seen = any(shown.leaves for shown in row)
    for place, (axes, shown) in enumerate(zip(line, row, strict=True)):
        here = shown.leaves or shown.left is None or (place == 0 and not seen)
        headline(axes, "" if place else name, shown.remark if here else "")
    line[0].set_ylabel(f"{x.name} [{units(x)}]")
    return images[0]
