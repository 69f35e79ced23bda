"""How noise levels are drawn for training, and read from what the level head says.

    classifier   logits [batch, n]    loss = cross-entropy    level = argmax
    regressor    ŷ [batch, 1]         loss = mean (ŷ − y_s)²   level = argmin_s |ŷ − y_s|,   y_s = (ln √u_s − m)/d

with mean m and standard deviation d of ln √u_s over the n trained levels. The classifier gives the most probable level,
the regressor the one nearest to the expected logarithm of the noise: both under the distribution of the training,

    uniform   P(s) = 1/n
    low       P(s) = ln((s + 2)/(s + 1)) / ln(n + 1), which is uniform in ln(s + 1)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from thermalize.diffusion.schedule import Schedule

__all__ = ["DRAWS", "READINGS", "Classifier", "Reading", "Regressor"]


class Reading(Protocol):
    """What the outputs [batch, `outputs`] of a level head mean; `metric` names their loss in the training history."""

    outputs: int
    metric: str

    def loss(self, output: Tensor, level: Tensor) -> Tensor:
        """Mean loss where the true levels are `level` [batch] (int64)."""
        ...

    def level(self, output: Tensor) -> Tensor:
        """Noise level [batch] (int64)."""
        ...


class Classifier:
    """One logit per level (Pedersen, Zanna, Bruna, arXiv 2503.18731)."""

    metric = "valid_level_cross_entropy"

    def __init__(self, schedule: Schedule, levels: int) -> None:  # noqa: ARG002
        self.outputs = levels

    def loss(self, output: Tensor, level: Tensor) -> Tensor:
        return cross_entropy(output.float(), level)

    def level(self, output: Tensor) -> Tensor:
        return output.argmax(dim=1)


class Regressor:
    """The standardised logarithm of the noise's standard deviation, rounded to the nearest level."""

    metric = "valid_level_error"

    def __init__(self, schedule: Schedule, levels: int) -> None:
        logarithm = schedule.noise(torch.arange(levels)).log()
        self.outputs = 1
        self.table = (logarithm - logarithm.mean()) / logarithm.std(correction=0)

    def loss(self, output: Tensor, level: Tensor) -> Tensor:
        return (output[:, 0].float() - self.table.to(output.device, torch.float32)[level]).square().mean()

    def level(self, output: Tensor) -> Tensor:
        return (output - self.table.to(output)).abs().argmin(dim=1)


def uniform(levels: int, count: int, generator: torch.Generator) -> Tensor:
    return torch.randint(levels, (count,), generator=generator)


def low(levels: int, count: int, generator: torch.Generator) -> Tensor:
    quantile = torch.rand(count, generator=generator, dtype=torch.float64)
    return ((levels + 1) ** quantile).long().clamp(max=levels) - 1


READINGS: dict[str, Callable[[Schedule, int], Reading]] = {"classifier": Classifier, "regressor": Regressor}
DRAWS: dict[str, Callable[[int, int, torch.Generator], Tensor]] = {"uniform": uniform, "low": low}
