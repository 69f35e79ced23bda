"""Denoiser of single snapshots: sees a noisy state, tells its noise and its noise level.

There is no level input: the network infers the level from x_s alone (Pedersen, Zanna, Bruna, arXiv 2503.18731). The
level needs the encoder alone.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from thermalize.config import DiffusionConfig
from thermalize.errors import UserError
from thermalize.models import build, level_fault
from thermalize.models.heads import LevelHead

__all__ = ["Denoiser", "NoiseModel"]


class NoiseModel(Protocol):
    """What samplers and the thermalizer need; an analytic score satisfies it as well as a network."""

    def level(self, x: Tensor) -> Tensor:
        """Most probable noise level [batch] (int64) of normalised states [batch, channel, *grid]."""
        ...

    def noise(self, x: Tensor, level: Tensor) -> Tensor:
        """Expected unit noise ε̂ in x [batch, channel, *grid] at `level` [batch]; a blind network ignores the level."""
        ...


class Denoiser(nn.Module):
    """A network for ε̂ with a level head on its bottleneck."""

    def __init__(self, config: DiffusionConfig, dims: int, channels: int) -> None:
        super().__init__()
        self.network = build(config.network, dims, channels, channels)
        if fault := level_fault(self.network):
            raise UserError(fault)
        self.head = LevelHead(self.network.features, config.train_levels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[batch, channel, *grid] → ε̂ of the same shape, level logits [batch, train_levels]."""
        features = self.network.encode(x)
        return self.network.decode(features), self.head(features[-1])

    def level(self, x: Tensor) -> Tensor:
        return self.head(self.network.encode(x)[-1]).argmax(dim=1)

    def noise(self, x: Tensor, level: Tensor) -> Tensor:  # noqa: ARG002
        return self.network(x)
