"""What a denoiser is trained on: single states of the truth, noised to a random level.

    loss = ‖ŷ(x_s) − y‖² / N + λ · loss of the level head,   s on 0 … train_levels − 1

where y is the noise ξ, the state x or the velocity v (predictions.py); levels.py says how s is drawn and read. Only the
levels that thermalization uses are trained (Pedersen, Zanna, Bruna, arXiv 2503.18731).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from thermalize.config import DiffusionConfig
from thermalize.diffusion.levels import DRAWS, READINGS
from thermalize.diffusion.predictions import PREDICTIONS
from thermalize.diffusion.schedule import Schedule
from thermalize.training.data import Windows

__all__ = ["DiffusionObjective"]

VALIDATION_STATES = 512
VALIDATION_BATCH = 128


class DiffusionObjective:
    """Prediction and level on noised truth; the same on held-out members with fixed noise."""

    monitor = "valid_loss"

    def __init__(self, config: DiffusionConfig, schedule: Schedule, train: Windows, valid: Windows, seed: int) -> None:
        self.config, self.schedule, self.train, self.seed = config, schedule, train, seed
        self.prediction, self.draw = PREDICTIONS[config.prediction](schedule), DRAWS[config.level_distribution]
        self.reading = READINGS[config.level_head](schedule, config.train_levels)
        self.held_out = valid.spread(VALIDATION_STATES, 1)[:, 0]

    def batch(self, update: int, generator: torch.Generator, share: slice) -> tuple[Tensor, ...]:
        """Noisy states, what to predict of them, both [sample, channel, *grid], and their levels [sample]."""
        size = self.config.training.batch_size
        x = self.train.batch(update, size, 1, self.seed, share)[:, 0]
        level, xi = self._draws((size, *x.shape[1:]), generator)
        return self._noised(x, level[share][: len(x)], xi[share][: len(x)])

    def loss(self, model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        mse, level = self._parts(model, batch)
        return mse + self.config.level_weight * level

    def validate(self, model: nn.Module) -> dict[str, float]:
        generator = torch.Generator().manual_seed(self.seed)
        parts = []
        for x in self.held_out.split(VALIDATION_BATCH):
            batch = self._noised(x, *self._draws(tuple(x.shape), generator))
            parts.append(torch.stack(self._parts(model, batch)) * len(x))
        mse, level = (float(value) for value in torch.stack(parts).sum(0) / len(self.held_out))
        return {
            "valid_loss": mse + self.config.level_weight * level,
            f"valid_{self.config.prediction}_mse": mse,
            self.reading.metric: level,
        }

    def describe(self, update: int) -> dict[str, float]:  # noqa: ARG002
        return {}

    def origins(self, update: int) -> list[tuple[int, int]]:
        """Member and frame of every sample of an update."""
        return self.train.origins(update, self.config.training.batch_size, 1, self.seed)

    def _draws(self, shape: tuple[int, ...], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        level = self.draw(self.config.train_levels, shape[0], generator)
        return level, torch.randn(shape, generator=generator)

    def _noised(self, x: Tensor, level: Tensor, xi: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        xi = xi.to(x)
        target = self.prediction.target(x, xi, level)
        return self.schedule.diffuse(x, level, xi), target, level.to(x.device)

    def _parts(self, model: nn.Module, batch: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        noisy, target, level = batch
        predicted, output = model(noisy, level)
        return (predicted.float() - target).square().mean(), self.reading.loss(output, level)
