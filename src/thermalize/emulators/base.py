"""What every emulator is: a step of normalised states x = (u − mean) / std, one frame interval on.

x_{t+1} = F(x_t)                                  a map, which most emulators are
x_{t+1} = F(x_t, x_{t−1}, …, x_{t−h}, ξ)          a stepper: with h = `history` earlier frames, with normal draws ξ
                                                  of each member, with several network evaluations a step
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from thermalize.emulators.projection import Held, projected
from thermalize.models.normalization import Normalization
from thermalize.runtime.members import NoiseSource, Record, Series

__all__ = ["Emulator", "advance", "shifted"]


class Emulator(nn.Module, ABC):
    """x_t → x_{t+1} for x = (u − mean) / std; `step` does the same in physical units."""

    mean: Tensor
    std: Tensor
    history: int = 0
    """frames before the present one that a step reads"""
    evaluations: int = 1
    """network evaluations of a step"""
    series: tuple[Series, ...] = ()
    """what a step records of each member"""
    held: Held | None = None
    """wavenumbers on which its states are projected"""

    def __init__(self, dims: int, normalization: Normalization) -> None:
        super().__init__()
        mean, std = normalization.tensors(dims)
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    @abstractmethod
    def predict(self, x: Tensor) -> Tensor:
        """What it makes of the normalised state [batch, channel, *grid] one frame interval later."""

    def forward(self, x: Tensor) -> Tensor:
        """The normalised state [batch, channel, *grid] one frame interval later, projected on what the truth holds."""
        return projected(self.predict(x), self.held)

    def advance(self, x: Tensor, past: Tensor, rows: Tensor, noise: NoiseSource) -> tuple[Tensor, Record]:  # noqa: ARG002
        """What it makes of the next normalised state, and what is recorded.

        Args:
            x: states [batch, channel, *grid].
            past: frames before them [batch, `history`, channel, *grid], the latest last.
            rows: members' numbers in `noise` [batch].
            noise: normal draws of each member.
        """
        return self(x), {}

    def step(self, u: Tensor) -> Tensor:
        """The state [batch, channel, *grid] one frame interval later, in physical units."""
        return self.denormalize(self(self.normalize(u)))

    def normalize(self, u: Tensor) -> Tensor:
        """x = (u − mean) / std of physical states [..., channel, *grid]."""
        return (u - self.mean.to(u.device)) / self.std.to(u.device)

    def denormalize(self, x: Tensor) -> Tensor:
        """u = x · std + mean."""
        return x * self.std + self.mean


def advance(
    emulator: Callable[[Tensor], Tensor], x: Tensor, past: Tensor, rows: Tensor, noise: NoiseSource
) -> tuple[Tensor, Record]:
    """One step of an emulator, projected on what the truth holds, or of any other map of normalised states."""
    if not isinstance(emulator, Emulator):
        return emulator(x), {}
    following, record = emulator.advance(x, past, rows, noise)
    own = type(emulator).advance is not Emulator.advance  # which calls the emulator, whose states are projected
    return (projected(following, emulator.held) if own else following), record


def shifted(past: Tensor, x: Tensor) -> Tensor:
    """The frames before the next state: `past` [batch, history, channel, *grid] without the first, then x."""
    return torch.cat((past[:, 1:], x[:, None]), 1) if past.shape[1] else past
