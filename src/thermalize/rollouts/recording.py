"""An unfinished rollout on disk: frames streamed to a store, and the states to continue from.

Chunks are written by a thread of their own while the next one is computed; never more than one waits, so that memory
does not depend on the length. A chunk is recorded, with the digests of its shards and of the state after it, once all
of them are written. A run that is taken up goes on after the last chunk up to which everything is as it was recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from thermalize.rollouts.engine import NEVER, State
from thermalize.runtime.errors import UserError
from thermalize.store.blocks import BlockLog, say
from thermalize.store.layout import Files, Layout
from thermalize.store.location import Place
from thermalize.store.manifest import partial_path

__all__ = ["Behind", "Unfinished", "frozen"]

MEMORY = "memory_"


class Behind:
    """Runs one piece of work at a time in another thread; its errors are raised by the next call or the end."""

    def __init__(self) -> None:
        self._pool, self._last = ThreadPoolExecutor(1), None

    _last: Future[None] | None

    def __call__(self, work: Callable[[], None]) -> None:
        self.wait()
        self._last = self._pool.submit(work)

    def wait(self) -> None:
        if self._last is not None:
            self._last.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(wait=True)
        if kind is None:
            self.wait()


class Unfinished:
    """The partial store beside a manifest, and the states of the rollout with fingerprint `key` after its chunks."""

    def __init__(self, manifest: Path, key: str, layout: Layout, final: Place) -> None:
        self.layout = layout
        self.log = BlockLog(partial_path(manifest), key, final)

    @property
    def chunks(self) -> int:
        return -(-len(self.layout.time) // self.layout.shard[1])

    def resume(self, begin: State) -> State:
        """The state after the last chunk that is whole, as are all before it; `begin` where there is none."""
        self.log.begin(self.layout)
        state = begin
        for chunk in range(self.chunks):
            if not self.log.done(chunk, self._shards(chunk)):
                break
            if (found := self._state(chunk, begin)) is None:
                say(f"What was kept to go on after chunk {chunk} of {self.log.partial} is damaged; it is not used.")
            else:
                state = found
        return state

    def write(
        self, start: int, fields: np.ndarray, record: Mapping[str, Tensor], state: State, notes: Mapping[str, Any]
    ) -> None:
        """Writes frames from `start` on, `fields` [member, frame, channel, *grid] in physical units, of which some are
        stored, what was recorded [member, frame], then the state, and a record with further `notes`.
        """
        number, files = start // self.layout.shard[1], Files()
        recorded = {
            name: _stored(name, record[name].numpy(), dtype) for name, (dtype, *_) in self.layout.series.items()
        }
        for name, when in self._times(number):
            values = recorded[name] if name in recorded else fields[:, -start % self.layout.every :: self.layout.every]
            files |= self.log.write(self.layout, name, slice(0, len(fields)), when, values, allow_nan=True)
        kept = self.log.keep(_state_name(number), _bytes(state))
        lost = {"lost_step": state.lost_step.tolist(), "lost_cause": state.lost_cause}
        self.log.record(number, files, state=kept, step=state.step, **lost, **notes)

    def _times(self, chunk: int) -> Iterator[tuple[str, slice]]:
        """The arrays that a chunk writes into, and which of their frames."""
        frames, size = len(self.layout.time), self.layout.shard[1]
        time = slice(chunk * size, min((chunk + 1) * size, frames))
        stored = self.layout.stored(time)
        if stored.start < stored.stop:
            yield self.layout.variable, stored
        yield from ((name, time) for name in self.layout.series)

    def _shards(self, chunk: int) -> list[str]:
        return [shard for name, when in self._times(chunk) for shard, _ in self.layout.shards(name, time=when)]

    def _state(self, chunk: int, begin: State) -> State | None:
        """The state after a chunk, if it is as it was kept and may be one of this rollout, which began with `begin`."""
        _, notes = self.log.entry(chunk)
        data = self.log.kept(_state_name(chunk), notes.get("state"), len(_bytes(begin)))
        step = min((chunk + 1) * self.layout.shard[1], len(self.layout.time)) - 1
        state = None if data is None else _read(data, notes, begin)
        return state if state is not None and notes.get("step") == step and _plausible(state, begin) else None


def _state_name(chunk: int) -> str:
    return f"state-{chunk:04d}.safetensors"


def _stored(name: str, values: np.ndarray, dtype: str) -> np.ndarray:
    if dtype == "int16" and values.size and np.abs(values).max() > np.iinfo(np.int16).max:
        raise UserError(f"series {name!r} holds {np.abs(values).max()}, more than int16 does; declare it as float32")
    return values.astype(dtype)


def _bytes(state: State) -> bytes:
    memory = {f"{MEMORY}{name}": value.clone().contiguous() for name, value in state.memory.items()}
    return save_tensors({"x": state.x.cpu().contiguous(), "past": state.past.cpu().contiguous(), **memory})


def _read(data: bytes, notes: dict[str, Any], begin: State) -> State | None:
    try:
        tensors = load_tensors(data)
        x, past, steps = tensors.pop("x"), tensors.pop("past"), np.array(notes["lost_step"])
        causes = notes["lost_cause"]
    except (SafetensorError, KeyError, ValueError):
        return None
    memory = {name.removeprefix(MEMORY): value for name, value in tensors.items()}
    if steps.dtype != np.int64 or not isinstance(causes, list) or type(notes["step"]) is not int:
        return None
    device = begin.x.device
    return State(x.to(device), notes["step"], steps, [str(cause) for cause in causes], memory, past.to(device))


def _plausible(state: State, begin: State) -> bool:
    """Whether a state has the form of the first one, and is finite where it is not lost."""
    members = len(begin.x)
    if state.lost_step.shape != (members,) or len(state.lost_cause) != members:
        return False
    pairs = [
        (state.x, begin.x),
        (state.past, begin.past),
        *((state.memory.get(name), value) for name, value in begin.memory.items()),
    ]
    alike = all(a is not None and a.shape == b.shape and a.dtype == b.dtype for a, b in pairs)
    if not alike or state.memory.keys() != begin.memory.keys():
        return False
    lost = state.lost_step != NEVER
    causes = [cause != "" for cause in state.lost_cause] == lost.tolist()
    steps = bool(((state.lost_step[lost] >= 1) & (state.lost_step[lost] <= state.step)).all())
    return causes and steps and bool(torch.isfinite(state.x[state.alive.to(state.x.device)]).all())


def frozen(state: State) -> State:
    """The state as it is now, while the rollout goes on."""
    memory = {name: value.clone() for name, value in state.memory.items()}
    return replace(state, lost_step=state.lost_step.copy(), lost_cause=[*state.lost_cause], memory=memory)
