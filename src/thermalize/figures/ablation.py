"""What the keys of a stabilizer are worth: stability, spectrum and cost over the points of every sweep.

A sweep of two keys is a plane of cells, one of a single key a row of points with intervals. Distances are relative to
their floor, times to the raw emulator. Cells that the configuration refuses are hatched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from thermalize.config.places import fields_of, unit_of
from thermalize.config.stabilizers import SweepConfig
from thermalize.figures.inputs import FigureInputs
from thermalize.figures.registry import register
from thermalize.figures.style import LOST, MUTED, PAGE, TRUTH, headline, plain_log
from thermalize.figures.tables import sweep_table
from thermalize.metrics.families.stability import horizon_text
from thermalize.metrics.pooling import Estimate, interval_text, number

__all__ = ["ablation"]

CELL, FRAME, ROW = 0.36, 0.82, 1.95
"""Heights of a cell, of what surrounds a plane of cells, and of a row of points [inches]."""

DARK = 0.45
"""Luminance below which a cell is written on in white."""


def shown(row: Any) -> tuple[str, str]:
    """Members of all that never left, and their median horizon [steps]."""
    return f"{round(row.stable_fraction * row.members)}/{row.members:.0f}", horizon_text(row)


def relative(column: str, base: str = "") -> Callable[[Any], Estimate]:
    """A column with its interval, over the column `base` where one is named."""

    def estimate(row: Any) -> Estimate:
        unit = getattr(row, base) if base else 1.0
        return Estimate(*(getattr(row, f"{column}{end}") / unit for end in ("", "_low", "_high")))

    return estimate


def ranged(estimate: Estimate) -> tuple[str, str]:
    """A value and, where it has one, its interval."""
    value, _, interval = interval_text(estimate).partition(" ")
    return value, interval


class Quantity(NamedTuple):
    """One column of panels.

    Attributes:
        title: of its panels.
        label: of its axis where it is one.
        estimate: value and interval of a row of the table.
        texts: what a cell says in its two lines.
        good: the value of an ideal stabilizer, the bright end of the colours.
        logarithmic: whether ratios matter.
    """

    title: str
    label: str
    estimate: Callable[[Any], Estimate]
    texts: Callable[[Any], tuple[str, str]]
    good: float = 1.0
    logarithmic: bool = True


DISTANCE = relative("log_spectral_distance", "log_spectral_distance_floor")
COST = relative("cost_ratio")
QUANTITIES = (
    Quantity("stable members", "share of stable members [1]", relative("stable_fraction"), shown,
             logarithmic=False),
    Quantity("log-spectral distance / floor", "distance / floor [1]", DISTANCE, lambda row: ranged(DISTANCE(row))),
    Quantity("time per step / raw", "time per step / raw [1]", COST, lambda row: ranged(COST(row))),
)  # fmt: skip


@register("ablation", when="sweeps", shows="tables")
def ablation(inputs: FigureInputs) -> Figure:
    """One row of three panels per sweep and emulator."""
    table = sweep_table(inputs.diagnostics, inputs.costs, inputs.experiment)
    parts = [part for _, part in table.groupby(["sweep", "emulator"], sort=False)]
    heights = [height(part) for part in parts]
    figure = Figure(figsize=(PAGE, sum(heights)), layout="constrained")
    axes = figure.subplots(len(parts), len(QUANTITIES), squeeze=False, height_ratios=heights)
    for panels, part in zip(axes, parts, strict=True):
        for quantity, panel in zip(QUANTITIES, panels, strict=True):
            draw = draw_plane if part["key_2"].iloc[0] else draw_points
            draw(inputs, panel, part, quantity)
            headline(panel, quantity.title)
        several = f", {part['emulator'].iloc[0]}" if len(inputs.experiment.emulators) > 1 else ""
        headline(panels[0], f"{part['sweep'].iloc[0]}{several}\n{QUANTITIES[0].title}")
    return figure


def height(part: pd.DataFrame) -> float:
    return FRAME + CELL * part["value_1"].nunique() if part["key_2"].iloc[0] else ROW


def draw_plane(inputs: FigureInputs, axes: Axes, part: pd.DataFrame, quantity: Quantity) -> None:
    """Cells of the first key (down) and the second (across), coloured and written on."""
    down, across = part["value_1"].unique().tolist(), part["value_2"].unique().tolist()
    paint = painter(part, quantity)
    for row in part.itertuples(index=False):
        place = across.index(row.value_2), down.index(row.value_1)
        draw_cell(axes, place, None if row.left_out else quantity.texts(row), paint(row))
        if row.stabilizer in inputs.experiment.named:
            frame = (place[0] - 0.46, place[1] - 0.46)
            axes.add_patch(Rectangle(frame, 0.92, 0.92, fill=False, edgecolor=TRUTH, linewidth=1.2))
    axes.set(xlim=(-0.5, len(across) - 0.5), ylim=(len(down) - 0.5, -0.5))
    axes.set_xticks(range(len(across)), across)
    axes.set_yticks(range(len(down)), down)
    axes.tick_params(length=0)
    axes.set(xlabel=key_label(part["key_2"].iloc[0]), ylabel=key_label(part["key_1"].iloc[0]))


def draw_cell(axes: Axes, place: tuple[int, int], texts: tuple[str, str] | None, color: Any) -> None:
    """One cell; hatched where there is no such point, grey with a dash where there is no value."""
    x, y = place
    look = LOST if texts is None else {"facecolor": color, "linewidth": 0.0}
    axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, **look))
    if texts is not None:
        ink = "white" if np.dot(color[:3], (0.299, 0.587, 0.114)) < DARK else TRUTH
        axes.text(x, y - 0.14, texts[0], ha="center", va="center", color=ink)
        axes.text(x, y + 0.24, texts[1], ha="center", va="center", color=ink, fontsize=5)


def painter(part: pd.DataFrame, quantity: Quantity) -> Callable[[Any], Any]:
    """Colours from the best possible value (bright) to the worst of the plane (dark)."""
    values = np.array([quantity.estimate(row).value for row in part.itertuples(index=False)], dtype=float)
    worst = max(2.0, float(np.max(values, initial=0.0, where=np.isfinite(values))))
    scale: Normalize = LogNorm(quantity.good, worst, clip=True) if quantity.logarithmic else Normalize(0, 1)
    colors = colormaps["cividis_r" if quantity.logarithmic else "cividis"]

    def paint(row: Any) -> Any:
        value = quantity.estimate(row).value
        return colors(scale(max(value, 1e-6))) if np.isfinite(value) else (0.9, 0.9, 0.9, 1.0)

    return paint


def draw_points(inputs: FigureInputs, axes: Axes, part: pd.DataFrame, quantity: Quantity) -> None:
    """Values with intervals along the key; the line is truth's floor or the raw emulator, or all members."""
    for place, row in enumerate(part.itertuples(index=False)):
        value, low, high = quantity.estimate(row)
        if not np.isfinite(value):
            note_missing(axes, place)
            continue
        filled = TRUTH if row.stabilizer in inputs.experiment.named else "white"
        # A bootstrap interval may lie beside its value, which error bars do not allow.
        axes.vlines(place, *np.nan_to_num((low, high), nan=value), color=TRUTH, linewidth=1.0)
        axes.plot(place, value, "o", color=TRUTH, markerfacecolor=filled, markersize=4)
        axes.annotate(quantity.texts(row)[0], (place, value), (5, -8), textcoords="offset points", fontsize=6)
    axes.axhline(quantity.good, color=MUTED, linewidth=0.8, linestyle=(0, (4, 2)))
    if quantity.logarithmic:
        axes.set_yscale("log")
        axes.set_ylim(axes.get_ylim()[0] / 1.2, axes.get_ylim()[1] * 1.2)
        plain_log(axes.yaxis)
    else:
        axes.set_ylim(-0.05, 1.1)
    axes.set_xlim(-0.5, len(part) - 0.3)
    axes.set_xticks(range(len(part)), part["value_1"].tolist())
    axes.set(xlabel=key_label(part["key_1"].iloc[0]), ylabel=quantity.label)


def note_missing(axes: Axes, place: int) -> None:
    """A dash at the foot of the panel where a point has no value."""
    axes.annotate(number(float("nan")), (place, 0.03), xycoords=("data", "axes fraction"), ha="center", color=MUTED)


def key_label(key: str) -> str:
    """A key with its unit; options of the user's own have none that is known."""
    if "." in key:
        return key.partition(".")[2]
    return f"{key} [{unit_of(fields_of(SweepConfig).get(key)) or '1'}]"
