"""The denoiser of single snapshots with its heads.

Small networks on top of the features of another.

Denoiser of single snapshots: sees a noisy state, tells its noise and its noise level.

As published there is no level input: the network infers the level from x_s alone (Pedersen, Zanna, Bruna, arXiv
2503.18731). The level needs the encoder alone.

With `level_input` one more channel holds c_s = 1 + ln(√u_s/√u_0) at every grid point, or 0 where the level is unknown.
The level head only ever sees features of a pass with 0 there, in training as in use, so being told teaches it nothing;
the prediction is that of a second pass with c_s.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, cat, nn

from thermalize.config import DiffusionConfig
from thermalize.diffusion import schedule as schedules
from thermalize.diffusion.levels import READINGS
from thermalize.diffusion.predictions import PREDICTIONS
from thermalize.models import build, level_fault
from thermalize.runtime.errors import UserError

__all__ = ["Denoiser", "LevelHead", "NoiseModel", "NoisePredictor"]


class LevelHead(nn.Module):
    """Logits of the noise level from bottleneck features: pooled over the grid, so invariant to shifts.

    [batch, features, *grid] → [batch, levels]
    """

    def __init__(self, features: int, levels: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2 * features, 2 * features), nn.GELU(), nn.Linear(2 * features, levels))

    def forward(self, features: Tensor) -> Tensor:
        flat = features.flatten(2)
        mean, variance = flat.mean(-1), flat.var(-1, correction=0)
        return self.net(cat((mean, (variance + 1e-12).log()), dim=1))


class NoisePredictor(Protocol):
    """What samplers need; an analytic score satisfies it as well as a network."""

    def noise(self, x: Tensor, level: Tensor) -> Tensor:
        """Expected unit noise ε̂ in x [batch, channel, *grid] at `level` [batch]; a blind network ignores the level."""
        ...


class NoiseModel(NoisePredictor, Protocol):
    """What the thermalizer needs."""

    def level(self, x: Tensor) -> Tensor:
        """Most probable noise level [batch] (int64) of normalised states [batch, channel, *grid]."""
        ...


class Denoiser(nn.Module):
    """A network for ξ, x or v (predictions.py) with a level head (levels.py) on its bottleneck."""

    def __init__(self, config: DiffusionConfig, dims: int, channels: int) -> None:
        super().__init__()
        self.schedule = schedules.build(config.schedule)
        self.prediction = PREDICTIONS[config.prediction](self.schedule)
        self.reading = READINGS[config.level_head](self.schedule, config.train_levels)
        self.told = config.level_input
        self.network = build(config.network, dims, channels + self.told, channels)
        if fault := level_fault(self.network):
            raise UserError(fault)
        self.head = LevelHead(self.network.features, self.reading.outputs)

    def forward(self, x: Tensor, level: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """[batch, channel, *grid] → prediction of the same shape, output of the level head [batch, outputs].

        `level` [batch] is for networks that are told; a blind one ignores it.
        """
        blind = self.network.encode(self._beside(x))
        features = self.network.encode(self._beside(x, level)) if self.told else blind
        return self.network.decode(features), self.head(blind[-1])

    def level(self, x: Tensor) -> Tensor:
        return self.reading.level(self.head(self.network.encode(self._beside(x))[-1]))

    def noise(self, x: Tensor, level: Tensor) -> Tensor:
        return self.prediction.noise(x, self.network(self._beside(x, level)), level)

    def _beside(self, x: Tensor, level: Tensor | None = None) -> Tensor:
        """x with the level channel where the network has one: c_s of `level` [batch], or 0 for an unknown level."""
        if not self.told:
            return x
        told = torch.zeros(len(x)) if level is None else self._coordinate(level.cpu())
        return torch.cat((x, schedules.column(told, x).expand(-1, 1, *x.shape[2:])), dim=1)

    def _coordinate(self, level: Tensor) -> Tensor:
        return 1 + (self.schedule.noise(level) / self.schedule.noise(0)).log()
