"""Shards as units of reading: what is read of an array [member, time, …] to cut windows from.

A block is what one shard file holds, and as many more frames as windows reach that begin in it. So each window of the
data belongs to one block.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from thermalize.training.data import starts

__all__ = ["Blocks", "Group"]


@dataclass(frozen=True)
class Blocks:
    """The blocks of an array [member, time, …] for windows of `length` frames; each property is [block].

    Args:
        shape: members, frames of the array.
        shard: members, frames of a shard; those at the end may be cut.
        length: frames of a window.
    """

    shape: tuple[int, int]
    shard: tuple[int, int]
    length: int

    @property
    def member(self) -> np.ndarray:
        """First member."""
        return self._table[0]

    @property
    def rows(self) -> np.ndarray:
        """Members."""
        return self._table[1]

    @property
    def frame(self) -> np.ndarray:
        """First frame."""
        return self._table[2]

    @property
    def starts(self) -> np.ndarray:
        """Windows that begin in it, per member."""
        return self._table[3]

    @cached_property
    def reach(self) -> np.ndarray:
        """Frames to read per member."""
        return self.starts + self.length - 1

    @cached_property
    def windows(self) -> np.ndarray:
        return self.rows * self.starts

    @cached_property
    def frames(self) -> np.ndarray:
        """Frames to read of all its members."""
        return self.rows * self.reach

    def region(self, block: int) -> tuple[slice, slice]:
        """What to read: members, frames."""
        member, frame = int(self.member[block]), int(self.frame[block])
        return slice(member, member + int(self.rows[block])), slice(frame, frame + int(self.reach[block]))

    @cached_property
    def _table(self) -> np.ndarray:
        """[property, block], time running fastest."""
        lengths = (self.shape[0], starts(self.shape[1], self.length))
        parts = []
        for length, size in zip(lengths, self.shard, strict=True):
            first = np.arange(0, length, size)
            parts.append((first, np.minimum(size, length - first)))
        (member, rows), (frame, begins) = parts
        tables = [np.repeat(part, len(frame)) for part in (member, rows)]
        return np.stack([*tables, *(np.tile(part, len(member)) for part in (frame, begins))])


@dataclass(frozen=True)
class Group:
    """Blocks that are in memory together, in the order in which they are read."""

    blocks: Blocks
    ids: tuple[int, ...]

    @property
    def frames(self) -> int:
        """Frames in memory: block after block, in each of them member after member."""
        return int(self.blocks.frames[list(self.ids)].sum())
