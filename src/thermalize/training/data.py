"""Windows of trajectories in batches whose order is a stateless function of seed and epoch.

A resumed training sees what a straight one sees. `Trajectories` holds everything in memory; what does not fit there is
read while the model trains, by `thermalize.training.stream`. Both are `Windows`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from thermalize.models.normalization import Normalization
from thermalize.runtime.errors import UserError
from thermalize.runtime.streams import stream

__all__ = ["EpochOrder", "Trajectories", "Windows", "onto", "spread", "starts"]

ALL = slice(None)


class Windows(Protocol):
    """Normalised windows of consecutive frames, drawn in an order that is a stateless function of seed and epoch."""

    @property
    def frames(self) -> int:
        """Frames per row."""
        ...

    @property
    def settings(self) -> dict[str, Any]:
        """Arguments of `open_windows` that give the same order again, whatever the memory of the machine."""
        ...

    def count(self, length: int) -> int:
        """How many windows of `length` frames there are."""
        ...

    def batch(self, update: int, size: int, length: int, seed: int, share: slice = ALL) -> Tensor:
        """[size, length, channel, *grid] of update 0, 1, … on the device, or the rows in `share` of it."""
        ...

    def origins(self, update: int, size: int, length: int, seed: int) -> list[tuple[int, int]]:
        """(member identifier, first frame) of each row of that batch."""
        ...

    def spread(self, count: int, length: int) -> Tensor:
        """At most `count` windows spread evenly over members and time, the same at every call."""
        ...


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
        return _shuffled(self.count, self.seed, epoch)[position * size : (position + 1) * size].copy()


class Trajectories:
    """Normalised trajectories held in memory, served as windows of consecutive frames."""

    def __init__(
        self,
        values: np.ndarray | Tensor,
        normalization: Normalization | None,
        device: torch.device | str = "cpu",
        members: np.ndarray | None = None,
    ) -> None:
        """Holds the trajectories on the device, or where they are if they are normalised already.

        Args:
            values: [member, time, channel, *grid], in physical units if there is a normalization.
            normalization: of the train split; None for values that are normalised, which are not copied.
            device: where batches are wanted.
            members: identifiers of the members; 0, 1, … when left out.
        """
        self.device = torch.device(device)
        tensor = values if isinstance(values, Tensor) else torch.from_numpy(np.ascontiguousarray(values))
        if normalization is not None:
            mean, std = normalization.tensors(values.ndim - 3)
            tensor = ((tensor - mean) / std).to(self.device)
        self.values = tensor
        self.frames = int(tensor.shape[1])
        self.members = np.arange(len(tensor)) if members is None else np.asarray(members)

    @property
    def settings(self) -> dict[str, Any]:
        return {"mode": "memory"}

    def count(self, length: int) -> int:
        """How many windows of `length` frames there are."""
        return len(self.values) * max(0, self.frames - length + 1)

    def windows(self, indices: np.ndarray, length: int) -> Tensor:
        """[batch, length, channel, *grid] for flat window indices."""
        member, start = (torch.from_numpy(part) for part in np.divmod(indices, starts(self.frames, length)))
        return onto(self.values[member[:, None], start[:, None] + torch.arange(length)], self.device)

    def batch(self, update: int, size: int, length: int, seed: int, share: slice = ALL) -> Tensor:
        """[size, length, channel, *grid] of update 0, 1, … on the device, or the rows in `share` of it."""
        return self.windows(self._indices(update, size, length, seed)[share], length)

    def origins(self, update: int, size: int, length: int, seed: int) -> list[tuple[int, int]]:
        """(member identifier, first frame) of each row of that batch."""
        indices = self._indices(update, size, length, seed)
        member, start = np.divmod(indices, starts(self.frames, length))
        return list(zip(self.members[member].tolist(), start.tolist(), strict=True))

    def spread(self, count: int, length: int) -> Tensor:
        """At most `count` windows spread evenly over members and time, the same at every call."""
        return self.windows(spread(self.count(length), count), length)

    def _indices(self, update: int, size: int, length: int, seed: int) -> np.ndarray:
        return EpochOrder(len(self.values) * starts(self.frames, length), size, seed).batch(update)


def starts(frames: int, length: int) -> int:
    """First frames that a window of `length` frames can have in a row; a `UserError` if there are none."""
    if length > frames:
        raise UserError(
            f"windows of {length} frames do not fit into rows of {frames} frames; unroll fewer steps, or simulate more"
        )
    return frames - length + 1


def spread(total: int, count: int) -> np.ndarray:
    """At most `count` of the indices 0 … total − 1, evenly spread from the first to the last."""
    return np.unique(np.linspace(0, total - 1, min(count, total)).astype(np.int64))


def onto(values: Tensor, device: torch.device) -> Tensor:
    """`values` on the device; on the way to a GPU from pinned memory, so that nobody waits for the copy."""
    if device.type != "cuda" or values.device.type != "cpu":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


@lru_cache(maxsize=4)
def _shuffled(count: int, seed: int, epoch: int) -> np.ndarray:
    return stream(seed, "epoch", epoch).permutation(count)
