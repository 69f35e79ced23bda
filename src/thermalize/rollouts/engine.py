"""Autoregressive rollouts of a batch of members, stabilised after every emulator step.

    x_{t+1} = stabilise(F(x_t))

A member that becomes non-finite, grows beyond a bound or is given up by the stabilizer is recorded as lost, with step
and cause, and set to NaN from that step on; the others go on without it. The state after any step is all that is needed
to continue bit-identically.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields

import numpy as np
import torch
from torch import Tensor

from thermalize.runtime.streams import sequence
from thermalize.stabilizers.base import Health, MemberNoise, Memory, Outcome, Stabilizer

__all__ = ["NEVER", "SERIES", "Chunk", "Rollout", "State", "member_keys"]

NEVER = -1
SERIES = tuple(each.name for each in fields(Health))


@dataclass
class State:
    """Where a rollout stands: normalised states [member, channel, *grid] after `step` steps, what the stabilizer knows
    of the past, and who is lost.
    """

    x: Tensor
    step: int = 0
    lost_step: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    lost_cause: list[str] = field(default_factory=list)
    memory: Memory = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.lost_cause:
            self.lost_step = np.full(len(self.x), NEVER)
            self.lost_cause = [""] * len(self.x)

    @property
    def alive(self) -> Tensor:
        return torch.from_numpy(np.flatnonzero(self.lost_step == NEVER))


@dataclass(frozen=True)
class Chunk(Health):
    """Consecutive frames: x [member, step, channel, *grid] and what the stabilizer saw and did, each [member, step]."""

    x: Tensor

    @classmethod
    def empty(cls, state: Tensor, steps: int) -> Chunk:
        shape = (len(state), steps)
        x = torch.full((*shape, *state.shape[1:]), torch.nan, dtype=state.dtype, device=state.device)
        return cls(**cls.of_nothing(shape), x=x)

    def record(self, column: int, alive: Tensor, outcome: Outcome, state: Tensor) -> None:
        """Enters what happened to the living and the states of all."""
        self.x[:, column] = state
        for name in SERIES:
            series = getattr(self, name)
            series[alive, column] = getattr(outcome, name).to(series)


def member_keys(root: int, seed: int, members: int) -> np.ndarray:
    """Keys [member, 2] of the members' noise streams for one rollout seed."""
    return np.stack([sequence(root, "rollout", seed, m).generate_state(2, np.uint64) for m in range(members)])


class Rollout:
    """Runs `emulator` (normalised state → next state) under `stabilizer`."""

    def __init__(
        self, emulator: Callable[[Tensor], Tensor], stabilizer: Stabilizer, keys: np.ndarray, lost_above: float
    ) -> None:
        """`keys` [member, 2] of the noise streams; `lost_above` in standard deviations of the data."""
        self.emulator, self.stabilizer, self.keys, self.lost_above = emulator, stabilizer, keys, lost_above

    @torch.inference_mode()
    def advance(self, state: State, steps: int) -> Chunk:
        """Moves `state` on by `steps` emulator steps and returns the frames on the way."""
        chunk = Chunk.empty(state.x, steps)
        state.memory = state.memory or self.stabilizer.memory(len(state.x))
        for column in range(steps):
            state.step += 1
            alive = state.alive
            if len(alive):
                self._step(state, alive, chunk, column)
        return chunk

    def _step(self, state: State, alive: Tensor, chunk: Chunk, column: int) -> None:
        everyone = len(alive) == len(state.x)
        x = self.emulator(state.x if everyone else state.x[alive])
        lost = self._lost(x)
        outcome = self.stabilizer(x, state.step, alive, MemberNoise(self.keys, state.step), state.memory)
        if outcome.x is not x:
            lost = np.where(lost == "", self._lost(outcome.x), lost)
        lost = np.where((lost == "") & outcome.lost.numpy(), "level", lost)
        state.x = outcome.x if everyone else state.x.index_copy(0, alive.to(x.device), outcome.x)
        if (lost != "").any():
            self._lose(state, alive.numpy(), lost)
        chunk.record(column, alive, outcome, state.x)

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
