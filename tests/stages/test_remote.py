"""Stages that read from and write to an object store: the numbers of a disk, also after a kill."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from object_store import SECRET, Storage, bucket, reaching, server
from training_runs import settings

from thermalize.cli import main
from thermalize.config import Experiment, TrainingConfig
from thermalize.metrics.dataset import diagnose
from thermalize.rollouts.engine import Rollout
from thermalize.runtime.errors import UserError
from thermalize.stages.data import read_data
from thermalize.stages.emulator import train_emulator
from thermalize.stages.rollouts import Job, rollout
from thermalize.store import layout
from thermalize.store.home import FURTHER
from thermalize.store.location import Place, elsewhere, put
from thermalize.store.manifest import open_store, partial_path, read_manifest, verify
from thermalize.store.results import Results
from thermalize.training.processes import ALONE
from thermalize.truth.simulate import simulate

__all__ = ["bucket", "server"]

CPU = torch.device("cpu")


def content(storage: str | None) -> dict[str, Any]:
    """Persistence, which is a class of torch, on short trajectories."""
    base = settings()
    base["simulation"]["splits"] = {name: {"members": 2, "frames": 30} for name in ("train", "valid", "test")}
    emulators = {"persistence": {"kind": "import", "target": "torch.nn:Identity"}}
    rollouts = {"members": 2, "steps": 20, "chunk": 8, "stabilizers": {"raw": {"kind": "none"}}}
    diagnostics = {"spectrum_window": 10, "max_lag": 10, "resamples": 10}
    changes = {"emulators": emulators, "diffusion": {}, "rollouts": rollouts, "diagnostics": diagnostics}
    return {**base, **changes, "storage": storage}


def prepared(folder: Path, storage: str | None, splits: tuple[str, ...]) -> tuple[Experiment, Results]:
    experiment, paths = Experiment.model_validate(content(storage)), Results("small", folder)
    for split in splits:
        simulate(experiment, split, paths.simulation(split), workers=1)
    return experiment, paths


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> tuple[Experiment, Results]:
    """Data, emulator and rollout on this machine."""
    experiment, paths = prepared(tmp_path_factory.mktemp("local"), None, ("train", "valid", "test"))
    train_emulator(experiment, "persistence", paths, ALONE)
    rollout(Job(experiment, paths, "persistence", "raw", 0), paths.rollout("persistence", "raw", 0), CPU)
    return experiment, paths


@pytest.mark.parametrize("mode", ["memory", "stream"])
def test_a_training_reads_what_it_reads_from_a_disk(
    tmp_path: Path, bucket: Storage, local: tuple[Experiment, Results], mode: str
) -> None:
    training = TrainingConfig(updates=1, data=mode, memory=0.001)
    data = [
        read_data(experiment, training, paths, tmp_path / "model")
        for experiment, paths in (local, prepared(tmp_path, bucket.url, ("train", "valid")))
    ]
    assert data[0].fingerprints == data[1].fingerprints
    assert data[0].normalization == data[1].normalization
    for update in range(12):
        here, there = (each.train.batch(update, 8, 3, seed=1) for each in data)
        assert torch.equal(here, there)
    assert torch.equal(*(each.valid.spread(10, 2) for each in data))


@pytest.fixture
def job(tmp_path: Path, bucket: Storage, local: tuple[Experiment, Results]) -> Job:
    """A rollout whose truth and whose store lie in the bucket."""
    experiment, paths = prepared(tmp_path, bucket.url, ("test",))
    shutil.copytree(local[1].emulator("persistence"), paths.emulator("persistence"))
    return Job(experiment, paths, "persistence", "raw", 0)


def run(job: Job) -> Path:
    manifest = job.paths.rollout("persistence", "raw", 0)
    rollout(job, manifest, CPU)
    return manifest


class Killed(BaseException):
    """Stands for the end of the process: no handler of errors may catch it."""


BEGINNING = 10
"""Metadata and coordinates; then come the shards of three chunks, and the metadata once more."""


def interrupted(job: Job, shards: int, fail: Callable[[Place, bytes], None]) -> None:
    """A rollout that fails after it has sent so many shards."""
    count = iter(range(BEGINNING + shards))

    def sending(place: Place, content: bytes) -> None:
        (fail if next(count, None) is None else put)(place, content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "put", sending)
        run(job)


def die(_place: Place, _content: bytes) -> None:
    raise Killed


def nobody_answers(place: Place, content: bytes) -> None:
    with reaching("http://127.0.0.1:1"):
        put(elsewhere(str(place)), content)


@pytest.mark.parametrize(
    ("fail", "error", "shards", "continued"),
    [(die, Killed, 0, [0, 7, 15]), (nobody_answers, UserError, 1, [7, 15]), (nobody_answers, UserError, 3, [])],
)
def test_an_interrupted_rollout_continues_and_ends_with_the_same_bits(
    job: Job,
    local: tuple[Experiment, Results],
    monkeypatch: pytest.MonkeyPatch,
    fail: Callable[[Place, bytes], None],
    error: type[BaseException],
    shards: int,
    continued: list[int],
) -> None:
    with pytest.raises(error) as caught:
        interrupted(job, shards, fail)
    assert fail is die or "what is finished is kept" in str(caught.value)
    advance, begun = Rollout.advance, []
    monkeypatch.setattr(
        Rollout, "advance", lambda self, state, steps: begun.append(state.step) or advance(self, state, steps)
    )
    manifest = run(job)
    assert begun == continued
    here = local[1].rollout("persistence", "raw", 0)
    there = job.experiment.storage
    assert verify(manifest, there).digests == read_manifest(here).digests
    np.testing.assert_array_equal(open_store(manifest, storage=there)["velocity"], open_store(here)["velocity"])
    assert sorted(path.name for path in manifest.parent.iterdir() if path.suffix != ".lock") == [
        ".seed0.manifest.json",
        "seed0.manifest.json",
    ]
    assert run(job) == manifest
    assert begun == continued


def test_a_chunk_that_was_lost_meanwhile_is_made_again(
    job: Job, bucket: Storage, local: tuple[Experiment, Results], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Killed):
        interrupted(job, 2, die)
    (chunk,) = [name for name in bucket.fs.find(f"{bucket.path}/small/rollouts") if name.endswith("velocity/c/0/1/0/0")]
    bucket.fs.rm_file(chunk)
    manifest = run(job)
    assert "block-0001.json, or a file that it tells of, is damaged" in capsys.readouterr().err
    expected = read_manifest(local[1].rollout("persistence", "raw", 0))
    assert verify(manifest, bucket.url).digests == expected.digests


def test_a_rollout_begins_anew_where_the_storage_changed(
    job: Job, bucket: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FURTHER, bucket.url)
    with pytest.raises(Killed):
        interrupted(job, 1, die)
    moved = job.experiment.model_copy(update={"storage": f"file://{tmp_path}/disk"})
    manifest = run(Job(moved, job.paths, "persistence", "raw", 0))
    assert str(verify(manifest, moved.storage).url).startswith(
        f"file://{tmp_path}/disk/small/rollouts/persistence/raw/seed0-"
    )
    assert bucket.objects("/small/rollouts") == {}
    assert not partial_path(manifest).exists()


def test_diagnostics_of_stores_at_urls_are_those_of_a_disk(job: Job, local: tuple[Experiment, Results]) -> None:
    run(job)
    found = []
    for experiment, paths in (local, (job.experiment, job.paths)):
        manifests = paths.simulation("test"), paths.rollout("persistence", "raw", 0)
        truth, run_ = (open_store(manifest, storage=experiment.storage) for manifest in manifests)
        labels = {"emulator": "persistence", "stabilizer": "raw", "seed": 0}
        found.append(diagnose(truth, run_, experiment, labels, run_.attrs))
    assert found[0].identical(found[1])


def test_commands_say_in_one_sentence_what_is_wrong(
    tmp_path: Path, bucket: Storage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*arguments: object) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["thermalize", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert SECRET not in out + err
        return f"{ended.value.code}: {out}", err

    monkeypatch.chdir(tmp_path)
    config, manifest = tmp_path / "config.yaml", Path("results/small/simulation/train.manifest.json")
    config.write_text(yaml.safe_dump(content("s3://nowhere/x")))
    code, error = said("simulate", config, "--split", "train", "--workers", 1)
    assert code == "2: "
    assert error.startswith("Error: s3://nowhere/x/small/simulation/train-")
    assert error.endswith("there is no such bucket or folder; create it, or correct the URL\n")
    assert error.count("\n") == 1
    config.write_text(yaml.safe_dump(content(bucket.url)))
    assert said("simulate", config, "--split", "train", "--workers", 1)[0] == "0: "
    code, error = said("verify", manifest)
    assert (code, error.count("\n")) == (f"2: {manifest}: 0 files match their digests; 1 faults\n", 1)
    assert "but no storage is configured; if you trust that place, name it" in error
    monkeypatch.setenv(FURTHER, bucket.url)
    assert said("verify", manifest) == (f"0: {manifest}: 12 files match their digests\n", "")
    assert SECRET not in manifest.read_text()
