"""Which samples a loss was lost on."""

from __future__ import annotations

from math import isfinite

import torch
from torch import nn

from thermalize.config import TrainingConfig
from thermalize.errors import UserError
from thermalize.training.objective import Batch, Objective

__all__ = ["lost"]

NAMED = 5
Origins = list[tuple[int, int]]


def lost(
    loss: float, where: str, config: TrainingConfig, objective: Objective, model: nn.Module, batch: Batch, of: Origins
) -> UserError:
    """The error for a loss that is not finite: when, on which samples, and what to try.

    `of` are member and first frame of each sample of `batch`.
    """
    slower = f"try learning_rate: {config.learning_rate / 3:.2g}"
    if not all(bool(torch.isfinite(p).all()) for p in model.parameters()):
        return UserError(f"{where}: the loss became {loss} because weights are no longer finite; {slower}")
    guilty = [origin for origin, value in zip(of, _each(objective, model, batch), strict=True) if not isfinite(value)]
    if not guilty:
        return UserError(f"{where}: the loss became {loss} though every sample by itself has a finite one; {slower}")
    if len(guilty) == len(of):
        return UserError(f"{where}: the loss became {loss} on every sample ({_named(guilty)}); {slower}")
    return UserError(f"{where}: the loss became {loss} on {_named(guilty)}; look at the data there, or {slower}")


@torch.no_grad()
def _each(objective: Objective, model: nn.Module, batch: Batch) -> list[float]:
    return [float(objective.loss(model, part)) for part in zip(*(tensor.split(1) for tensor in batch), strict=True)]


def _named(origins: Origins) -> str:
    named = ", ".join(f"member {member} from frame {frame}" for member, frame in origins[:NAMED])
    return named + (f" and {len(origins) - NAMED} more" if len(origins) > NAMED else "")
