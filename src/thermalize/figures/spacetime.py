"""Hovmöller diagrams u(x, t) of truth and rollouts: at the beginning, at the end, and around a rollout's departure.

Each shows a window of frames of one trajectory. Where a rollout has no states any more it is hatched and says why,
never blank; where it left the truth's envelope a dashed line marks the step. Fields of two dimensions are cut at the
first y, and of several channels the first is shown; the labels say so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from thermalize.figures.inputs import FigureInputs, Key, cause, departure, hovmoller, lost_steps, state, units
from thermalize.figures.panels import colour_bar, symmetric_limit
from thermalize.figures.registry import register
from thermalize.figures.style import FIELD_MAP, LOST, PAGE, headline
from thermalize.figures.units import length_scale
from thermalize.rollouts.series import frames_of

__all__ = [
    "Hovmoller",
    "Window",
    "draw_hovmollers",
    "paint",
    "rollout_hovmoller",
    "scale",
    "spacetime",
    "truth_hovmoller",
    "windows",
]

Window = tuple[int, int]

SHORTEST, LONGEST = 200, 500
FAR_ENOUGH = 1.2
BEFORE = 0.25
"""Share of a window around a departure that lies before it."""


@dataclass(frozen=True)
class Hovmoller:
    """States [time, x] from frame `start` on; times are counted in emulator steps."""

    states: np.ndarray
    start: int
    missing: str = ""
    left: float | None = None
    remark: str = ""

    @property
    def stop(self) -> int:
        return self.start + len(self.states)

    @property
    def leaves(self) -> bool:
        """Whether the member leaves the truth's envelope in this window."""
        return self.left is not None and self.start <= self.left < self.stop


def windows(inputs: FigureInputs) -> tuple[Window, ...]:
    """Frames [start, stop) of the early and the late window, of equal length and without overlap.

    The early one is long enough to see the shown members leave the envelope, if they do so soon. Otherwise there is one
    more in between, where the first of them leaves.
    """
    frames = max(map(frames_of, inputs.rollouts.values()))
    leaving = [departure(inputs.diagnostics[key]) for key in inputs.keys if key in inputs.diagnostics]
    seen = [int(FAR_ENOUGH * step) for step in leaving if step is not None and FAR_ENOUGH * step <= LONGEST]
    span = min(max([SHORTEST, *seen]), frames // 2)
    early, late = (0, span), (frames - span, frames)
    between = [step for step in leaving if step is not None and span <= step < frames - span]
    if not between or frames < 3 * span:
        return early, late
    start = int(np.clip(min(between) - BEFORE * span, span, frames - 2 * span))
    return early, (start, start + span), late


def rollout_hovmoller(inputs: FigureInputs, key: Key, window: Window) -> Hovmoller:
    """A window of the first member: the shown member is not chosen by its looks."""
    rollout, diagnostics = inputs.rollouts[key], inputs.diagnostics[key]
    lost, left = lost_steps(rollout)[0], departure(diagnostics)
    missing = "" if lost is None else f"no states: lost at {inputs.moment(lost)}"
    remark = "" if left is None else f"left at {inputs.moment(left)} ({cause(diagnostics, 0)})"
    return Hovmoller(hovmoller(rollout, 0, *window), window[0], missing, left, remark)


def truth_hovmoller(inputs: FigureInputs, window: Window, following: int = 0) -> Hovmoller:
    """The truth of the shown rollout; past its end, an equally long stretch of it from other times, which says so.

    That is the last stretch, or an earlier one where windows that follow show the last ones.
    """
    truth, origin = inputs.truth, next(iter(inputs.rollouts.values())).attrs
    member, first = origin["initial_member"][0], origin["initial_frame"][0]
    frames, span = truth.sizes["time"], window[1] - window[0]
    if window[0] == 0 or first + window[1] <= frames:
        states = hovmoller(truth, member, first + window[0], first + window[1])
        return Hovmoller(states, window[0], "truth not simulated further")
    begin = max(0, frames - (1 + following) * span)
    remark = f"truth of {inputs.moment(begin - first, min(begin + span, frames) - first)}"
    return Hovmoller(
        hovmoller(truth, member, begin, begin + span), window[0], "truth not simulated further", remark=remark
    )


def scale(diagrams: list[Hovmoller]) -> float:
    """Symmetric colour limit: the magnitude that 99.5 % of the values in these diagrams stay below."""
    return symmetric_limit(*(shown.states for shown in diagrams))


def paint(axes: Axes, shown: Hovmoller, x: np.ndarray, interval: float, limit: float) -> AxesImage:
    """Paint a diagram over time and x, and mark what is missing and where it left the envelope."""
    extent = (shown.start * interval, shown.stop * interval, x[0], 2 * x[-1] - x[-2])
    image = axes.imshow(
        shown.states.T, FIELD_MAP, aspect="auto", interpolation="none", vmin=-limit, vmax=limit, origin="lower",
        extent=extent,
    )  # fmt: skip
    gone = ~np.isfinite(shown.states).all(axis=1)
    if gone.any():
        hatch(axes, shown, int(np.argmax(gone)), interval)
    if shown.left is not None and shown.leaves:
        axes.axvline(shown.left * interval, color="black", linewidth=1.0, linestyle=(0, (3, 2)))
    axes.spines[["top", "right"]].set_visible(True)
    axes.set_xlim(extent[:2])
    return image


def hatch(axes: Axes, shown: Hovmoller, first: int, interval: float) -> None:
    """Hatch a diagram from its frame `first` on, with the reason where there is room for it."""
    begin, end = (shown.start + first) * interval, shown.stop * interval
    axes.axvspan(begin, end, **LOST)
    if first > len(shown.states) / 2:
        return
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    at = ((begin + end) / 2, sum(axes.get_ylim()) / 2)
    axes.text(*at, shown.missing, ha="center", va="center", fontsize=6.5, bbox=box)


TICKS = 4
ROW = 1.05
"""Height of a row in inches."""

GAP = 0.05
"""Room between two windows in widths of a window, so that their times do not run into each other."""


@register("spacetime", when="states")
def spacetime(inputs: FigureInputs) -> Figure:
    """One row per trajectory, one column per window of time."""
    figure = Figure(figsize=(PAGE, 0.55 + ROW * (1 + count(inputs))), layout="constrained")
    draw_hovmollers(inputs, figure)
    return figure


def count(inputs: FigureInputs) -> int:
    return sum(len(inputs.stabilizers(emulator)) for emulator in inputs.emulators)


def draw_hovmollers(inputs: FigureInputs, figure: Figure | SubFigure) -> None:
    """All diagrams of `inputs` with their colour bar."""
    rows = hovmollers(inputs)
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


def hovmollers(inputs: FigureInputs) -> dict[str, list[Hovmoller]]:
    """The diagrams of every row, one per window: the truth first, then emulators and stabilizers as configured."""
    shown = windows(inputs)
    following = range(len(shown))[::-1]
    rows = {"truth": [truth_hovmoller(inputs, *each) for each in zip(shown, following, strict=True)]}
    several = len(inputs.emulators) > 1
    for emulator in inputs.emulators:
        for stabilizer in inputs.stabilizers(emulator):
            key = (emulator, stabilizer, inputs.seeds(emulator, stabilizer)[0])
            name = f"{emulator}, {stabilizer}" if several else stabilizer
            rows[name] = [rollout_hovmoller(inputs, key, window) for window in shown]
    return rows


def paint_row(inputs: FigureInputs, line: np.ndarray, name: str, row: list[Hovmoller], limit: float) -> AxesImage:
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
