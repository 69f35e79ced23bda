"""Noise schedules: how much of the signal is left at each noise level.

    x_s = √ᾱ_s x + √u_s ξ,   u_s = 1 − ᾱ_s,   s = 0 … T−1;   level −1 is clean (ᾱ_{−1} = 1)

cosine     ᾱ_s = Π_{j≤s}(1 − β_j), β_s = min(1 − f(s+1)/f(s), 0.999), f(t) = cos²(½π (t/T + 0.008)/1.008)
           (Nichol, Dhariwal, arXiv 2102.09672)
linear     the same product with β_s from β_min·1000/T to β_max·1000/T in equal steps
           (Ho, Jain, Abbeel, arXiv 2006.11239)
geometric  √u_s = σ_min (σ_max/σ_min)^{s/(T−1)} (the ratios of Song, Ermon, arXiv 1907.05600)
power      u_s^{−1/p} from σ_min^{−2/p} to σ_max^{−2/p} in equal steps

White noise of variance u hides those modes of a spectrum λ_k ∝ k^{−p} that lie beyond k ∝ u^{−1/p}. In a power schedule
every level hides equally many more wavenumbers than the one below. The cosine schedule spends its levels on few large
scales instead: with p = 3, two thirds of the wavenumbers that levels 0 … 200 hide are hidden by level 10. As p grows,
the power schedule becomes the geometric one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from thermalize.config import (
    CosineScheduleConfig,
    GeometricScheduleConfig,
    LinearScheduleConfig,
    PowerScheduleConfig,
    ScheduleConfig,
)

__all__ = ["CLEAN", "SCHEDULES", "Schedule", "build", "column"]

CLEAN = -1


class Schedule:
    """Table of ᾱ by level, in float64; `signal` and `noise` look levels up, −1 meaning clean."""

    def __init__(self, alpha_bar: Tensor) -> None:
        self.alpha_bar = torch.cat((torch.ones(1, dtype=torch.float64), alpha_bar.to(torch.float64)))

    @property
    def levels(self) -> int:
        return len(self.alpha_bar) - 1

    def signal(self, level: Tensor | int) -> Tensor:
        """√ᾱ of each level."""
        return self.alpha_bar[torch.as_tensor(level) + 1].sqrt()

    def noise(self, level: Tensor | int) -> Tensor:
        """√(1 − ᾱ) of each level: the standard deviation of its noise."""
        return (1 - self.alpha_bar[torch.as_tensor(level) + 1]).sqrt()

    def log_snr(self, level: Tensor | int) -> Tensor:
        """log √ᾱ − log √(1−ᾱ) of each level, which falls with the level; infinite where it is clean."""
        return self.signal(level).log() - self.noise(level).log()

    def diffuse(self, x: Tensor, level: Tensor, xi: Tensor) -> Tensor:
        """√ᾱ x + √(1−ᾱ) ξ for x, ξ [batch, channel, *grid] and level [batch]."""
        return column(self.signal(level), x) * x + column(self.noise(level), x) * xi


def column(values: Tensor, like: Tensor) -> Tensor:
    """[batch] → [batch, 1, …] in the dtype and on the device of `like`."""
    return values.to(like).reshape(-1, *(1,) * (like.ndim - 1))


def build(config: ScheduleConfig) -> Schedule:
    """The schedule that the configuration names."""
    return Schedule(SCHEDULES[config.kind](config))


def cosine(config: CosineScheduleConfig) -> Tensor:
    t = torch.arange(config.levels + 1, dtype=torch.float64) / config.levels
    f = torch.cos(0.5 * torch.pi * (t + 0.008) / 1.008) ** 2
    beta = (1 - f[1:] / f[:-1]).clamp(max=0.999)
    return torch.cumprod(1 - beta, dim=0)


def linear(config: LinearScheduleConfig) -> Tensor:
    beta = torch.linspace(config.beta_min, config.beta_max, config.levels, dtype=torch.float64) * 1000 / config.levels
    return torch.cumprod(1 - beta, dim=0)


def geometric(config: GeometricScheduleConfig) -> Tensor:
    low, high = torch.tensor((config.sigma_min, config.sigma_max), dtype=torch.float64).log()
    return 1 - (low + (high - low) * _fractions(config.levels)).exp() ** 2


def power(config: PowerScheduleConfig) -> Tensor:
    low, high = torch.tensor((config.sigma_min, config.sigma_max), dtype=torch.float64) ** (-2 / config.exponent)
    return 1 - (low + (high - low) * _fractions(config.levels)) ** -config.exponent


def _fractions(levels: int) -> Tensor:
    """From 0 at the lowest level to 1 at the highest."""
    return torch.linspace(0, 1, levels, dtype=torch.float64)


SCHEDULES: dict[str, Callable[[Any], Tensor]] = {
    "cosine": cosine,
    "linear": linear,
    "geometric": geometric,
    "power": power,
}
