"""What every stabilizer is: a map applied to the members of a rollout after each emulator step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from thermalize.diffusion.samplers import NoiseSource

__all__ = ["NOT_LOOKED_AT", "MemberNoise", "Memory", "Memoryless", "Outcome", "Raw", "Stabilizer"]

NOT_LOOKED_AT = -1
Memory = dict[str, Tensor]
"""What a stabilizer knows of the past of all members of a rollout: tensors [member, …] by name, changed in place."""


@dataclass(frozen=True)
class Outcome:
    """The stabilised states and, per member, what was seen and done.

    x: [batch, channel, *grid], normalised.
    level: noise level, `NOT_LOOKED_AT` where nobody looked.
    reverse_steps: network evaluations spent on denoising.
    displacement: root mean square change by denoising, in standard deviations of the data.
    drift: largest deviation of a smoothed band energy from the truth's, in units of what is tolerated; NaN where it is
        not watched.
    rescaled: bands whose energy was set right.
    lost: beyond saving.
    """

    x: Tensor
    level: Tensor
    reverse_steps: Tensor
    displacement: Tensor
    drift: Tensor
    rescaled: Tensor
    lost: Tensor

    @classmethod
    def untouched(cls, x: Tensor, level: Tensor | None = None) -> Outcome:
        count = len(x)
        return cls(
            x,
            torch.full((count,), NOT_LOOKED_AT) if level is None else level,
            torch.zeros(count, dtype=torch.long),
            torch.zeros(count),
            torch.full((count,), torch.nan),
            torch.zeros(count, dtype=torch.long),
            torch.zeros(count, dtype=torch.bool),
        )


class Stabilizer(Protocol):
    def memory(self, members: int) -> Memory:
        """What it knows of the members of a rollout before the first step."""
        ...

    def __call__(self, x: Tensor, step: int, rows: Tensor, noise: NoiseSource, memory: Memory) -> Outcome:
        """Stabilises x [batch, channel, *grid] (normalised) after emulator step `step`; `rows` are the members' ids."""
        ...


class Memoryless:
    """A stabilizer to which every state is the first."""

    def memory(self, members: int) -> Memory:  # noqa: ARG002
        return {}


class Raw(Memoryless):
    """The emulator alone."""

    def __call__(self, x: Tensor, step: int, rows: Tensor, noise: NoiseSource, memory: Memory) -> Outcome:  # noqa: ARG002
        return Outcome.untouched(x)


class MemberNoise:
    """Normal draws of one rollout step: a counter-based stream for each (member, step), so that nothing is stored
    between steps and no member's numbers depend on its companions or on a resumption.
    """

    def __init__(self, keys: np.ndarray, step: int) -> None:
        """`keys` [member, 2] (uint64) identify the members' streams."""
        self._keys, self._step = keys, step
        self._generators: dict[int, np.random.Generator] = {}

    def draw(self, rows: Tensor, like: Tensor) -> Tensor:
        shape = like.shape[1:]
        draws = [self._generator(row).standard_normal(shape, dtype=np.float32) for row in rows.tolist()]
        return torch.from_numpy(np.stack(draws)).to(like)

    def _generator(self, row: int) -> np.random.Generator:
        if row not in self._generators:
            bits = np.random.Philox(key=self._keys[row], counter=[0, 0, 0, self._step])
            self._generators[row] = np.random.Generator(bits)
        return self._generators[row]
