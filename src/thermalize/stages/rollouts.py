"""Rollouts streamed to a store, chunk of time by chunk of time, resumable after any of them.

After each chunk the state of the rollout is saved beside the unfinished store; an interrupted rollout continues from
there and ends bit-identically. Memory does not depend on the length.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
import xarray as xr

import thermalize
from thermalize.config import Experiment
from thermalize.diffusion.trained import TrainedDiffusion
from thermalize.errors import UserError
from thermalize.progress import track
from thermalize.rollout import Chunk, Rollout, State, member_keys
from thermalize.seeds import stream
from thermalize.stabilizers.build import build
from thermalize.stages.diffusion import load_diffusion
from thermalize.stages.emulator import load_emulator
from thermalize.store.atomic import exclusive, explaining, replacing
from thermalize.store.fingerprint import code_digest, fingerprint
from thermalize.store.layout import Layout, create, write
from thermalize.store.manifest import check_system, completed, open_store, partial_path, read_manifest, seal, store_path
from thermalize.training.folder import read_card

__all__ = ["Job", "initial_frames", "rollout"]

CODE = (
    "thermalize.rollout",
    "thermalize.stabilizers",
    "thermalize.diffusion",
    "thermalize.emulators",
    "thermalize.models",
)
SERIES = {
    "level": ("int16", "predicted noise level, -1 where it was not looked at", "1"),
    "reverse_steps": ("int16", "network evaluations spent on denoising", "1"),
    "displacement": ("float32", "root mean square change by the stabilizer, in standard deviations of the data", "1"),
}


@dataclass(frozen=True)
class Job:
    """One rollout: which emulator under which stabilizer with which seed, and from which models and truth."""

    experiment: Experiment
    emulator: str
    stabilizer: str
    seed: int
    emulator_folder: Path
    diffusion_folder: Path | None
    test: Path

    @property
    def system(self) -> dict[str, Any]:
        return self.experiment.simulation.identity

    def fingerprint(self) -> str:
        digests = [read_card(self.emulator_folder, "emulator", self.system)["weights_digest"]]
        if self.diffusion_folder is not None:
            card = read_card(self.diffusion_folder, "diffusion", self.system)
            digests += [card["weights_digest"], card["calibration"]]
        settings = self.experiment.rollouts.model_dump(exclude={"stabilizers", "sweeps"})
        chosen = self.experiment.stabilizers[self.stabilizer].model_dump()
        test = read_manifest(self.test).fingerprint
        return fingerprint(settings, chosen, self.seed, self.experiment.seed, digests, test, code_digest(*CODE))

    def diffusion(self, device: torch.device) -> TrainedDiffusion | None:
        return None if self.diffusion_folder is None else load_diffusion(self.diffusion_folder, self.system, device)


def initial_frames(experiment: Experiment, seed: int) -> tuple[list[int], list[int]]:
    """Test member and frame that each rollout member starts from."""
    members, frames = experiment.rollouts.members, experiment.simulation.splits["test"].frames
    if experiment.rollouts.initial == "first":
        return list(range(members)), [0] * members
    draws = [int(stream(experiment.seed, "initial", seed, m).integers(frames)) for m in range(members)]
    return list(range(members)), draws


def rollout(job: Job, manifest: Path, device: torch.device) -> None:
    """Runs the job into the store beside `manifest`, continuing an interrupted run of the same job."""
    manifest.parent.mkdir(parents=True, exist_ok=True)
    check_system(read_manifest(job.test), job.experiment)
    key = job.fingerprint()
    with exclusive(manifest), explaining(manifest):
        if completed(manifest, key) is None:
            _Stream(job, manifest, key, device).run()
        _state_path(manifest).unlink(missing_ok=True)


def _state_path(manifest: Path) -> Path:
    partial = partial_path(manifest)
    return partial.with_name(f"{partial.name}.state.npz")


class _Stream:
    """The unfinished store of one rollout and the state to continue it from."""

    def __init__(self, job: Job, manifest: Path, key: str, device: torch.device) -> None:
        self.job, self.manifest, self.key, self.device = job, manifest, key, device
        self.final, self.partial = store_path(manifest), partial_path(manifest)
        self.saved = _state_path(manifest)
        self.settings = job.experiment.rollouts
        self.emulator = load_emulator(job.emulator_folder, job.system, device)
        self.truth = open_store(job.test)
        self.variable = self.truth.attrs["variable"]

    def run(self) -> None:
        state = self._resume() or self._begin()
        keys = member_keys(self.job.experiment.seed, self.job.seed, self.settings.members)
        stabilizer = build(self.job.experiment.stabilizers[self.job.stabilizer], self.job.diffusion(self.device))
        run = Rollout(self.emulator, stabilizer, keys, self.settings.lost_above)
        label = f"rollout {self.job.emulator}/{self.job.stabilizer}/seed{self.job.seed}"
        with track(self.settings.steps, label, initial=state.step) as bar:
            while state.step < self.settings.steps:
                steps = self._next_chunk(state.step)
                self._write(state, run.advance(state, steps))
                bar.update(steps)
        self._seal(state)

    def _next_chunk(self, step: int) -> int:
        """Steps to the end of the current chunk of frames; frame 0 is the initial condition."""
        boundary = (step + 1) // self.settings.chunk * self.settings.chunk + self.settings.chunk - 1
        return min(boundary, self.settings.steps) - step

    def _resume(self) -> State | None:
        try:
            saved = np.load(self.saved, allow_pickle=False)
            if str(saved["fingerprint"]) != self.key or not self.partial.exists():
                return None
            x = torch.from_numpy(saved["x"]).to(self.device)
            return State(x, int(saved["step"]), saved["lost_step"], saved["lost_cause"].tolist())
        except (FileNotFoundError, BadZipFile, KeyError, ValueError):
            return None

    def _begin(self) -> State:
        shutil.rmtree(self.partial, ignore_errors=True)
        self.saved.unlink(missing_ok=True)
        create(self.partial, self._layout())
        return State(self._initial())

    def _initial(self) -> torch.Tensor:
        member, frame = (xr.DataArray(index, dims="member") for index in self._starts())
        u = self.truth[self.variable].isel(member=member, time=frame).transpose("member", "channel", ...).values
        if not np.isfinite(u).all():
            raise UserError(
                f"{self.job.test} holds initial conditions that are not finite; simulate the test split again"
            )
        return self.emulator.normalize(torch.from_numpy(u).to(self.device))

    def _starts(self) -> tuple[list[int], list[int]]:
        return initial_frames(self.job.experiment, self.job.seed)

    def _write(self, state: State, chunk: Chunk) -> None:
        stop = state.step + 1
        start = stop - chunk.x.shape[1]
        if start == 1:
            start, chunk = 0, self._with_initial(chunk)
        std, mean = (t.cpu()[None, None] for t in (self.emulator.std, self.emulator.mean))
        everyone, when = slice(0, self.settings.members), slice(start, stop)
        write(self.partial, self.variable, everyone, when, (chunk.x * std + mean).numpy())
        for name, (dtype, *_) in SERIES.items():
            write(self.partial, name, everyone, when, getattr(chunk, name).numpy().astype(dtype))
        self._save(state)

    def _with_initial(self, chunk: Chunk) -> Chunk:
        x = self._initial().cpu()
        first = Chunk.empty(x, 1)
        first.x[:, 0] = x
        names = ("x", *SERIES)
        return Chunk(*(torch.cat((getattr(first, n), getattr(chunk, n)), dim=1) for n in names))

    def _save(self, state: State) -> None:
        with replacing(self.saved) as path, path.open("wb") as file:
            np.savez(
                file,
                fingerprint=np.array(self.key),
                x=state.x.cpu().numpy(),
                step=np.array(state.step),
                lost_step=state.lost_step,
                lost_cause=np.array(state.lost_cause),
            )

    def _layout(self) -> Layout:
        field, frames = self.truth[self.variable], self.settings.steps + 1
        axes = {str(name): self.truth[name].values for name in field.dims[3:]}
        interval = self.job.experiment.simulation.frame_interval
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
            series=SERIES,
            attributes=self._attributes(),
        )

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
            "initial_member": members,
            "initial_frame": frames,
            "code_version": thermalize.__version__,
        }

    def _seal(self, state: State) -> None:
        lost = {"lost_step": state.lost_step.tolist(), "lost_cause": state.lost_cause}
        attributes = {**self._attributes(), **lost}
        try:
            seal(self.partial, self.final, self.manifest, self.key, attributes=attributes, allow_nan=True)
        except UserError:
            # What is stored is damaged, so there is nothing to continue: the next run begins anew.
            self.saved.unlink(missing_ok=True)
            raise
