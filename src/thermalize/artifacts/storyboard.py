"""Which moments a movie shows: stretches of smooth motion, for a whole long rollout in a hundred frames would flicker.

Two frames are a quarter of the truth's integral time apart. Where that does not reach to the end, there are stretches:
from the initial condition, around the departure from the truth's envelope if that comes later, and at the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thermalize.artifacts.figures.panels import first_departure, last_step, origin
from thermalize.artifacts.inputs import FigureInputs
from thermalize.artifacts.pooling import scalar

__all__ = ["Stretch", "storyboard"]

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
    stretches = [tuple(range(start, stop, step)) for start, stop in bounds(inputs)]
    return [
        Stretch(steps, truth_beside(inputs, steps, following))
        for steps, following in zip(stretches, range(len(stretches))[::-1], strict=True)
    ]


def stride(inputs: FigureInputs) -> int:
    """Emulator steps between two frames; at most so many that half the movie is not longer than the truth."""
    times = [scalar(dataset, "integral_time_truth") for dataset in inputs.diagnostics.values()]
    known = [time for time in times if np.isfinite(time)]
    wanted = round(known[0] / FRAMES_PER_INTEGRAL_TIME) if known else 1
    return max(1, min(wanted, inputs.truth.sizes["time"] // (FRAMES // 2)))


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
