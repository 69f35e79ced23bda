"""Fields at chosen times: which times are shown, what truth and rollouts hold there, and what their colours stand for.

Of every rollout the first member is shown, not the best one. Where the truth is shorter than the rollouts, other times
of it stand in and are named; chaotic trajectories are to be compared in their statistics there, not point by point.
Colours are symmetric about zero on a scale that the truth sets, and a bar names field and units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from textwrap import fill
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter, MaxNLocator

from thermalize.figures.inputs import FigureInputs, Key, cause, departure, lost_steps, snapshots, stored_every, units
from thermalize.figures.units import number_scale
from thermalize.rollouts.series import frames_of

__all__ = [
    "Row",
    "channel_names",
    "chosen_steps",
    "colour_bar",
    "described",
    "first_departure",
    "largest_every",
    "last_step",
    "origin",
    "rollout_row",
    "rows_of",
    "symmetric_limit",
    "truth_frames",
    "truth_row",
]

SHARE = 0.995
NAMES = {"upper": "upper layer", "lower": "lower layer"}
CHARACTERS_PER_INCH = 18
NO_BREAK = "\xa0"


def symmetric_limit(*states: np.ndarray) -> float:
    """The magnitude that 99.5 % of the finite values stay below; 1 where there are none."""
    magnitudes = np.concatenate([np.abs(values[np.isfinite(values)]) for values in states])
    return float(np.quantile(magnitudes, SHARE)) if magnitudes.size else 1.0


def channel_names(field: xr.DataArray) -> list[str]:
    """The channels in words, or one empty name where there is only one."""
    names = [str(name) for name in field["channel"].to_numpy()]
    return [NAMES.get(name, name) for name in names] if len(names) > 1 else [""]


def described(field: xr.DataArray, channel: int = 0) -> str:
    """The field in words, with its channel where there are several."""
    name = str(field.attrs.get("long_name", field.name))
    channel_name = channel_names(field)[channel].replace(" ", NO_BREAK)
    return f"{name}, {channel_name}" if channel_name else name


def colour_bar(
    figure: Figure | SubFigure, image: AxesImage, axes: np.ndarray, field: xr.DataArray, channel: int, height: float,
    **place: Any,
) -> None:  # fmt: skip
    """The bar of an image beside `axes`, which are `height` inches high together; numbers with their power of ten."""
    scale = number_scale(units(field), image.get_clim()[1])
    bar = figure.colorbar(image, ax=axes, extend="both", **place)
    bar.locator = MaxNLocator(8, steps=[1, 2, 5, 10], symmetric=True)
    bar.formatter = FuncFormatter(lambda value, _: f"{value * scale.factor:g}".replace("-", "−"))
    bar.update_ticks()
    words = f"{described(field, channel)} [{scale.units.replace(' ', NO_BREAK)}]"
    bar.set_label(fill(words, max(20, int(height * CHARACTERS_PER_INCH)), break_long_words=False))


@dataclass(frozen=True)
class Row:
    """One trajectory at chosen steps.

    Attributes:
        name: what it is.
        states: [step, channel, *grid], NaN where there is no state.
        remarks: per step, why there is no state, or which other time is shown.
        left: step at which the member left the truth's envelope.
        aside: when and why it left, and when it was lost.
    """

    name: str
    states: np.ndarray
    remarks: tuple[str, ...]
    left: float | None = None
    aside: str = ""


def last_step(inputs: FigureInputs) -> int:
    """Last step of the longest rollout."""
    return max(map(frames_of, inputs.rollouts.values())) - 1


def largest_every(inputs: FigureInputs) -> int:
    """The states of every so many steps are there, of all rollouts."""
    return max(map(stored_every, inputs.rollouts.values()))


def first_departure(inputs: FigureInputs) -> tuple[int, int] | None:
    """When the first of the shown members leaves the envelope, and until when it has states; None if all stay."""
    found = []
    for key in inputs.keys:
        step, lost = departure(inputs.diagnostics[key]), lost_steps(inputs.rollouts[key])[0]
        if step is not None:
            found.append((int(step), frames_of(inputs.rollouts[key]) if lost is None else lost))
    return min(found, default=None)


def chosen_steps(inputs: FigureInputs, count: int) -> list[int]:
    """`count` steps (fewer in the shortest rollouts): first and last, around the first departure, the rest spread out.

    Around a departure are half the way to it, itself, and the middle of what the member still has after it. Of rollouts
    that store few states the steps are theirs.
    """
    last, leaves = last_step(inputs), first_departure(inputs)
    chosen = {0, last}
    if leaves is not None:
        step, end = leaves
        chosen |= {step // 2, step, (step + min(end, last)) // 2}
    every = largest_every(inputs)
    return sorted({step // every * every for step in spread_out(sorted(chosen), count)})


def spread_out(steps: list[int], count: int) -> list[int]:
    """Fill the widest gaps with their geometric middles until there are `count` steps, or no gap is left."""
    while len(steps) < count:
        gaps = [(upper / max(lower, 1), lower, upper) for lower, upper in pairwise(steps)]
        open_gaps = [gap for gap in gaps if gap[2] - gap[1] > 1]
        if not open_gaps:
            break
        _, lower, upper = max(open_gaps)
        middle = round(float(np.sqrt(max(lower, 1) * upper)))
        steps = sorted({*steps, min(max(middle, lower + 1), upper - 1)})
    return steps


def origin(inputs: FigureInputs) -> tuple[int, int]:
    """Test member and frame that the shown member of every rollout starts from."""
    attributes = next(iter(inputs.rollouts.values())).attrs
    return attributes["initial_member"][0], attributes["initial_frame"][0]


def truth_frames(inputs: FigureInputs, steps: Sequence[int]) -> list[int]:
    """Frames of the truth at `steps`; beyond its end, frames spread over what it has after the last of these."""
    end, first = inputs.truth.sizes["time"] - 1, origin(inputs)[1]
    known = [first + step for step in steps if first + step <= end]
    others = len(steps) - len(known)
    begin = known[-1] if known else 0
    return known + [round(begin + (end - begin) * (place + 1) / others) for place in range(others)]


def truth_row(inputs: FigureInputs, steps: Sequence[int], frames: Sequence[int]) -> Row:
    """The truth that the rollouts start from at these frames, named where they are not those of `steps`."""
    member, first = origin(inputs)

    def remark(step: int, frame: int) -> str:
        if frame >= inputs.truth.sizes["time"]:
            return "truth not simulated further"
        return "" if frame == first + step else f"truth of {inputs.moment(frame - first)}"

    return Row("truth", snapshots(inputs.truth, member, frames), tuple(map(remark, steps, frames)))


def rollout_row(inputs: FigureInputs, key: Key, steps: Sequence[int], name: str) -> Row:
    """The first member of a rollout at these steps."""
    rollout, diagnostics = inputs.rollouts[key], inputs.diagnostics[key]
    states = snapshots(rollout, 0, steps)
    lost, left = lost_steps(rollout)[0], departure(diagnostics)
    missing = "no states" if lost is None else f"no states: lost at {inputs.moment(lost)}"
    gone = np.isnan(states).all(axis=tuple(range(1, states.ndim)))
    said = [] if left is None else [f"left at {inputs.moment(left)} ({cause(diagnostics, 0)})"]
    said += [] if lost is None else [f"lost at {inputs.moment(lost)}"]
    return Row(name, states, tuple(missing if each else "" for each in gone), left, "; ".join(said))


def rows_of(inputs: FigureInputs, steps: Sequence[int], frames: Sequence[int]) -> list[Row]:
    """The truth at `frames`, then every emulator and stabilizer at `steps`, as configured."""
    several = len(inputs.emulators) > 1
    rows = [truth_row(inputs, steps, frames)]
    for emulator in inputs.emulators:
        for stabilizer in inputs.stabilizers(emulator):
            key = (emulator, stabilizer, inputs.seeds(emulator, stabilizer)[0])
            rows.append(rollout_row(inputs, key, steps, f"{emulator}, {stabilizer}" if several else stabilizer))
    return rows
