"""Batches whose order is a stateless function of seed and epoch: a resumed training sees what a straight one sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from thermalize.seeds import stream

__all__ = ["EpochOrder", "Normalization", "Trajectories"]


@dataclass(frozen=True)
class Normalization:
    """Per-channel mean and standard deviation of the train split: x = (u − mean) / std."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def tensors(self, dims: int) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation as [channel, 1, …] to broadcast over `dims` grid axes."""
        shape = (-1,) + (1,) * dims
        return torch.tensor(self.mean).reshape(shape), torch.tensor(self.std).reshape(shape)


@dataclass(frozen=True)
class EpochOrder:
    """Indices of the samples of every update: each epoch visits each of `count` samples at most once, reshuffled."""

    count: int
    batch_size: int
    seed: int

    def batch(self, update: int) -> np.ndarray:
        """Indices [batch] of update 0, 1, …; a batch larger than the data set takes all of it."""
        size = min(self.batch_size, self.count)
        epoch, position = divmod(update, self.count // size)
        order = stream(self.seed, "epoch", epoch).permutation(self.count)
        return order[position * size : (position + 1) * size]


class Trajectories:
    """Normalised trajectories held in memory, served as windows of consecutive frames."""

    def __init__(self, values: np.ndarray, normalization: Normalization, device: torch.device | str = "cpu") -> None:
        """`values` [member, time, channel, *grid] in physical units."""
        mean, std = normalization.tensors(values.ndim - 3)
        self.values = ((torch.from_numpy(np.ascontiguousarray(values)) - mean) / std).to(device)

    def count(self, length: int) -> int:
        """How many windows of `length` frames there are."""
        members, frames = self.values.shape[:2]
        return members * max(0, frames - length + 1)

    def windows(self, indices: np.ndarray, length: int) -> Tensor:
        """[batch, length, channel, *grid] for flat window indices."""
        starts = self.values.shape[1] - length + 1
        member, start = (torch.from_numpy(part) for part in np.divmod(indices, starts))
        return self.values[member[:, None], start[:, None] + torch.arange(length)]

    def spread(self, count: int, length: int) -> Tensor:
        """At most `count` windows spread evenly over members and time, the same at every call."""
        total = self.count(length)
        return self.windows(np.unique(np.linspace(0, total - 1, min(count, total)).astype(np.int64)), length)
