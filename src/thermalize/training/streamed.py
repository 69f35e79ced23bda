"""Windows that are read while the model trains, for data that memory cannot hold, and the order in which they come.

    epoch    all blocks, shuffled, in groups of `buffer` or one fewer
    group    the windows of its blocks, shuffled
    batches  cut from the windows of one group after another; those at the end that fill no batch are left out

Everything follows from (seed, epoch, group); nothing is remembered. Two groups are in memory: the one that batches are
drawn from, and the next, which is being read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import torch
import zarr
from torch import Tensor

from thermalize.models.normalization import Normalization
from thermalize.runtime.errors import UserError
from thermalize.runtime.streams import stream
from thermalize.training.data import ALL, onto, spread, starts
from thermalize.training.reading import Ahead, Blocks, Group, Reader

__all__ = ["BlockOrder", "Rows", "Streamed"]

GROUPS = 2
"""That are in memory."""
DECODING = 2
"""Blocks that zarr needs to read one, as bytes of the file and once decoded."""


class Rows(NamedTuple):
    """Rows of a batch."""

    epoch: int
    group: np.ndarray  # number of the group in the epoch
    offset: np.ndarray  # of the first frame among those of the group
    member: np.ndarray  # index of the member
    frame: np.ndarray  # index of the first frame


class Epoch(NamedTuple):
    """All windows, once."""

    groups: list[Group]
    ends: np.ndarray  # how many windows there are up to the end of each group


@dataclass(frozen=True)
class BlockOrder:
    """Windows of every update; a batch larger than the data set takes all of it."""

    blocks: Blocks
    buffer: int
    batch_size: int
    seed: int

    def rows(self, update: int, share: slice = ALL) -> Rows:
        """Where the rows of update 0, 1, … come from."""
        epoch, position = divmod(update, self._batches)
        places = position * self._size + np.arange(self._size)[share]
        group = np.searchsorted(self._epoch(epoch).ends, places, side="right")
        found = np.empty((3, len(places)), np.int64)
        for number in np.unique(group):
            of_it = group == number
            found[:, of_it] = self._find(epoch, int(number), places[of_it])
        return Rows(epoch, group, *found)

    def group(self, epoch: int, number: int) -> Group:
        return self._epoch(epoch).groups[number]

    def following(self, epoch: int, number: int) -> Group:
        """The group that is needed after this one."""
        is_last = self._epoch(epoch).ends[number] >= self._batches * self._size
        return self.group(epoch + 1, 0) if is_last else self.group(epoch, number + 1)

    @property
    def _batches(self) -> int:
        """Of an epoch."""
        return int(self.blocks.windows.sum()) // self._size

    @property
    def _size(self) -> int:
        return min(self.batch_size, int(self.blocks.windows.sum()))

    def _epoch(self, number: int) -> Epoch:
        return _epoch(self.blocks, self.buffer, self.seed, number)

    def _find(self, epoch: int, number: int, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Offsets in the group, members and first frames of the windows at these places of the epoch."""
        ids = np.array(self.group(epoch, number).ids)
        windows, frames = self.blocks.windows[ids], self.blocks.frames[ids]
        total = int(windows.sum())
        chosen = _shuffled(total, self.seed, epoch, number)[places - (self._epoch(epoch).ends[number] - total)]
        at = np.searchsorted(np.cumsum(windows), chosen, side="right")
        block = ids[at]
        row, start = np.divmod(chosen - _before(windows)[at], self.blocks.starts[block])
        offset = _before(frames)[at] + row * self.blocks.reach[block] + start
        return offset, self.blocks.member[block] + row, self.blocks.frame[block] + start


@lru_cache(maxsize=4)
def _epoch(blocks: Blocks, buffer: int, seed: int, number: int) -> Epoch:
    count = len(blocks.windows)
    # of even sizes: a small last group would make batches of few trajectories; sorted: neighbours are read in turn
    parts = np.array_split(stream(seed, "blocks", number).permutation(count), -(-count // buffer))
    ends = np.cumsum([blocks.windows[part].sum() for part in parts])
    return Epoch([Group(blocks, tuple(sorted(part.tolist()))) for part in parts], ends)


@lru_cache(maxsize=4)
def _shuffled(count: int, seed: int, epoch: int, group: int) -> np.ndarray:
    return stream(seed, "group", epoch, group).permutation(count)


def _before(counts: np.ndarray) -> np.ndarray:
    """How many there are before each."""
    return np.cumsum(counts) - counts


class Streamed:
    """Normalised windows of consecutive frames, read from an array in the order of its shards' shuffle."""

    def __init__(
        self,
        values: zarr.Array[Any],
        normalization: Normalization,
        device: torch.device | str = "cpu",
        members: np.ndarray | None = None,
        *,
        budget_bytes: int,
    ) -> None:
        """Reads nothing yet.

        Args:
            values: [member, time, channel, *grid] in physical units.
            normalization: of the train split.
            device: where batches are wanted.
            members: identifiers of the members; 0, 1, … when left out.
            budget_bytes: memory that may be used; the order of the windows depends on it.

        Raises:
            UserError: not even one block at a time fits.
        """
        self.values, self.device, self.budget = values, torch.device(device), budget_bytes
        self.frames = int(values.shape[1])
        self.members = np.arange(values.shape[0]) if members is None else np.asarray(members)
        self._reader = Reader(values, normalization)
        self._ahead: Ahead[Group, Tensor] = Ahead(self._reader.group)
        self._blocks: dict[int, Blocks] = {}
        self.buffer(1)

    @property
    def settings(self) -> dict[str, Any]:
        return {"mode": "stream", "memory_bytes": self.budget}

    def buffer(self, length: int) -> int:
        """How many blocks are in memory together, for windows of `length` frames."""
        block = 4 * int(np.prod(self.values.shape[2:])) * int(self.blocks(length).frames.max())
        fitting, least = (self.budget // block - DECODING) // GROUPS, DECODING + GROUPS
        if fitting < 1:
            raise UserError(
                f"{_size(self.budget)} of memory are too little to stream {self.values.path}: {least} shards of "
                f"{_size(block)} must fit; set training.memory: {ceil(least * block / 1e7) / 100:g} (GB), or make "
                "shards smaller with simulation.block or simulation.shard_frames"
            )
        return fitting

    def blocks(self, length: int) -> Blocks:
        """Units of reading for windows of `length` frames."""
        if length not in self._blocks:
            shards = self.values.shards or self.values.chunks
            self._blocks[length] = Blocks((self.values.shape[0], self.frames), (shards[0], shards[1]), length)
        return self._blocks[length]

    def count(self, length: int) -> int:
        """How many windows of `length` frames there are."""
        return int(self.values.shape[0]) * max(0, self.frames - length + 1)

    def batch(self, update: int, size: int, length: int, seed: int, share: slice = ALL) -> Tensor:
        """[size, length, channel, *grid] of update 0, 1, … on the device, or the rows in `share` of it."""
        order = self._order(size, length, seed)
        rows = order.rows(update, share)
        shape = (len(rows.group), length, *self.values.shape[2:])
        batch = torch.empty(shape, pin_memory=self.device.type == "cuda")
        numbers, first, count = np.unique(rows.group, return_index=True, return_counts=True)
        for number, part in zip(numbers.tolist(), map(slice, first, first + count), strict=True):
            wanted, following = order.group(rows.epoch, number), order.following(rows.epoch, number)
            # no name for what is taken: it must be free before the group after the next is loaded
            _copy(self._ahead.take(wanted, following), rows.offset[part], batch[part])
        return onto(batch, self.device)

    def origins(self, update: int, size: int, length: int, seed: int) -> list[tuple[int, int]]:
        """(member identifier, first frame) of each row of that batch; nothing is read."""
        rows = self._order(size, length, seed).rows(update)
        return list(zip(self.members[rows.member].tolist(), rows.frame.tolist(), strict=True))

    def spread(self, count: int, length: int) -> Tensor:
        """At most `count` windows spread evenly over members and time, the same at every call; reads just those."""
        windows = np.divmod(spread(self.count(length), count), starts(self.frames, length))
        found = np.empty((len(windows[0]), length, *self.values.shape[2:]), np.float32)
        for target, member, start in zip(found, *(each.tolist() for each in windows), strict=True):
            self._reader.into((slice(member, member + 1), slice(start, start + length)), target[None])
        return onto(torch.from_numpy(found), self.device)

    def _order(self, size: int, length: int, seed: int) -> BlockOrder:
        return BlockOrder(self.blocks(length), self.buffer(length), size, seed)


def _copy(frames: Tensor, offset: np.ndarray, rows: Tensor) -> None:
    """Copy the windows that begin at `offset` of `frames` [frame, channel, *grid] to the rows of a batch."""
    index = torch.from_numpy((offset[:, None] + np.arange(rows.shape[1])).ravel())
    torch.index_select(frames, 0, index, out=rows.flatten(0, 1))


def _size(size: float) -> str:
    return f"{size / 1e9:.3g} GB" if size >= 1e9 else f"{size / 1e6:.3g} MB"
