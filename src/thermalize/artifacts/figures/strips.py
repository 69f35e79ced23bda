"""Space–time strips u(x, t): what is shown of one member, and how it is painted.

A strip is a window of frames of one trajectory. Where a rollout has no states any more it is hatched and says why, never
blank; where it left the truth's envelope a dashed line marks the step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from thermalize.artifacts.inputs import FigureInputs, describe_cause, state, strip
from thermalize.artifacts.style import FIELD_MAP, LOST

__all__ = ["Strip", "length", "paint", "rollout_strip", "scale", "truth_strip", "windows"]

LONGEST = 200


@dataclass(frozen=True)
class Strip:
    """States [time, x] from frame `start` on; frames and marks are counted in emulator steps."""

    states: np.ndarray
    start: int
    missing: str = ""
    left: float | None = None
    remark: str = ""

    @property
    def stop(self) -> int:
        return self.start + len(self.states)


def windows(frames: int, longest: int = LONGEST) -> tuple[tuple[int, int], tuple[int, int]]:
    """Frames [start, stop) of the early and of the late window; they never overlap."""
    span = min(longest, frames // 2)
    return (0, span), (frames - span, frames)


def length(inputs: FigureInputs) -> int:
    """Frames of the longest rollout."""
    return max(rollout.sizes["time"] for rollout in inputs.rollouts.values())


def rollout_strip(inputs: FigureInputs, emulator: str, stabilizer: str, window: tuple[int, int]) -> Strip:
    """A window of the first member of the first seed: the shown member is not chosen by its looks."""
    key = (emulator, stabilizer, inputs.seeds(emulator, stabilizer)[0])
    states = strip(inputs.rollouts[key], 0, *window)
    missing, remark, left = "", "", None
    lost = first_loss(inputs.rollouts[key])
    if lost is not None:
        missing = f"lost at t = {lost * inputs.interval:g}"
    diagnostics = inputs.diagnostics.get(key)
    if diagnostics is not None and diagnostics["horizon_observed"].values[0]:
        left = float(diagnostics["stable_horizon"].values[0])
        remark = f"leaves the envelope at t = {left * inputs.interval:g}: {describe_cause(diagnostics, 0)}"
    return Strip(states, window[0], missing, left, remark)


def first_loss(rollout: xr.Dataset) -> int | None:
    """First frame of the first member without a finite state; None when it is whole."""
    values = state(rollout).isel(member=0)
    finite = np.isfinite(values).all(dim=[dim for dim in values.dims if dim != "time"]).values
    return None if finite.all() else int(np.argmin(finite))


def truth_strip(inputs: FigureInputs, window: tuple[int, int]) -> Strip:
    """The truth of the shown rollout; past its end, an equally long stretch of it from other times, and says so."""
    truth = inputs.truth
    if truth is None:
        raise ValueError("a space–time figure needs the truth")
    member, first = origin(inputs, truth)
    start, stop = window[0] + first, window[1] + first
    frames = truth.sizes["time"]
    if stop <= frames or window[0] == 0:
        return Strip(strip(truth, member, start, stop), window[0], "truth not simulated further")
    begin = max(0, frames - (window[1] - window[0]))
    remark = f"truth at other times, t = {(begin - first) * inputs.interval:g} to {(frames - 1 - first) * inputs.interval:g}"
    return Strip(strip(truth, member, begin, begin + window[1] - window[0]), window[0], "truth not simulated further", remark=remark)


def origin(inputs: FigureInputs, truth: xr.Dataset) -> tuple[int, int]:
    """Position of the truth's (member, frame) that the first rollout started from, found by its state."""
    initial = state(next(iter(inputs.rollouts.values()))).isel(member=0, time=0).values
    values = state(truth)
    for member in range(truth.sizes["member"]):
        error = np.abs(values.isel(member=member).values - initial).max(axis=tuple(range(1, initial.ndim + 1)))
        frame = int(np.argmin(error))
        if error[frame] <= 1e-5 * float(np.abs(initial).max()):
            return member, frame
    return 0, 0


def scale(strips: list[Strip]) -> float:
    """Symmetric colour limit: the value that 99.5 % of the truth's shown states stay below in magnitude."""
    values = np.concatenate([np.abs(strip.states).ravel() for strip in strips])
    return float(np.nanquantile(values, 0.995))


def paint(axes: Axes, shown: Strip, x: np.ndarray, interval: float, limit: float) -> AxesImage:
    """Paint a strip over time [time units] and x [length units] and mark what is missing or out of the envelope."""
    spacing = x[1] - x[0]
    extent = (shown.start * interval, shown.stop * interval, x[0], x[-1] + spacing)
    image = axes.imshow(
        shown.states.T, origin="lower", aspect="auto", extent=extent, cmap=FIELD_MAP, vmin=-limit, vmax=limit,
        interpolation="none",
    )  # fmt: skip
    gone = ~np.isfinite(shown.states).all(axis=1)
    if gone.any():
        hatch(axes, shown, int(np.argmax(gone)), interval)
    if shown.left is not None and shown.start < shown.left < shown.stop:
        axes.axvline(shown.left * interval, color="black", linewidth=0.9, linestyle=(0, (3, 2)))
    axes.spines[["top", "right"]].set_visible(True)
    axes.set_xlim(extent[:2])
    return image


def hatch(axes: Axes, shown: Strip, first: int, interval: float) -> None:
    """Hatch a strip from its frame `first` on, with the reason where there is room for it."""
    begin, end = (shown.start + first) * interval, shown.stop * interval
    axes.axvspan(begin, end, **LOST)
    if end - begin < 0.3 * (shown.stop - shown.start) * interval:
        return
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    middle = sum(axes.get_ylim()) / 2
    axes.text((begin + end) / 2, middle, shown.missing, ha="center", va="center", fontsize=6.5, bbox=box)
