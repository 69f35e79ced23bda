"""u(x, t) of the truth and of every rollout, from the initial condition and again near the end, on one colour scale."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage

from thermalize.artifacts.figures.registry import register
from thermalize.artifacts.figures.strips import Strip, paint, rollout_strip, scale, truth_strip, windows
from thermalize.artifacts.inputs import FigureInputs, state, units
from thermalize.artifacts.style import PAGE, headline

__all__ = ["draw_strips", "spacetime"]


@register("spacetime")
def spacetime(inputs: FigureInputs) -> Figure:
    """One row per trajectory, the early window on the left, the late one on the right."""
    figure = Figure(figsize=(PAGE, 0.55 + 1.05 * (1 + count(inputs))), layout="constrained")
    draw_strips(inputs, figure)
    return figure


def count(inputs: FigureInputs) -> int:
    return sum(len(inputs.stabilizers(emulator)) for emulator in inputs.emulators)


def draw_strips(inputs: FigureInputs, figure: Figure | SubFigure) -> None:
    """All strips of `inputs` with their colour bar."""
    rows = strips(inputs)
    axes = figure.subplots(len(rows), 2, squeeze=False, sharex="col", sharey=True)
    limit = scale(rows["truth"])
    for line, (name, pair) in zip(axes, rows.items(), strict=True):
        image = paint_row(inputs, line, name, pair, limit)
    time = state(inputs.truth)["time"]
    for panel in axes[-1]:
        panel.set_xlabel(f"time t [{units(time)}]")
    bar = figure.colorbar(image, ax=axes, extend="both", aspect=15 * len(rows), pad=0.01, fraction=0.03)
    field = state(inputs.truth)
    bar.set_label(f"{field.attrs.get('long_name', field.name)} [{units(field)}]")


def strips(inputs: FigureInputs) -> dict[str, list[Strip]]:
    """The strips of every row, one per window: the truth first, then emulators and stabilizers as configured."""
    shown = windows(inputs)
    rows = {"truth": [truth_strip(inputs, window) for window in shown]}
    several = len(inputs.emulators) > 1
    for emulator in inputs.emulators:
        for stabilizer in inputs.stabilizers(emulator):
            key = (emulator, stabilizer, inputs.seeds(emulator, stabilizer)[0])
            name = f"{emulator}, {stabilizer}" if several else stabilizer
            rows[name] = [rollout_strip(inputs, key, window) for window in shown]
    return rows


def paint_row(inputs: FigureInputs, line: np.ndarray, name: str, pair: list[Strip], limit: float) -> AxesImage:
    """Both windows of one trajectory; a remark stands above the window it is about."""
    grid = state(inputs.truth)
    x = grid[grid.dims[-1]]
    images = [paint(axes, shown, x.to_numpy(), inputs.interval, limit) for axes, shown in zip(line, pair, strict=True)]
    early, late = pair
    in_late = late.left is not None and late.left >= late.start
    headline(line[0], name, "" if in_late else early.remark)
    headline(line[1], "", late.remark if in_late or late.left is None else "")
    line[0].set_ylabel(f"{x.name} [{units(x)}]")
    return images[0]
