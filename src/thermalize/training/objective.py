"""What a training minimises."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

__all__ = ["Batch", "Objective"]

Batch = tuple[Tensor, ...]


class Objective(Protocol):
    """A loss of batches. Batches follow from the update's number and its own random generator, nothing else."""

    monitor: str
    """Which validation metric tells the better of two states of a training; lower is better."""

    def batch(self, update: int, generator: torch.Generator, share: slice) -> Batch:
        """Everything random of an update, as tensors with the samples first: the `share` of one process."""
        ...

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Mean over the samples of a batch or of a part of one."""
        ...

    def validate(self, model: nn.Module) -> dict[str, float]: ...

    def describe(self, update: int) -> dict[str, float]: ...

    def origins(self, update: int) -> list[tuple[int, int]]:
        """Member and first frame of every sample of an update."""
        ...
