"""A rollout that stores few of its states says the same as one that stores all of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from training_runs import SPLITS, settings, store, written

from thermalize.config import Experiment
from thermalize.metrics.ensemble import score
from thermalize.rollouts.engine import Rollout
from thermalize.runtime.errors import UserError
from thermalize.runtime.members import Series
from thermalize.stabilizers.base import Stabilized, Stateless
from thermalize.stages.diagnose import diagnose_rollout
from thermalize.stages.emulator import train_emulator
from thermalize.stages.measuring import Measuring
from thermalize.stages.reading import open_rollout
from thermalize.stages.reference import measure_truth
from thermalize.stages.rollouts import Job, rollout
from thermalize.store.manifest import open_store, partial_path, verify
from thermalize.store.netcdf import read_dataset
from thermalize.store.results import Results
from thermalize.training.processes import ALONE

CPU = torch.device("cpu")
STEPS, CHUNK, TRUTH = 61, 8, 24
LOST = {1: 30, 2: 5}
"""Steps at which members are given up: one after a window of the truth's length, one in the first chunk."""
EVERY = (2, 4, 16, "none")


class Killed(BaseException):
    """Stands for the end of the process: no handler of errors may catch it."""


class Travelling(torch.nn.Module):
    """Waves that travel, each at a speed of its own that changes with what is under them."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.roll(x, 1, -1) + 0.02 * torch.sin(3 * x)


class Losing(Stateless):
    """Changes nothing, gives members up at the steps of `LOST`, and records a series."""

    series = (Series("largest", "largest value"),)

    def __call__(self, x: torch.Tensor, step: int, alive: torch.Tensor, *_: Any) -> Stabilized:
        lost = torch.tensor([LOST.get(int(member)) == step for member in alive])
        return Stabilized(x, lost, {"largest": x.flatten(1).abs().amax(1)})


def content(every: int | str = 1) -> dict[str, Any]:
    base = settings()
    base["simulation"]["splits"]["test"] = {"members": 4, "frames": TRUTH}
    base["seeds"] = [0, 1]
    base["emulators"] = {"waves": {"kind": "import", "target": f"{__name__}:Travelling"}}
    stabilizers = {"losing": {"kind": "import", "target": f"{__name__}:Losing"}}
    rollouts = {"members": 4, "steps": STEPS, "chunk": CHUNK, "store_every": every, "stabilizers": stabilizers}
    diagnostics = {"resamples": 20, "spectrum_window": 5, "max_lag": 6}
    return {**base, "diffusion": {}, "rollouts": rollouts, "diagnostics": diagnostics}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, experiment = tmp_path_factory.mktemp("prepared"), Experiment.model_validate(content())
    paths = store(written(folder, content()), SPLITS)
    train_emulator(experiment, "waves", paths, ALONE)
    measure_truth(experiment, paths)
    return folder


def job_in(folder: Path, made: Path, every: int | str, seed: int = 0) -> Job:
    if not (folder / "results").exists():
        shutil.copytree(made / "results", folder / "results")
    return Job(Experiment.model_validate(content(every)), Results("small", folder / "results"), "waves", "losing", seed)


def manifest_of(job: Job) -> Path:
    return job.paths.rollout("waves", "losing", job.seed)


def run(job: Job) -> dict[str, str]:
    rollout(job, manifest_of(job), CPU)
    left = sorted(path.name for path in manifest_of(job).parent.iterdir() if path.suffix != ".lock")
    assert left[-2:] == [f"seed{job.seed}.manifest.json", f"seed{job.seed}.zarr"]
    assert not any("partial" in name for name in left)
    return verify(manifest_of(job)).digests


@pytest.fixture(scope="module")
def made(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int | str], Job]:
    """The rollout that nobody disturbs, with its diagnostics."""

    @cache
    def one(every: int | str) -> Job:
        job = job_in(tmp_path_factory.mktemp("made"), prepared, every)
        run(job)
        diagnose_rollout(job.experiment, "waves", "losing", 0, job.paths)
        return job

    return one


def opened(job: Job, seed: int = 0) -> xr.Dataset:
    truth = open_store(job.paths.simulation("test"))
    return open_rollout(job.paths.rollout("waves", "losing", seed), job.experiment, truth)


@pytest.mark.parametrize("every", EVERY)
def test_diagnostics_are_the_same_to_the_last_bit(made: Callable[[int | str], Job], every: int | str):
    whole, thinned = (read_dataset(made(n).paths.diagnostics("waves", "losing", 0)) for n in (1, every))
    assert whole.sizes["window"] == 2
    xr.testing.assert_identical(whole, thinned)


@pytest.mark.parametrize("every", EVERY)
def test_the_states_of_every_so_many_steps_are_stored_and_all_series(
    made: Callable[[int | str], Job], every: int | str
):
    whole, thinned = opened(made(1)), opened(made(every))
    n = STEPS + 1 if every == "none" else int(every)
    np.testing.assert_array_equal(thinned["velocity"], whole["velocity"][:, ::n])
    np.testing.assert_array_equal(thinned["time"], whole["time"][::n])
    np.testing.assert_array_equal(thinned["largest"], whole["largest"])
    assert thinned["largest"].dims == ("member", "step")
    assert thinned.attrs["lost_step"] == whole.attrs["lost_step"] == [-1, 30, 5, -1]


@pytest.mark.parametrize("step", [7, 31, 55])
def test_a_killed_rollout_goes_on_to_the_same_bits(
    prepared: Path, made: Callable[[int | str], Job], tmp_path: Path, step: int
):
    job = job_in(tmp_path, prepared, 4)
    killed(job, step)
    begun: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        advance = Rollout.advance
        patch.setattr(
            Rollout, "advance", lambda self, state, steps: begun.append(state.step) or advance(self, state, steps)
        )
        assert run(job) == verify(manifest_of(made(4))).digests
    assert begun[0] == step, "nothing is computed again"


def killed(job: Job, step: int) -> None:
    advance = Rollout.advance

    def dying(self: Rollout, state: Any, steps: int) -> Any:
        if state.step == step:
            raise Killed
        return advance(self, state, steps)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rollout, "advance", dying)
        with pytest.raises(Killed):
            rollout(job, manifest_of(job), CPU)


@pytest.mark.parametrize(
    ("damaged", "damage"),
    [("measured-0002.safetensors", "flipped"), ("measured-0000.safetensors", "gone")]
    + [("frames-0003-0003.float32", damage) for damage in ("flipped", "cut", "gone")],
)
def test_what_was_kept_and_is_damaged_is_not_used(
    prepared: Path, made: Callable[[int | str], Job], tmp_path: Path, damaged: str, damage: str
):
    job = job_in(tmp_path, prepared, 4)
    killed(job, 31)
    partial = partial_path(manifest_of(job))
    path = partial.with_name(f"{partial.name}.blocks") / damaged
    data = path.read_bytes()
    path.unlink()
    if damage != "gone":
        path.write_bytes(data[:-4] if damage == "cut" else data[:-1] + bytes([data[-1] ^ 1]))
    assert run(job) == verify(manifest_of(made(4))).digests


def test_the_disk_that_is_needed_does_not_grow_with_the_length(prepared: Path, tmp_path: Path):
    found: list[int] = []
    forget = Measuring.forget

    def counting(self: Measuring, *states: Any) -> None:
        forget(self, *states)
        found.append(len(list(self.log.folder.glob("frames-*"))))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Measuring, "forget", counting)
        run(job_in(tmp_path, prepared, "none"))
    assert len(found) == -(-(STEPS + 1) // CHUNK)
    members = 2
    assert max(found) <= members * (TRUTH // CHUNK + 3)


def test_ensembles_are_scored_at_the_stored_leads(prepared: Path, tmp_path: Path):
    found = {}
    for every in (1, 4):
        folder = tmp_path / str(every)
        for seed in (0, 1):
            run(job_in(folder, prepared, every, seed))
        job = job_in(folder, prepared, every)
        truth, runs = open_store(job.paths.simulation("test")), {seed: opened(job, seed) for seed in (0, 1)}
        found[every] = score(truth, np.ones(1), runs, job.experiment, {"emulator": "waves", "stabilizer": "losing"})
    assert found[4]["lead"].to_numpy().tolist() == [4, 8, 12, 16, 20]
    for name in ("crps", "rmse", "spread", "initial_conditions"):
        np.testing.assert_array_equal(found[4][name], found[1][name].sel(lead=found[4]["lead"]))


def test_without_states_there_are_no_ensembles():
    assert Experiment.model_validate(content(4)).has_ensembles
    assert not Experiment.model_validate(content("none")).has_ensembles
    assert not Experiment.model_validate(content(16)).has_ensembles, "one state while the truth goes on"


@pytest.mark.parametrize(
    ("every", "words"),
    [(3, "neither divides chunk = 8 nor is a multiple of it"), (80, "exceeds steps = 61"), (0, "greater than 0")],
)
def test_what_does_not_fit_is_refused(every: int, words: str):
    with pytest.raises(ValueError, match=words):
        Experiment.model_validate(content(every))


def test_a_series_may_not_be_called_like_what_is_measured(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    job = job_in(tmp_path, prepared, 4)
    monkeypatch.setattr(Losing, "series", (Series("measured_energy", "mine"),))
    with pytest.raises(UserError, match="a series is called 'measured_energy'"):
        rollout(job, manifest_of(job), CPU)
