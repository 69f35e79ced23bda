"""A rollout that stores few of its states is measured while it runs, chunk by chunk, as diagnostics would measure it.

What diagnostics need of frames one after another goes into the store beside the states. After each chunk it is kept
with the state of the rollout, so that one that was interrupted goes on measuring where it goes on computing:

    <name>.zarr.partial.blocks/measured-0003.safetensors    of chunk 3
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from thermalize.metrics.declared import units_of
from thermalize.metrics.reference import field_of
from thermalize.metrics.rollout import Passage, measured_passage, window_distances, window_starts
from thermalize.metrics.rollout_dataset import measured_arrays
from thermalize.metrics.samples import time_blocks
from thermalize.rollouts.engine import NEVER, State
from thermalize.rollouts.retained import Retained
from thermalize.stages.reference import read_reference
from thermalize.store.blocks import BlockLog
from thermalize.store.layout import Layout
from thermalize.store.results import Results

__all__ = ["Measuring"]

Notes = dict[str, Any]
SERIES = ("energy", "enstrophy", "bands", "increment")


class Measuring:
    """What was measured on the frames of a rollout up to where it stands.

    Args:
        paths: where the measured truth lies.
        truth: the test split.
        starts: its (member, frame) of each initial condition.
        layout: of the store.
        log: of the unfinished store.
    """

    def __init__(
        self, paths: Results, truth: xr.Dataset, starts: list[tuple[int, int]], layout: Layout, log: BlockLog
    ) -> None:
        self.truth, self.log = field_of(truth), log
        self.reference = read_reference(paths.reference, truth)
        frames, self.chunk = len(layout.time), layout.shard[1]
        self.passage = Passage(self.reference, self.truth, starts, frames)
        self.starts = window_starts(frames, self.reference.compared)
        self.windows = np.full((len(self.starts), 2), np.nan)
        shape = (len(starts), frames, *self.truth.shape[2:])
        self.retained = Retained(log, shape, self.chunk, self.passage.members, self.reference.compared)

    def take(self, number: int, fields: NDArray[np.float32]) -> Notes:
        """Measure the frames (member, frame, channel, *grid) of a chunk; what is to be noted of it."""
        start = number * self.chunk
        files = self.retained.keep(number, fields)
        for time, u in time_blocks(fields):
            self.passage.see(start + time.start, u)
        stop = start + fields.shape[1]
        for window in self._ended(start, stop):
            self.windows[window] = window_distances(self.retained, self.passage, int(self.starts[window]))
        data = save(self._parts(start, stop))
        return {"retained": files, "measured": [self.log.keep(_name(number), data), len(data)]}

    def forget(self, began: State, state: State) -> None:
        """Delete frames that are needed no more after a chunk between two states."""
        self.retained.drop(self._last(began), self._last(state), self.passage.left)

    def resume(self, state: State) -> bool:
        """Take up what was measured up to `state`; whether all of it, and all frames that are needed, are there."""
        chunks = -(-(state.step + 1) // self.chunk)
        notes = [self.log.entry(number)[1] for number in range(chunks)]
        for number, each in enumerate(notes):
            if not self._take_up(number, each):
                return False
        known = {number: each["retained"] for number, each in enumerate(notes)}
        return self.retained.whole(chunks - 1, self._last(state), self.passage.left, known)

    def arrays(self) -> dict[str, xr.Variable]:
        """All of it as further arrays of the store, once all frames have passed."""
        measured = measured_passage(self.passage, self.retained, self.windows)
        return measured_arrays(measured, units_of(self.truth, self.reference.invariants))

    def _ended(self, start: int, stop: int) -> list[int]:
        """Windows whose last frame is one of start … stop−1."""
        ends = self.starts + self.reference.compared
        return np.flatnonzero((ends > start) & (ends <= stop)).tolist()

    @staticmethod
    def _last(state: State) -> NDArray[np.int64]:
        """Last finite frame (member,)."""
        return np.where(state.lost_step == NEVER, state.step, state.lost_step - 1)

    def _parts(self, start: int, stop: int) -> dict[str, np.ndarray]:
        passage, time = self.passage, slice(start, stop)
        series = {name: getattr(passage.series, name)[:, time] for name in SERIES}
        rest = {
            "correlation": passage.correlation[:, time],
            "windows": self.windows[self._ended(start, stop)],
            "before": passage.before,
            "gone": passage.gone,
            "left": passage.left,
        }
        return {name: np.ascontiguousarray(values) for name, values in {**series, **rest}.items()}

    def _take_up(self, number: int, notes: Notes) -> bool:
        start, stop = number * self.chunk, min((number + 1) * self.chunk, self.retained.shape[1])
        try:
            digest, size = notes["measured"]
            found = load(self.log.kept(_name(number), digest, size) or b"")
            for name in SERIES:
                getattr(self.passage.series, name)[:, start:stop] = found[name]
            self.passage.correlation[:, start:stop] = found["correlation"]
            self.windows[self._ended(start, stop)] = found["windows"]
            self.passage.before = found["before"]
            self.passage.gone, self.passage.left = found["gone"], found["left"]
        except (SafetensorError, KeyError, TypeError, ValueError):
            return False
        return isinstance(notes.get("retained"), dict)


def _name(number: int) -> str:
    return f"measured-{number:04d}.safetensors"
