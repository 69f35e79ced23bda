"""Autoregressive rollouts of a batch of members, stabilised after every emulator step.

    x_{t+1} = stabilise(F(x_t, earlier frames, ξ))

A member that becomes non-finite, grows beyond a bound or is given up by the stabilizer is recorded as lost, with step
and cause, and set to NaN from that step on; the others go on without it. The state after any step is all that is needed
to continue bit-identically.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from thermalize.emulators.base import Emulator, advance, shifted
from thermalize.runtime.errors import UserError
from thermalize.runtime.members import MemberNoise, Record, Series
from thermalize.stabilizers.base import Memory, Stabilizer

__all__ = ["NEVER", "Rollout", "Segment", "State", "series_of"]

NEVER = -1


@dataclass
class State:
    """Where a rollout stands: normalised states [member, channel, *grid] after `step` steps, the frames before them
    that the emulator reads [member, history, channel, *grid], what the stabilizer knows of the past, and who is lost.
    """

    x: Tensor
    step: int = 0
    lost_step: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    lost_cause: list[str] = field(default_factory=list)
    memory: Memory = field(default_factory=dict)
    past: Tensor = field(default_factory=lambda: torch.empty(0))

    def __post_init__(self) -> None:
        if not self.lost_cause:
            self.lost_step = np.full(len(self.x), NEVER)
            self.lost_cause = [""] * len(self.x)
        if not self.past.ndim > 1:
            self.past = self.x.new_empty((len(self.x), 0, *self.x.shape[1:]))

    @property
    def alive(self) -> Tensor:
        return torch.from_numpy(np.flatnonzero(self.lost_step == NEVER))


@dataclass(frozen=True)
class Segment:
    """Consecutive frames: x [member, step, channel, *grid], and what was recorded on the way [member, step]."""

    x: Tensor
    record: dict[str, Tensor]

    @classmethod
    def empty(cls, state: Tensor, steps: int, series: Iterable[Series]) -> Segment:
        shape = (len(state), steps, *state.shape[1:])
        x = torch.full(shape, torch.nan, dtype=state.dtype, device=state.device)
        return cls(x, {each.name: each.empty(len(state), steps) for each in series})

    def enter(self, column: int, alive: Tensor, record: Record, state: Tensor) -> None:
        """What was recorded of the living, and the states of all."""
        self.x[:, column] = state
        for name, values in record.items():
            series = self.record[name]
            series[alive, column] = values.to(series)


def series_of(emulator: Callable[[Tensor], Tensor], stabilizer: Stabilizer) -> tuple[Series, ...]:
    """All that is recorded in a rollout; UserError where two series have one name."""
    found = (*(emulator.series if isinstance(emulator, Emulator) else ()), *stabilizer.series)
    names = [each.name for each in found]
    if doubled := [name for name in names if names.count(name) > 1]:
        raise UserError(f"emulator and stabilizer both record {doubled[0]!r}; rename one of the two series")
    return found


class Rollout:
    """Runs `emulator` (an `Emulator`, or any map of normalised states) under `stabilizer`."""

    def __init__(
        self, emulator: Callable[[Tensor], Tensor], stabilizer: Stabilizer, keys: np.ndarray, lost_above: float
    ) -> None:
        """`keys` [member, 2] of the noise streams; `lost_above` in standard deviations of the data."""
        self.emulator, self.stabilizer, self.keys, self.lost_above = emulator, stabilizer, keys, lost_above
        self.series = series_of(emulator, stabilizer)

    @torch.inference_mode()
    def advance(self, state: State, steps: int) -> Segment:
        """Moves `state` on by `steps` emulator steps and returns the frames on the way."""
        segment = Segment.empty(state.x, steps, self.series)
        state.memory = state.memory or self.stabilizer.memory(len(state.x))
        for column in range(steps):
            state.step += 1
            alive = state.alive
            if len(alive):
                self._step(state, alive, segment, column)
        return segment

    def _step(self, state: State, alive: Tensor, segment: Segment, column: int) -> None:
        everyone, before = len(alive) == len(state.x), state.x
        now, past = (state.x, state.past) if everyone else (state.x[alive], state.past[alive])
        noise = MemberNoise(self.keys, state.step)
        x, seen = advance(self.emulator, now, past, alive, noise)
        lost = self._lost(x)
        found = self.stabilizer(x, state.step, alive, noise, state.memory)
        if found.x is not x:
            lost = np.where(lost == "", self._lost(found.x), lost)
        lost = np.where((lost == "") & found.lost.numpy(), "level", lost)
        state.x = found.x if everyone else state.x.index_copy(0, alive.to(x.device), found.x)
        state.past = shifted(state.past, before)
        if (lost != "").any():
            self._lose(state, alive.numpy(), lost)
        segment.enter(column, alive, {**seen, **found.record}, state.x)

    def _lost(self, x: Tensor) -> np.ndarray:
        """Cause of loss by member, empty for the healthy."""
        largest = x.flatten(1).abs().amax(1).cpu().numpy()
        return np.where(np.isfinite(largest), np.where(largest > self.lost_above, "bound", ""), "nonfinite")

    @staticmethod
    def _lose(state: State, alive: np.ndarray, cause: np.ndarray) -> None:
        for row, why in zip(alive, cause, strict=True):
            if why:
                state.lost_step[row], state.lost_cause[row] = state.step, str(why)
        state.x = state.x.clone()
        state.x[state.lost_step == state.step] = torch.nan
