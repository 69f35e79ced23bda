"""The residual emulator.

    x_{t+1} = x_t + F(x_t)

Where the equation conserves the domain mean, ⟨F⟩ = 0 is built in: a drift of the mean is invisible to a noise level.
"""

from __future__ import annotations

from torch import Tensor

from thermalize.config import EmulatorConfig
from thermalize.emulators.base import Emulator
from thermalize.models import build as build_network
from thermalize.models.normalization import Normalization

__all__ = ["ResidualEmulator", "build"]


class ResidualEmulator(Emulator):
    """x → x + F(x) in normalised units."""

    def __init__(self, config: EmulatorConfig, dims: int, channels: int, normalization: Normalization) -> None:
        super().__init__(dims, normalization)
        self.network = build_network(config.network, dims, channels, channels)
        self.conserve_mean = config.conserve_mean

    def residual(self, x: Tensor) -> Tensor:
        """F(x) of the normalised state [batch, channel, *grid]."""
        increment = self.network(x)
        return increment - increment.mean(tuple(range(2, x.ndim)), keepdim=True) if self.conserve_mean else increment

    def predict(self, x: Tensor) -> Tensor:
        return x + self.residual(x)


def build(config: EmulatorConfig, dims: int, channels: int, normalization: Normalization) -> ResidualEmulator:
    """The emulator of these settings, untrained."""
    return ResidualEmulator(config, dims, channels, normalization)
