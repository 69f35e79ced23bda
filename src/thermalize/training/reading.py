"""Shards as units of reading, and the thread that reads ahead.

Shards as units of reading: what is read of an array [member, time, …] to cut windows from.

A block is what one shard file holds, and as many more frames as windows reach that begin in it. So each window of the
data belongs to one block.

Frames of a store, read and normalised; and what will be needed next, read by a thread of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from threading import Event
from typing import Any, Generic, TypeVar
from weakref import finalize

import numpy as np
import torch
import zarr
from torch import Tensor
from zarr.core.buffer import default_buffer_prototype

from thermalize.models.normalization import Normalization
from thermalize.training.data import starts

__all__ = ["Ahead", "Blocks", "Group", "Reader"]


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


K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Reader:
    """Frames of an array [member, time, channel, *grid], as x = (u − mean) / std in float32."""

    def __init__(self, array: zarr.Array[Any], normalization: Normalization) -> None:
        self.array = array
        self.state = tuple(array.shape[2:])
        self.mean, self.std = (each.numpy() for each in normalization.tensors(array.ndim - 3))

    def into(self, region: tuple[slice, slice], target: np.ndarray) -> None:
        """Fill `target` [member, time, channel, *grid] with the members and frames of the region."""
        # decodes where the numbers are wanted; numpy, because torch would begin a second team of threads here
        self.array.get_basic_selection(region, out=default_buffer_prototype().nd_buffer.from_numpy_array(target))
        np.subtract(target, self.mean, out=target)
        np.divide(target, self.std, out=target)

    def group(self, group: Group, stop: Event) -> Tensor:
        """[frame, channel, *grid] of a group; whoever sets `stop` in the meantime does not want it any more."""
        frames, end = np.empty((group.frames, *self.state), np.float32), 0
        for block in group.ids:
            if stop.is_set():
                break
            member, frame = group.blocks.region(block)
            shape = (member.stop - member.start, frame.stop - frame.start)
            begin, end = end, end + shape[0] * shape[1]
            self.into((member, frame), frames[begin:end].reshape(*shape, *self.state))
        return torch.from_numpy(frames)


class Ahead(Generic[K, V]):
    """Values by key, of which one thread loads the next while the current one is in use; there are never more."""

    def __init__(self, load: Callable[[K, Event], V]) -> None:
        """`load` makes the value of a key; it may return anything once the event is set."""
        self._load, self._pool = load, ThreadPoolExecutor(1, "data")
        self._held: dict[K, tuple[Future[V], Event]] = {}
        # the interpreter waits for the thread at its end
        finalize(self, _give_up, self._held)

    def take(self, key: K, following: K) -> V:
        """The value of `key`, once it is there. Loading `following` begins; all others are forgotten.

        Raises:
            whatever went wrong while the value was loaded.
        """
        for other in self._held.keys() - {key, following}:
            _drop(self._held, other)
        try:
            value = self._begin(key).result()
        except BaseException:
            _drop(self._held, key)
            raise
        self._begin(following)
        return value

    def _begin(self, key: K) -> Future[V]:
        if key not in self._held:
            stop = Event()
            self._held[key] = self._pool.submit(self._load, key, stop), stop
        return self._held[key][0]


def _drop(held: dict[K, tuple[Future[V], Event]], key: K) -> None:
    future, stop = held.pop(key)
    stop.set()
    future.cancel()


def _give_up(held: dict[Any, tuple[Future[Any], Event]]) -> None:
    for key in list(held):
        _drop(held, key)
