"""What a denoiser's network predicts, and the noise that follows from it.

With x_s = √ᾱ x + √u ξ and u = 1 − ᾱ:

    noise      ξ                     ε̂ = output                          (Ho, Jain, Abbeel, arXiv 2006.11239)
    state      x                     ε̂ = (x_s − √ᾱ x̂) / √u
    velocity   v = √ᾱ ξ − √u x       ε̂ = √ᾱ v̂ + √u x_s                   (Salimans, Ho, arXiv 2202.00512)

An error of x̂ is √(ᾱ/u) times as large in ε̂, 150 times at the lowest level of the cosine schedule; one of v̂ is √ᾱ times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from thermalize.diffusion.schedule import Schedule, column

__all__ = ["PREDICTIONS", "NoisePrediction", "Prediction", "StatePrediction", "VelocityPrediction", "posterior_mean"]


class Prediction(Protocol):
    """Fields are [batch, channel, *grid], levels [batch]."""

    def __init__(self, schedule: Schedule) -> None: ...

    def target(self, x: Tensor, xi: Tensor, level: Tensor) -> Tensor:
        """What the network should say where the state x was noised with ξ to `level`."""
        ...

    def noise(self, noisy: Tensor, output: Tensor, level: Tensor) -> Tensor:
        """ε̂ of what the network said about the noisy state at `level`."""
        ...


@dataclass(frozen=True)
class NoisePrediction:
    schedule: Schedule

    def target(self, x: Tensor, xi: Tensor, level: Tensor) -> Tensor:  # noqa: ARG002
        return xi

    def noise(self, noisy: Tensor, output: Tensor, level: Tensor) -> Tensor:  # noqa: ARG002
        return output


@dataclass(frozen=True)
class StatePrediction:
    schedule: Schedule

    def target(self, x: Tensor, xi: Tensor, level: Tensor) -> Tensor:  # noqa: ARG002
        return x

    def noise(self, noisy: Tensor, output: Tensor, level: Tensor) -> Tensor:
        signal, deviation = columns(self.schedule, level, noisy)
        return (noisy - signal * output) / deviation


@dataclass(frozen=True)
class VelocityPrediction:
    schedule: Schedule

    def target(self, x: Tensor, xi: Tensor, level: Tensor) -> Tensor:
        signal, deviation = columns(self.schedule, level, x)
        return signal * xi - deviation * x

    def noise(self, noisy: Tensor, output: Tensor, level: Tensor) -> Tensor:
        signal, deviation = columns(self.schedule, level, noisy)
        return signal * output + deviation * noisy


PREDICTIONS: dict[str, type[Prediction]] = {
    "noise": NoisePrediction,
    "state": StatePrediction,
    "velocity": VelocityPrediction,
}


def posterior_mean(schedule: Schedule, noisy: Tensor, epsilon: Tensor, level: Tensor) -> Tensor:
    """E[x | x_s] = (x_s − √u ε̂)/√ᾱ, Tweedie's formula; all but `level` [batch] are [batch, channel, *grid]."""
    signal, deviation = columns(schedule, level, noisy)
    return (noisy - deviation * epsilon) / signal


def columns(schedule: Schedule, level: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """√ᾱ and √u of each member, to multiply fields with."""
    return column(schedule.signal(level.cpu()), like), column(schedule.noise(level.cpu()), like)
