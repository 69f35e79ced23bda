"""What every emulator is: a map of normalised states, one frame interval on."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from thermalize.training.data import Normalization

__all__ = ["Emulator"]


class Emulator(nn.Module, ABC):
    """x_t → x_{t+1} for x = (u − mean) / std; `step` does the same in physical units."""

    mean: Tensor
    std: Tensor

    def __init__(self, dims: int, normalization: Normalization) -> None:
        super().__init__()
        mean, std = normalization.tensors(dims)
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """The normalised state [batch, channel, *grid] one frame interval later."""

    def step(self, u: Tensor) -> Tensor:
        """The state [batch, channel, *grid] one frame interval later, in physical units."""
        return self.denormalize(self(self.normalize(u)))

    def normalize(self, u: Tensor) -> Tensor:
        """x = (u − mean) / std of physical states [..., channel, *grid]."""
        return (u - self.mean.to(u.device)) / self.std.to(u.device)

    def denormalize(self, x: Tensor) -> Tensor:
        """u = x · std + mean."""
        return x * self.std + self.mean
