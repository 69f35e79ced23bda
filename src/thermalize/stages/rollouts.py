"""Rollouts streamed to a store, chunk of time by chunk of time, resumable after any of them.

After each chunk the state of the rollout is saved beside the unfinished store; an interrupted rollout continues from
the last one up to which nothing is damaged, and ends bit-identically. Memory does not depend on the length.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

import thermalize
from thermalize.config import Experiment
from thermalize.emulators.load import load_emulator
from thermalize.rollouts.engine import Rollout, Segment, State
from thermalize.rollouts.recording import Behind, Unfinished, frozen
from thermalize.rollouts.series import EVERY, MEASURED, RECORDED, described
from thermalize.runtime.errors import UserError
from thermalize.runtime.files import exclusive, explaining
from thermalize.runtime.members import STEP, member_keys
from thermalize.runtime.progress import track
from thermalize.runtime.streams import stream
from thermalize.stages.measuring import Measuring
from thermalize.stages.stabilizing import Parts
from thermalize.store.blocks import say
from thermalize.store.fingerprint import fingerprint
from thermalize.store.home import Home
from thermalize.store.layout import Layout
from thermalize.store.manifest import (
    check_system,
    completed,
    open_store,
    read_manifest,
    seal,
    store_path,
)
from thermalize.store.results import Results
from thermalize.workflow.steps import STEPS, settings_of

__all__ = ["Job", "initial_frames", "rollout"]


@dataclass(frozen=True)
class Job:
    """One rollout: which emulator under which stabilizer with which seed, from models and truth among the results."""

    experiment: Experiment
    paths: Results
    emulator: str
    stabilizer: str
    seed: int

    @property
    def parts(self) -> Parts:
        return Parts(self.experiment, self.paths, self.emulator, self.stabilizer, self.seed)

    @property
    def system(self) -> dict[str, Any]:
        return self.experiment.simulation.identity

    @property
    def emulator_folder(self) -> Path:
        return self.paths.emulator(self.emulator)

    @property
    def name(self) -> Path:
        """Of the manifest, below the folder of all results."""
        return Results(self.experiment.name, Path()).rollout(self.emulator, self.stabilizer, self.seed)

    @property
    def home(self) -> Home:
        return Home(self.experiment.storage, self.name)

    @property
    def test(self) -> Path:
        return self.paths.simulation("test")

    def fingerprint(self) -> str:
        key = {"emulator": self.emulator, "stabilizer": self.stabilizer, "seed": self.seed}
        settings = settings_of(self.experiment, "rollout", key)
        code = STEPS["rollout"].code(self.experiment, self.emulator, self.stabilizer, str(self.seed))
        return fingerprint(settings, self.seed, self.parts.digests(), code)


def initial_frames(experiment: Experiment, seed: int, history: int = 0) -> tuple[list[int], list[int]]:
    """Test member and frame that each rollout member starts from, which has `history` frames before it."""
    members, frames = experiment.rollouts.members, experiment.simulation.splits["test"].frames
    if history >= frames:
        raise UserError(f"the emulator reads {history} earlier frames, but simulation.splits.test.frames = {frames}")
    if experiment.rollouts.initial == "first":
        return list(range(members)), [history] * members
    draws = [int(stream(experiment.seed, "initial", seed, m).integers(frames - history)) for m in range(members)]
    return list(range(members)), [history + draw for draw in draws]


def rollout(job: Job, manifest: Path, device: torch.device) -> None:
    """Runs the job into the store beside `manifest`, continuing an interrupted run of the same job."""
    manifest.parent.mkdir(parents=True, exist_ok=True)
    check_system(read_manifest(job.test), job.experiment)
    key = job.fingerprint()
    with exclusive(manifest), explaining(manifest):
        if completed(manifest, key, job.home) is None:
            _Stream(job, manifest, key, device).run()


class _Stream:
    """The unfinished store of one rollout and the state to continue it from."""

    def __init__(self, job: Job, manifest: Path, key: str, device: torch.device) -> None:
        self.job, self.manifest, self.key, self.device = job, manifest, key, device
        self.settings = job.experiment.rollouts
        own = job.experiment.emulators[job.emulator]
        self.emulator = load_emulator(job.emulator_folder, job.system, device, trust_code=own)
        self.stabilizer = job.parts.build(device)
        keys = member_keys(job.experiment.seed, job.seed, self.settings.members)
        self.engine = Rollout(self.emulator, self.stabilizer, keys, self.settings.lost_above)
        self.truth = open_store(job.test, storage=job.experiment.storage)
        self.variable = self.truth.attrs["variable"]
        self.final = job.home.place(key) or store_path(manifest)
        self.unfinished = Unfinished(manifest, key, self._layout(), self.final)
        self.measuring = self._measuring() if self.settings.thinned else None

    def run(self) -> None:
        memory, begin = self.stabilizer.memory(self.settings.members), self._initial()
        fresh = State(begin[:, -1], memory=memory, past=begin[:, :-1])
        state = self.unfinished.resume(fresh)
        if self.measuring and state.step and not self.measuring.resume(state):
            say(f"What was measured of {self.unfinished.log.partial} is damaged; the rollout begins anew.")
            state, self.measuring = fresh, self._measuring()
        label = f"rollout {self.job.emulator}/{self.job.stabilizer}/seed{self.job.seed}"
        with track(self.settings.steps, label, initial=state.step) as bar, Behind() as behind:
            while state.step < self.settings.steps:
                began, steps = frozen(state), self._next_chunk(state.step)
                segment = self.engine.advance(state, steps)
                behind(self._writing(began, frozen(state), segment))
                bar.update(steps)
        self._seal(state)

    def _next_chunk(self, step: int) -> int:
        """Steps to the end of the current chunk of frames; frame 0 is the initial condition."""
        boundary = (step + 1) // self.settings.chunk * self.settings.chunk + self.settings.chunk - 1
        return min(boundary, self.settings.steps) - step

    def _initial(self) -> torch.Tensor:
        """True states [member, history + 1, channel, *grid] up to the one that each member begins with."""
        members, frames = self._starts()
        history = self.emulator.history
        member = xr.DataArray(members, dims="member")
        frame = xr.DataArray(np.add.outer(frames, np.arange(-history, 1)), dims=("member", "past"))
        u = self.truth[self.variable].isel(member=member, time=frame).transpose("member", "past", "channel", ...).values
        if not np.isfinite(u).all():
            raise UserError(
                f"{self.job.test} holds initial conditions that are not finite; simulate the test split again"
            )
        return self.emulator.normalize(torch.from_numpy(u).to(self.device))

    def _starts(self) -> tuple[list[int], list[int]]:
        return initial_frames(self.job.experiment, self.job.seed, self.emulator.history)

    def _writing(self, began: State, state: State, segment: Segment) -> Callable[[], None]:
        """What is left to do for a segment between two states."""

        def work() -> None:
            start, found = state.step + 1 - segment.x.shape[1], segment
            if start == 1:
                start, found = 0, self._with_initial(segment)
            std, mean = (t.cpu()[None, None] for t in (self.emulator.std, self.emulator.mean))
            fields, number = (found.x.cpu() * std + mean).numpy(), start // self.settings.chunk
            notes = self.measuring.take(number, fields) if self.measuring else {}
            self.unfinished.write(start, fields, found.record, state, notes)
            if self.measuring:
                self.measuring.forget(began, state)

        return work

    def _with_initial(self, segment: Segment) -> Segment:
        x = self._initial()[:, -1]
        first = Segment.empty(x, 1, self.engine.series)
        record = {name: torch.cat((first.record[name], values), dim=1) for name, values in segment.record.items()}
        return Segment(torch.cat((x[:, None], segment.x), dim=1), record)

    def _layout(self) -> Layout:
        field, frames = self.truth[self.variable], self.settings.steps + 1
        axes = {str(name): self.truth[name].values for name in field.dims[3:]}
        interval = self.job.experiment.simulation.frame_interval
        names = [each.name for each in self.engine.series]
        if taken := [name for name in names if name in (self.variable, *field.dims, STEP) or name.startswith(MEASURED)]:
            raise UserError(f"a series is called {taken[0]!r}, like something else in the store; rename it")
        return Layout(
            variable=self.variable,
            long_name=field.attrs["long_name"],
            units=field.attrs["units"],
            channels=tuple(self.truth["channel"].values.tolist()),
            axes=axes,
            axis_units=self.truth[next(iter(axes))].attrs["units"],
            members=np.arange(self.settings.members),
            time=np.arange(frames) * interval,
            time_units=self.truth["time"].attrs["units"],
            shard=(self.settings.members, self.settings.chunk),
            chunk=(1, self.settings.chunk),
            series={each.name: (each.dtype, each.long_name, each.units) for each in self.engine.series},
            attributes=self._attributes(),
            every=self.settings.every,
        )

    def _measuring(self) -> Measuring:
        starts = list(zip(*self._starts(), strict=True))
        return Measuring(self.job.paths, self.truth, starts, self.unfinished.layout, self.unfinished.log)

    def _attributes(self) -> dict[str, Any]:
        kept = ("system", "equation", "frame_interval")
        members, frames = self._starts()
        return {
            **{name: self.truth.attrs[name] for name in kept},
            "variable": self.variable,
            "emulator": self.job.emulator,
            "stabilizer": self.job.stabilizer,
            "stabilizer_config": json.dumps(self.job.experiment.stabilizers[self.job.stabilizer].model_dump()),
            "seed": self.job.seed,
            "emulator_evaluations": self.emulator.evaluations,
            EVERY: self.settings.every,
            RECORDED: described(self.engine.series),
            "initial_member": members,
            "initial_frame": frames,
            "code_version": thermalize.__version__,
        }

    def _seal(self, state: State) -> None:
        lost = {"lost_step": state.lost_step.tolist(), "lost_cause": state.lost_cause}
        unfinished, attributes = self.unfinished, {**self._attributes(), **lost}
        files = unfinished.log.files(unfinished.chunks)
        measured = self.measuring.arrays() if self.measuring else None
        seal(unfinished.log, unfinished.layout, self.manifest, files, None, attributes, measured, self.job.home)
