"""Frames of a store, read and normalised; and what will be needed next, read by a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any, Generic, TypeVar
from weakref import finalize

import numpy as np
import torch
import zarr
from torch import Tensor
from zarr.core.buffer import default_buffer_prototype

from thermalize.training.blocks import Group
from thermalize.training.data import Normalization

__all__ = ["Ahead", "Reader"]

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
