"""What every emulator is, and the residual one.

An emulator maps normalised states one frame interval on. The residual one is

    x_{t+1} = x_t + F(x_t),      x = (u − mean) / std

Where the equation conserves the domain mean, ⟨F⟩ = 0 is built in: a drift of the mean is invisible to a noise level.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from thermalize.config import EmulatorConfig
from thermalize.models import build
from thermalize.models.normalization import Normalization

__all__ = ["Emulator", "ResidualEmulator"]


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


class ResidualEmulator(Emulator):
    """x → x + F(x) in normalised units."""

    def __init__(self, config: EmulatorConfig, dims: int, channels: int, normalization: Normalization) -> None:
        super().__init__(dims, normalization)
        self.network = build(config.network, dims, channels, channels)
        self.conserve_mean = config.conserve_mean

    def residual(self, x: Tensor) -> Tensor:
        """F(x) of the normalised state [batch, channel, *grid]."""
        increment = self.network(x)
        return increment - increment.mean(tuple(range(2, x.ndim)), keepdim=True) if self.conserve_mean else increment

    def forward(self, x: Tensor) -> Tensor:
        return x + self.residual(x)
