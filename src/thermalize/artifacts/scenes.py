"""What changes in a movie: a panel per trajectory and channel, and the time axis beneath them.

Every function draws what stays and returns what is to be called with the number of each frame, which gives back the
artists to be painted over what stays, in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from thermalize.artifacts.figures.colours import channel_names, colour_bar, symmetric_limit
from thermalize.artifacts.figures.panels import Row, last_step
from thermalize.artifacts.figures.planes import BOX, paint_plane, plane_of
from thermalize.artifacts.figures.spacetime import space
from thermalize.artifacts.inputs import FigureInputs, state, units
from thermalize.artifacts.storyboard import Stretch
from thermalize.artifacts.style import LOST, MUTED, TRUTH, Appearance, appearances, headline
from thermalize.artifacts.units import typeset

__all__ = ["Show", "planes", "profiles", "timeline"]

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
