"""Denoiser of single snapshots: sees a noisy state, tells its noise and its noise level.

    loss = ‖ε̂(x_s) − ξ‖² / N + λ · cross-entropy(level logits, s),   s uniform on 0 … train_levels − 1

There is no level input: the network infers the level from x_s alone (Pedersen, Zanna, Bruna, arXiv 2503.18731). Only
the levels that thermalization uses are trained. The level needs the encoder alone.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from thermalize.config import DiffusionConfig
from thermalize.diffusion.schedule import Schedule
from thermalize.models.heads import LevelHead
from thermalize.models.unet import Decoder, Encoder
from thermalize.training.data import EpochOrder, Trajectories

__all__ = ["Denoiser", "DiffusionObjective", "NoiseModel"]

VALIDATION_STATES = 512
VALIDATION_BATCH = 128


class NoiseModel(Protocol):
    """What samplers and the thermalizer need; an analytic score satisfies it as well as a network."""

    def level(self, x: Tensor) -> Tensor:
        """Most probable noise level [batch] (int64) of normalised states [batch, channel, *grid]."""
        ...

    def noise(self, x: Tensor, level: Tensor) -> Tensor:
        """Expected unit noise ε̂ in x [batch, channel, *grid] at `level` [batch]; a blind network ignores the level."""
        ...


class Denoiser(nn.Module):
    """U-Net for ε̂ with a level head on its bottleneck."""

    def __init__(self, config: DiffusionConfig, dims: int, channels: int) -> None:
        super().__init__()
        self.encoder = Encoder(dims, channels, config.network)
        self.decoder = Decoder(dims, channels, config.network)
        self.head = LevelHead(config.network.width * config.network.multipliers[-1], config.train_levels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[batch, channel, *grid] → ε̂ of the same shape, level logits [batch, train_levels]."""
        features = self.encoder(x)
        return self.decoder(features), self.head(features[-1])

    def level(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x)[-1]).argmax(dim=1)

    def noise(self, x: Tensor, level: Tensor) -> Tensor:  # noqa: ARG002
        return self.decoder(self.encoder(x))


class DiffusionObjective:
    """Noise prediction and level classification on noised truth; the same on held-out members with fixed noise."""

    def __init__(
        self, config: DiffusionConfig, schedule: Schedule, train: Trajectories, valid: Trajectories, seed: int
    ) -> None:
        self.config, self.schedule, self.train, self.seed = config, schedule, train, seed
        self.order = EpochOrder(train.count(1), config.training.batch_size, seed)
        self.held_out = valid.spread(VALIDATION_STATES, 1)[:, 0]

    def loss(self, model: nn.Module, update: int, generator: torch.Generator) -> Tensor:
        x = self.train.windows(self.order.batch(update), 1)[:, 0]
        mse, entropy = self._parts(model, x, generator)
        return mse + self.config.level_weight * entropy

    def validate(self, model: nn.Module) -> dict[str, float]:
        generator = torch.Generator().manual_seed(self.seed)
        parts = [torch.stack(self._parts(model, x, generator)) * len(x) for x in self.held_out.split(VALIDATION_BATCH)]
        mse, entropy = (float(value) for value in torch.stack(parts).sum(0) / len(self.held_out))
        return {
            "valid_loss": mse + self.config.level_weight * entropy,
            "valid_noise_mse": mse,
            "valid_level_cross_entropy": entropy,
        }

    def describe(self, update: int) -> dict[str, float]:  # noqa: ARG002
        return {}

    def _parts(self, model: nn.Module, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        level = torch.randint(self.config.train_levels, (len(x),), generator=generator)
        xi = torch.randn(x.shape, generator=generator).to(x)
        noise, logits = model(self.schedule.diffuse(x, level, xi))
        return (noise.float() - xi).square().mean(), cross_entropy(logits.float(), level.to(x.device))
