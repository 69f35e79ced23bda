"""Learning rate and averaged weights, both functions of the number of updates alone."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi

import torch
from torch import Tensor

from thermalize.config import TrainingConfig

__all__ = ["learning_rate", "moving_average"]

Tensors = tuple[Tensor, ...] | list[Tensor]

DECAYS: dict[str, Callable[[float], float]] = {
    "cosine": lambda progress: 0.5 * (1 + cos(pi * progress)),
    "linear": lambda progress: 1 - progress,
    "constant": lambda progress: 1.0,  # noqa: ARG005
}


def learning_rate(config: TrainingConfig, update: int) -> float:
    """Linear warm-up to the peak, then down to `final_learning_rate` of it at the last update."""
    if update < config.warmup:
        return config.learning_rate * (update + 1) / config.warmup
    progress = (update - config.warmup) / max(1, config.updates - config.warmup)
    left = DECAYS[config.decay](min(1.0, progress))
    return config.learning_rate * (config.final_learning_rate + (1 - config.final_learning_rate) * left)


def moving_average(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """θ̄ ← d θ̄ + (1 − d) θ with d = min(decay, (1 + n)/(10 + n)) after n updates: short trainings are not behind."""

    @torch.no_grad()
    def update(averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
        n = int(count)
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + n) / (10 + n)))

    return update
