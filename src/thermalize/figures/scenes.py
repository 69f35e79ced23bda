"""The movie: which moments it shows, and what changes in it.

Moments are stretches of smooth motion, for a whole long rollout in a hundred frames would flicker. Two frames are a
quarter of the truth's integral time apart. Where that does not reach to the end, there are stretches: from the initial
condition, around the departure from the truth's envelope if that comes later, and at the end.

What changes are a panel per trajectory and channel, and the time axis beneath them. Every function draws what stays and
returns what is to be called with the number of each frame, which gives back the artists to be painted over what stays,
in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from thermalize.figures.fields import BOX, paint_plane, plane_of
from thermalize.figures.inputs import FigureInputs, state, units
from thermalize.figures.panels import (
    Row,
    channel_names,
    colour_bar,
    first_departure,
    largest_every,
    last_step,
    origin,
    symmetric_limit,
)
from thermalize.figures.spacetime import space
from thermalize.figures.style import LOST, MUTED, TRUTH, Appearance, appearances, headline
from thermalize.figures.units import typeset
from thermalize.metrics.pooling import scalar

__all__ = ["Show", "Stretch", "planes", "profiles", "storyboard", "timeline"]

FRAMES = 90
FRAMES_PER_INTEGRAL_TIME = 4
BEFORE = 1 / 3
"""Share of the stretch around a departure that lies before it."""


@dataclass(frozen=True)
class Stretch:
    """Emulator steps that follow each other evenly, and the frames of the truth that are shown beside them."""

    steps: tuple[int, ...]
    truth: tuple[int, ...]


def storyboard(inputs: FigureInputs) -> list[Stretch]:
    """At most about `FRAMES` frames in one stretch or several."""
    step = stride(inputs)
    every = largest_every(inputs)
    stretches = [tuple(range(start // every * every, stop, step)) for start, stop in bounds(inputs)]
    return [
        Stretch(steps, truth_beside(inputs, steps, following))
        for steps, following in zip(stretches, range(len(stretches))[::-1], strict=True)
    ]


def stride(inputs: FigureInputs) -> int:
    """Emulator steps between two frames; at most so many that half the movie is not longer than the truth, unless
    fewer states are stored.
    """
    times = [scalar(dataset, "integral_time_truth") for dataset in inputs.diagnostics.values()]
    known = [time for time in times if np.isfinite(time)]
    wanted = round(known[0] / FRAMES_PER_INTEGRAL_TIME) if known else 1
    every = largest_every(inputs)
    return -(-max(1, min(wanted, inputs.truth.sizes["time"] // (FRAMES // 2))) // every) * every


def bounds(inputs: FigureInputs) -> list[tuple[int, int]]:
    """First step and end of every stretch, without overlap."""
    step, end, leaves = stride(inputs), last_step(inputs) + 1, first_departure(inputs)
    if end <= FRAMES * step:
        return [(0, end)]
    half, third = FRAMES // 2 * step, FRAMES // 3 * step
    if leaves is None or leaves[0] < half * (1 - BEFORE) or leaves[0] >= end - half:
        return [(0, half), (end - half - 1 + step, end)]
    middle = int(np.clip(leaves[0] - BEFORE * third, third, end - 2 * third))
    return [(0, third), (middle, middle + third), (end - third - 1 + step, end)]


def truth_beside(inputs: FigureInputs, steps: tuple[int, ...], following: int) -> tuple[int, ...]:
    """The truth at the same times, also where it ends on the way; for a stretch that begins later, an equally long one.

    That is the last one, or one earlier where there are stretches `following`.
    """
    first, frames = origin(inputs)[1], inputs.truth.sizes["time"]
    if steps[0] == 0 or first + steps[-1] < frames:
        return tuple(first + step for step in steps)
    span = steps[-1] - steps[0] + 1
    begin = max(0, frames - (1 + following) * span)
    return tuple(begin + step - steps[0] for step in steps)


Show = Callable[[int], list[Artist]]

BAR = 0.62
"""Height of a colour bar's label in heights of the line that it stands at."""

ROOM = 0.35
"""What a profile may exceed the range of the truth by, in ranges, before it is cut off."""


def planes(inputs: FigureInputs, axes: np.ndarray, rows: Sequence[Row], steps: Sequence[int]) -> list[Show]:
    """Fields [y, x] on the colours of the truth; one column per trajectory, one line per channel."""
    field, shows = state(inputs.truth), []
    plane = plane_of(field)
    for channel, line in enumerate(axes):
        limit = symmetric_limit(rows[0].states[:, channel])
        for panel, row in zip(line, rows, strict=True):
            image = paint_plane(panel, np.zeros_like(row.states[0, channel]), plane, limit)
            shows.append(watched(panel, image, image.set_data, row, channel, steps))
            panel.set_xlabel(plane.labels[0])
        name = channel_names(field)[channel]
        line[0].set_ylabel(f"{name}\n{plane.labels[1]}" if name else plane.labels[1])
        height = BAR * line[0].figure.get_figheight() / len(axes)
        colour_bar(line[0].figure, line[0].images[0], line, field, channel, height, pad=0.02, fraction=0.04, aspect=20)
    label(axes, rows, 4)
    return shows


def profiles(inputs: FigureInputs, axes: np.ndarray, rows: Sequence[Row], steps: Sequence[int]) -> list[Show]:
    """Profiles [x] over the range of the truth (grey); one column per trajectory, one line per channel."""
    field, shows = state(inputs.truth), []
    x, name = space(field)
    looks = {"truth": Appearance(TRUTH, "-", 1.2), **appearances(inputs.experiment)}
    for channel, line in enumerate(axes):
        low, high = np.nanmin(rows[0].states[:, channel]), np.nanmax(rows[0].states[:, channel])
        for panel, row in zip(line, rows, strict=True):
            panel.axhspan(low, high, color=TRUTH, alpha=0.08, linewidth=0)
            color = looks[row.name].color
            (curve,) = panel.plot(x, row.states[0, channel], color=color, linewidth=1.2)
            panel.set(xlim=(x[0], x[-1]), ylim=(low - ROOM * (high - low), high + ROOM * (high - low)))
            shows.append(watched(panel, curve, curve.set_ydata, row, channel, steps))
            panel.set_xlabel(name)
        line[0].set_ylabel(f"{field['channel'].to_numpy()[channel]} [{typeset(units(field))}]")
    label(axes, rows, 5)
    return shows


def label(axes: np.ndarray, rows: Sequence[Row], ticks: int) -> None:
    """Names above the first line, and numbers at the outer axes only."""
    for panel, row in zip(axes[0], rows, strict=True):
        headline(panel, row.name)
    for panel in axes.ravel():
        panel.spines[["top", "right"]].set_visible(True)
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 4, 5, 10]))
    for panel in axes[:-1].ravel():
        panel.set_xlabel("")
        panel.tick_params(labelbottom=False)
    for panel in axes[:, 1:].ravel():
        panel.tick_params(labelleft=False)


def watched(
    axes: Axes, artist: Artist, fill: Callable[[np.ndarray], object], row: Row, channel: int, steps: Sequence[int]
) -> Show:
    """Fill an artist with states; hatch the panel where there is none, dash its frame once outside the envelope."""
    cover = axes.add_patch(Rectangle((0, 0), 1, 1, transform=axes.transAxes, animated=True, **LOST))
    words = axes.text(0.5, 0.5, "", transform=axes.transAxes, ha="center", va="center", bbox=BOX, animated=True)
    aside = axes.set_title("", loc="right", color=MUTED, fontsize=6.5, pad=3)
    spines = list(axes.spines.values())

    def show(frame: int) -> list[Artist]:
        values, said = row.states[frame, channel], row.remarks[frame]
        gone = not np.isfinite(values).all()
        outside = row.left is not None and steps[frame] >= row.left
        fill(values)
        words.set_text(said.replace(": ", ":\n").replace(" t = ", "\nt = "))
        aside.set_text("" if gone or channel else said or outside * "outside envelope")
        for spine in spines:
            spine.set(linestyle=(0, (3, 2)) if outside else "-", linewidth=1.2 if outside else 0.6)
        return [*([cover, words] if gone else [artist]), *spines, aside]

    return show


def timeline(inputs: FigureInputs, axes: Axes, stretches: Sequence[Stretch]) -> Show:
    """The whole rollout as an axis of time: the shown stretches, and where the movie is."""
    step, name = inputs.clock
    end = last_step(inputs)
    times = [each for stretch in stretches for each in stretch.steps]
    for stretch in stretches:
        axes.plot([stretch.steps[0] * step, stretch.steps[-1] * step], [0, 0], color=MUTED, linewidth=3)
    (marker,) = axes.plot([0], [0], "o", color=TRUTH, markersize=5, clip_on=False)
    counter = axes.set_title("t", loc="left", pad=4)
    axes.set(xlim=(0, end * step), ylim=(-1, 1), yticks=[], xlabel=f"time t [{name}]")
    axes.spines["left"].set_visible(False)

    def show(frame: int) -> list[Artist]:
        marker.set_xdata([times[frame] * step])
        counter.set_text(f"{inputs.moment(times[frame])} (step {times[frame]} of {end})")
        return [marker, counter]

    return show
