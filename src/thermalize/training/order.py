"""The order in which data are read that memory cannot hold: shards at random, windows shuffled within groups of them.

    epoch    all blocks, shuffled, in groups of `buffer` or one fewer
    group    the windows of its blocks, shuffled
    batches  cut from the windows of one group after another; those at the end that fill no batch are left out

Everything follows from (seed, epoch, group); nothing is remembered.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from thermalize.seeds import stream
from thermalize.training.blocks import Blocks, Group
from thermalize.training.data import ALL

__all__ = ["BlockOrder", "Rows"]


class Rows(NamedTuple):
    """Rows of a batch."""

    epoch: int
    group: np.ndarray  # number of the group in the epoch
    offset: np.ndarray  # of the first frame among those of the group
    member: np.ndarray  # index of the member
    frame: np.ndarray  # index of the first frame


@dataclass(frozen=True)
class BlockOrder:
    """Windows of every update; a batch larger than the data set takes all of it."""

    blocks: Blocks
    buffer: int
    batch_size: int
    seed: int

    def rows(self, update: int, share: slice = ALL) -> Rows:
        """Where the rows of update 0, 1, … come from."""
        epoch, position = divmod(update, self._total // self._size)
        places = position * self._size + np.arange(self._size)[share]
        ends = _groups(self.blocks, self.buffer, self.seed, epoch)[1]
        group = np.searchsorted(ends, places, side="right")
        found = np.empty((3, len(places)), np.int64)
        for number in np.unique(group):
            of_it = group == number
            found[:, of_it] = self._find(epoch, int(number), places[of_it])
        return Rows(epoch, group, *found)

    def group(self, epoch: int, number: int) -> Group:
        return _groups(self.blocks, self.buffer, self.seed, epoch)[0][number]

    def following(self, epoch: int, number: int) -> Group:
        """The group that is needed after this one."""
        ends = _groups(self.blocks, self.buffer, self.seed, epoch)[1]
        used = self._total // self._size * self._size
        return self.group(epoch, number + 1) if ends[number] < used else self.group(epoch + 1, 0)

    @property
    def _total(self) -> int:
        return int(self.blocks.windows.sum())

    @property
    def _size(self) -> int:
        return min(self.batch_size, self._total)

    def _find(self, epoch: int, number: int, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Offsets in the group, members and first frames of the windows at these places of the epoch."""
        groups, ends = _groups(self.blocks, self.buffer, self.seed, epoch)
        ids = np.array(groups[number].ids)
        windows, frames = self.blocks.windows[ids], self.blocks.frames[ids]
        total = int(windows.sum())
        chosen = _shuffled(total, self.seed, epoch, number)[places - (ends[number] - total)]
        at = np.searchsorted(np.cumsum(windows), chosen, side="right")
        row, start = np.divmod(chosen - (np.cumsum(windows) - windows)[at], self.blocks.starts[ids[at]])
        offset = (np.cumsum(frames) - frames)[at] + row * self.blocks.reach[ids[at]] + start
        return offset, self.blocks.member[ids[at]] + row, self.blocks.frame[ids[at]] + start


@lru_cache(maxsize=4)
def _groups(blocks: Blocks, buffer: int, seed: int, epoch: int) -> tuple[list[Group], np.ndarray]:
    """The groups of an epoch, and how many windows there are up to the end of each."""
    count = len(blocks.windows)
    # of even sizes: a small last group would make batches of few trajectories; sorted: neighbours are read in turn
    parts = np.array_split(stream(seed, "blocks", epoch).permutation(count), -(-count // buffer))
    windows = np.cumsum([blocks.windows[part].sum() for part in parts])
    return [Group(blocks, tuple(sorted(part.tolist()))) for part in parts], windows


@lru_cache(maxsize=4)
def _shuffled(count: int, seed: int, epoch: int, group: int) -> np.ndarray:
    return stream(seed, "group", epoch, group).permutation(count)
