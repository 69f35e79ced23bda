"""What every stabilizer is: a map applied to the members of a rollout after each emulator step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

__all__ = ["NOT_LOOKED_AT", "MemberNoise", "Outcome", "Raw", "Stabilizer"]

NOT_LOOKED_AT = -1


@dataclass(frozen=True)
class Outcome:
    """The stabilised states and, per member, what was done to them."""

    x: Tensor
    level: Tensor
    reverse_steps: Tensor
    displacement: Tensor

    @classmethod
    def untouched(cls, x: Tensor, level: Tensor | None = None) -> Outcome:
        count = len(x)
        return cls(
            x,
            torch.full((count,), NOT_LOOKED_AT) if level is None else level,
            torch.zeros(count, dtype=torch.long),
            torch.zeros(count),
        )


class Stabilizer(Protocol):
    def __call__(self, x: Tensor, step: int, rows: Tensor, noise: MemberNoise) -> Outcome:
        """Stabilises x [batch, channel, *grid] (normalised) after emulator step `step`; `rows` are the members' ids."""
        ...


class Raw:
    """The emulator alone."""

    def __call__(self, x: Tensor, step: int, rows: Tensor, noise: MemberNoise) -> Outcome:  # noqa: ARG002
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
