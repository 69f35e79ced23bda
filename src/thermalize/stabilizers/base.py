"""What every stabilizer is: a map applied to the members of a rollout after each emulator step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from thermalize.diffusion.samplers import NoiseSource

__all__ = ["NOT_LOOKED_AT", "Health", "MemberNoise", "Memory", "Memoryless", "Outcome", "Raw", "Stabilizer"]

NOT_LOOKED_AT = -1
Memory = dict[str, Tensor]
"""What a stabilizer knows of the past of all members of a rollout: tensors [member, …] by name, changed in place."""


@dataclass(frozen=True)
class Health:
    """What a stabilizer saw and did, per member, or per member and step.

    level: noise level, `NOT_LOOKED_AT` where nobody looked.
    reverse_steps: network evaluations spent on denoising.
    displacement: root mean square change by denoising, in standard deviations of the data.
    drift: largest deviation of a smoothed band energy from the truth's, in units of what is tolerated; NaN where it is
        not watched.
    rescaled: bands whose energy was set right.
    """

    level: Tensor
    reverse_steps: Tensor
    displacement: Tensor
    drift: Tensor
    rescaled: Tensor

    @staticmethod
    def of_nothing(shape: tuple[int, ...]) -> dict[str, Tensor]:
        """The fields where nobody looked and nothing was done."""
        return {
            "level": torch.full(shape, NOT_LOOKED_AT),
            "reverse_steps": torch.zeros(shape, dtype=torch.long),
            "displacement": torch.zeros(shape),
            "drift": torch.full(shape, torch.nan),
            "rescaled": torch.zeros(shape, dtype=torch.long),
        }


@dataclass(frozen=True)
class Outcome(Health):
    """The stabilised states x [batch, channel, *grid], normalised, what was seen and done, and who is beyond saving."""

    x: Tensor
    lost: Tensor

    @classmethod
    def untouched(cls, x: Tensor, level: Tensor | None = None) -> Outcome:
        fields = cls.of_nothing((len(x),)) | ({} if level is None else {"level": level})
        return cls(**fields, x=x, lost=torch.zeros(len(x), dtype=torch.bool))


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
