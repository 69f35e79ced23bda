"""An unfinished rollout on disk: frames streamed to a store, and the state to continue from.

Chunks are written by a thread of their own while the next one is computed; never more than one waits, so that memory
does not depend on the length. The state after a chunk is saved once the chunk is.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self
from zipfile import BadZipFile

import numpy as np
import torch

from thermalize.autoregression import Chunk, State
from thermalize.store.atomic import replacing
from thermalize.store.draft import draft_at
from thermalize.store.layout import Layout, create, write
from thermalize.store.manifest import partial_path
from thermalize.store.place import Place

__all__ = ["SERIES", "Behind", "Unfinished", "frozen", "saved_state"]

SERIES = {
    "level": ("int16", "predicted noise level, -1 where it was not looked at", "1"),
    "reverse_steps": ("int16", "network evaluations spent on denoising", "1"),
    "displacement": ("float32", "root mean square change by denoising, in standard deviations of the data", "1"),
    "drift": (
        "float32",
        "largest deviation of a smoothed band energy from the truth's, in units of the threshold",
        "1",
    ),
    "rescaled": ("int16", "bands of wavenumbers whose energy was set right", "1"),
}
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
    """The partial store beside a manifest, and the state of the rollout with fingerprint `key` beside it."""

    def __init__(self, manifest: Path, key: str, variable: str, final: Place) -> None:
        self.partial, self.saved = partial_path(manifest), saved_state(manifest)
        self.draft = draft_at(self.partial, final)
        self.key, self.variable = key, variable

    def begin(self, layout: Layout) -> None:
        self.draft.discard()
        self.saved.unlink(missing_ok=True)
        create(self.partial, layout)
        self.draft.begin()

    def resume(self, device: torch.device) -> State | None:
        """The state after the last whole chunk; None where there is none of this rollout."""
        try:
            saved = np.load(self.saved, allow_pickle=False)
            if str(saved["fingerprint"]) != self.key or not self.partial.exists() or not self.draft.ours:
                return None
            self.draft.begin()
            memory = {name.removeprefix(MEMORY): torch.from_numpy(saved[name]) for name in saved if MEMORY in name}
            x = torch.from_numpy(saved["x"]).to(device)
            return State(x, int(saved["step"]), saved["lost_step"], saved["lost_cause"].tolist(), memory)
        except (FileNotFoundError, BadZipFile, KeyError, ValueError):
            return None

    def write(self, start: int, fields: np.ndarray, chunk: Chunk, state: State) -> None:
        """Writes frames from `start` on, `fields` [member, frame, channel, *grid] in physical units, then the state."""
        everyone, when = slice(0, len(fields)), slice(start, start + fields.shape[1])
        self._write(self.variable, everyone, when, fields)
        for name, (dtype, *_) in SERIES.items():
            self._write(name, everyone, when, getattr(chunk, name).numpy().astype(dtype))
        self._save(state)

    def _write(self, name: str, member: slice, time: slice, values: np.ndarray) -> None:
        write(self.partial, name, member, time, values)
        self.draft.keep(name, (member, time))

    def _save(self, state: State) -> None:
        with replacing(self.saved) as path, path.open("wb") as file:
            np.savez(
                file,
                allow_pickle=False,
                fingerprint=np.array(self.key),
                x=state.x.cpu().numpy(),
                step=np.array(state.step),
                lost_step=state.lost_step,
                lost_cause=np.array(state.lost_cause),
                **{f"{MEMORY}{name}": value.numpy() for name, value in state.memory.items()},
            )


def saved_state(manifest: Path) -> Path:
    partial = partial_path(manifest)
    return partial.with_name(f"{partial.name}.state.npz")


def frozen(state: State) -> State:
    """The state as it is now, while the rollout goes on."""
    memory = {name: value.clone() for name, value in state.memory.items()}
    return replace(state, lost_step=state.lost_step.copy(), lost_cause=[*state.lost_cause], memory=memory)
