"""Noise schedules: how much of the signal is left at each noise level.

    x_s = √ᾱ_s x + √(1 − ᾱ_s) ξ,   s = 0 … T−1;   level −1 is clean (ᾱ_{−1} = 1)

Cosine schedule (Nichol, Dhariwal, arXiv 2102.09672): f(t) = cos²(½π (t/T + 0.008)/1.008),
β_s = min(1 − f(s+1)/f(s), 0.999), ᾱ_s = Π_{j≤s}(1 − β_j).
"""

from __future__ import annotations

import torch
from torch import Tensor

from thermalize.config import ScheduleConfig

__all__ = ["CLEAN", "Schedule", "build"]

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

    def diffuse(self, x: Tensor, level: Tensor, xi: Tensor) -> Tensor:
        """√ᾱ x + √(1−ᾱ) ξ for x, ξ [batch, channel, *grid] and level [batch]."""
        return column(self.signal(level), x) * x + column(self.noise(level), x) * xi


def column(values: Tensor, like: Tensor) -> Tensor:
    """[batch] → [batch, 1, …] in the dtype and on the device of `like`."""
    return values.to(like).reshape(-1, *(1,) * (like.ndim - 1))


def build(config: ScheduleConfig) -> Schedule:
    """The schedule that the configuration names."""
    return Schedule(BUILDERS[config.kind](config.levels))


def cosine(levels: int) -> Tensor:
    t = torch.arange(levels + 1, dtype=torch.float64) / levels
    f = torch.cos(0.5 * torch.pi * (t + 0.008) / 1.008) ** 2
    beta = (1 - f[1:] / f[:-1]).clamp(max=0.999)
    return torch.cumprod(1 - beta, dim=0)


BUILDERS = {"cosine": cosine}
