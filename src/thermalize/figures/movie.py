"""A short movie: truth beside a raw and a stabilised rollout, and the time that passes.

In one dimension the states are profiles u(x) over the range of the truth; in two dimensions they are fields on the
colours of the truth, channels one below the other. A dashed frame says that a member has left the truth's envelope.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from thermalize.figures.inputs import FigureInputs, picked, state
from thermalize.figures.panels import rows_of
from thermalize.figures.scenes import Show, Stretch, planes, profiles, storyboard, timeline
from thermalize.figures.style import FIELD_MAP, appearances, styled

__all__ = ["durations", "palette", "pictures"]

DPI = 110
SIDE, BESIDE, BELOW = 1.8, 1.1, 1.1
"""Side of a panel and room beside and below the panels, in inches."""

GREYS, SHADES, MOST_LINES = 32, 12, 6
"""Colours of a palette beside those of fields."""

FRAME, BEGINNING, END = 80, 700, 1500
"""Milliseconds that a frame is shown: any frame, the first of a stretch, the last of all."""


def durations(inputs: FigureInputs) -> list[int]:
    """Milliseconds of every picture."""
    stretches = storyboard(pair(inputs))
    times = [time for stretch in stretches for time in [BEGINNING] + [FRAME] * (len(stretch.steps) - 1)]
    return [*times[:-1], END]


def pictures(inputs: FigureInputs) -> list[np.ndarray]:
    """Every frame as uint8 [y, x, RGB]."""
    shown = pair(inputs)
    stretches = storyboard(shown)
    with styled():
        figure, shows = stage(shown, stretches)
        canvas = still(figure, shows)
        what_stays = canvas.copy_from_bbox(figure.bbox)
        count = sum(len(stretch.steps) for stretch in stretches)
        return [picture(canvas, what_stays, shows, number) for number in range(count)]


def still(figure: Figure, shows: Sequence[Show]) -> Any:
    """A canvas with the figure painted without what changes; panels keep their places from here on."""
    canvas: Any = FigureCanvasAgg(figure)
    changing = [artist for show in shows for artist in show(0)]
    canvas.draw()
    figure.set_layout_engine("none")
    for artist in changing:
        artist.set_animated(True)
    canvas.draw()
    return canvas


def picture(canvas: Any, what_stays: Any, shows: Sequence[Show], number: int) -> np.ndarray:
    """One picture: what changes over what stays."""
    canvas.restore_region(what_stays)
    for show in shows:
        for artist in show(number):
            canvas.figure.draw_artist(artist)
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def palette(inputs: FigureInputs, levels: int) -> np.ndarray:
    """The colours of the house style as uint8 [colour, RGB]: `levels` of fields, greys, and lines fading to white."""
    lines = [to_rgb(look.color) for look in appearances(pair(inputs).experiment).values()][:MOST_LINES]
    fading = np.linspace(0, 1, SHADES)[:-1, None]
    shades = [np.array(color) * (1 - fading) + fading for color in lines]
    fields = colormaps[FIELD_MAP](np.linspace(0, 1, levels))[:, :3]
    greys = np.repeat(np.linspace(0, 1, GREYS)[:, None], 3, axis=1)
    return np.round(255 * np.concatenate([fields, greys, *shades])).astype(np.uint8)


def pair(inputs: FigureInputs) -> FigureInputs:
    """The first raw and the first stabilised rollout of the first emulator."""
    emulator = inputs.emulators[0]
    return inputs.only(emulator, picked(inputs, emulator))


def stage(inputs: FigureInputs, stretches: list[Stretch]) -> tuple[Figure, list[Show]]:
    """The figure and what changes in it from frame to frame."""
    steps = [step for stretch in stretches for step in stretch.steps]
    rows = rows_of(inputs, steps, [frame for stretch in stretches for frame in stretch.truth])
    channels = state(inputs.truth).sizes["channel"]
    size = (SIDE * len(rows) + BESIDE, SIDE * channels + BELOW)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    grid = figure.add_gridspec(channels + 1, len(rows), height_ratios=[*[SIDE] * channels, 0.1])
    axes = np.array([[figure.add_subplot(grid[line, place]) for place in range(len(rows))] for line in range(channels)])
    shows = (planes if inputs.planar else profiles)(inputs, axes, rows, steps)
    return figure, [*shows, timeline(inputs, figure.add_subplot(grid[-1, :]), stretches)]
