"""An interrupted rollout goes on from the last chunk up to which nothing was damaged, and ends with the same bits."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from training_runs import SPLITS, settings, store, written

from thermalize.config import Experiment
from thermalize.rollouts.engine import Rollout
from thermalize.runtime.errors import UserError
from thermalize.runtime.members import Series
from thermalize.stabilizers.base import Stabilized, Stateless
from thermalize.stages.emulator import train_emulator
from thermalize.stages.rollouts import Job, rollout
from thermalize.store import blocks as logs
from thermalize.store.manifest import partial_path, verify
from thermalize.store.results import Results
from thermalize.training.processes import ALONE

CPU = torch.device("cpu")


class Killed(BaseException):
    """Stands for the end of the process: no handler of errors may catch it."""


class Watched(Stateless):
    """Changes nothing, and records a series."""

    series = (Series("largest", "largest value"),)

    def __call__(self, x: torch.Tensor, *_: Any) -> Stabilized:
        return Stabilized.of(x, largest=x.flatten(1).abs().amax(1))


def content() -> dict[str, Any]:
    """Persistence from the waves of `training_runs`, in three chunks of which the first ends with step 7."""
    base = settings()
    base["emulators"] = {"persistence": {"kind": "import", "target": "torch.nn:Identity"}}
    rollouts = {
        "members": 3,
        "steps": 20,
        "chunk": 8,
        "stabilizers": {"raw": {"kind": "import", "target": f"{__name__}:Watched"}},
    }
    return {**base, "diffusion": {}, "rollouts": rollouts}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    paths = store(written(folder, content()), SPLITS)
    train_emulator(Experiment.model_validate(content()), "persistence", paths, ALONE)
    return folder


def job_in(folder: Path, made: Path, lost_above: float = 30.0) -> Job:
    """The rollout on a copy of what was made in another folder."""
    shutil.copytree(made / "results", folder / "results")
    experiment = Experiment.model_validate(content())
    # lower than a configuration may say: persistence loses no waves otherwise
    settings = experiment.rollouts.model_copy(update={"lost_above": lost_above})
    experiment = experiment.model_copy(update={"rollouts": settings})
    return Job(experiment, Results("small", folder / "results"), "persistence", "raw", 0)


def run(job: Job) -> dict[str, str]:
    manifest = job.paths.rollout("persistence", "raw", 0)
    rollout(job, manifest, CPU)
    left = sorted(path.name for path in manifest.parent.iterdir() if path.suffix != ".lock")
    assert left == [".seed0.manifest.json", "seed0.manifest.json", "seed0.zarr"]
    return verify(manifest).digests


def stopped(job: Job) -> None:
    """The rollout is killed in its last chunk."""
    advance = Rollout.advance

    def dying(self: Rollout, state: Any, steps: int) -> Any:
        if state.step == 15:
            raise Killed
        return advance(self, state, steps)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rollout, "advance", dying)
        with pytest.raises(Killed):
            rollout(job, job.paths.rollout("persistence", "raw", 0), CPU)


def records(job: Job) -> Path:
    """The folder of what is known of finished chunks."""
    partial = partial_path(job.paths.rollout("persistence", "raw", 0))
    return partial.with_name(f"{partial.name}.blocks")


@pytest.fixture(scope="module")
def straight(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[float], dict[str, str]]:
    """Digests of the rollout that nobody disturbs, by the bound from which on members are lost."""
    return cache(lambda lost_above: run(job_in(tmp_path_factory.mktemp("straight"), prepared, lost_above)))


@pytest.fixture(scope="module")
def killed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[float], Path]:
    """The folder of the rollout that was killed in its last chunk; to be copied before it is changed."""

    @cache
    def made(lost_above: float) -> Path:
        folder = tmp_path_factory.mktemp("killed")
        stopped(job_in(folder, prepared, lost_above))
        return folder

    return made


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Steps that chunks begin from."""
    advance, found = Rollout.advance, list[int]()
    monkeypatch.setattr(
        Rollout, "advance", lambda self, state, steps: found.append(state.step) or advance(self, state, steps)
    )
    return found


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def shard(chunk: int) -> Callable[[Path], None]:
    return lambda blocks: flip(blocks.with_suffix("") / f"velocity/c/0/{chunk}/0/0")


def series(blocks: Path) -> None:
    flip(blocks.with_suffix("") / "largest/c/0/1")


def record(blocks: Path) -> None:
    flip(blocks / "block-0001.json")


def state(blocks: Path) -> None:
    flip(blocks / "state-0001.safetensors")


def another_record(blocks: Path) -> None:
    shutil.copyfile(blocks / "block-0000.json", blocks / "block-0001.json")


def nothing(blocks: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("damage", "continued"),
    [
        (nothing, [15]), (shard(0), [0, 7, 15]), (shard(1), [7, 15]), (series, [7, 15]), (record, [7, 15]),
        (state, [7, 15]), (another_record, [7, 15]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("lost_above", [30.0, 1.65, 1.1])
def test_what_is_damaged_is_made_again(
    tmp_path: Path,
    straight: Callable[[float], dict[str, str]],
    killed: Callable[[float], Path],
    begun: list[int],
    damage: Callable[[Path], None],
    continued: list[int],
    lost_above: float,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Also where two members are lost, or all of them, whose states are no numbers."""
    expected, job = straight(lost_above), job_in(tmp_path, killed(lost_above), lost_above)
    damage(records(job))
    begun.clear()
    capsys.readouterr()
    assert run(job) == expected
    assert begun == continued
    assert ("damaged" in capsys.readouterr().err) == (damage is not nothing)


def test_a_folder_in_the_place_of_a_shard_is_named(tmp_path: Path, killed: Callable[[float], Path]) -> None:
    job = job_in(tmp_path, killed(30.0))
    path = records(job).with_suffix("") / "velocity/c/0/0/0/0"
    path.unlink()
    path.mkdir()
    with pytest.raises(UserError, match=r"/velocity/c/0/0/0/0: a folder stands where a file is needed"):
        run(job)


def reseal(blocks: Path, data: bytes | None = None, **notes: Any) -> None:
    """A state and a record that fit each other."""
    path = blocks / "block-0001.json"
    entry = json.loads(path.read_text())
    if data is not None:
        (blocks / "state-0001.safetensors").write_bytes(data)
        notes["state"] = logs.digest_of(data)
    entry["notes"] |= notes
    entry["digest"] = logs._own_digest(entry)
    path.write_text(json.dumps(entry))


def tensors(blocks: Path) -> dict[str, torch.Tensor]:
    return load((blocks / "state-0001.safetensors").read_bytes())


def of(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path], None]:
    return lambda blocks: reseal(blocks, save({"x": change(tensors(blocks)["x"])}))


WRONG: dict[str, Callable[[Path], None]] = {
    "not finite": of(lambda x: x * torch.nan),
    "other shape": of(lambda x: x[..., :-1].contiguous()),
    "other type": of(lambda x: x.to(torch.float16)),
    "fewer members": of(lambda x: x[:1].contiguous()),
    "memory": lambda blocks: reseal(blocks, save({**tensors(blocks), "memory_gain": torch.zeros(3)})),
    "no state": lambda blocks: reseal(blocks, save({"y": torch.zeros(3)})),
    "no tensors": lambda blocks: reseal(blocks, b"x" * 100),
    "nothing": lambda blocks: reseal(blocks, b""),
    "step": lambda blocks: reseal(blocks, step=14),
    "step is text": lambda blocks: reseal(blocks, step="15"),
    "lost": lambda blocks: reseal(blocks, lost_step=[-1, 99, -1], lost_cause=["", "bound", ""]),
    "lost without cause": lambda blocks: reseal(blocks, lost_step=[-1, 3, -1]),
    "too few lost": lambda blocks: reseal(blocks, lost_step=[-1], lost_cause=[""]),
    "lost is text": lambda blocks: reseal(blocks, lost_step=["a", "b", "c"]),
    "cause is a number": lambda blocks: reseal(blocks, lost_cause=3),
    "digest is a list": lambda blocks: reseal(blocks, state=[]),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_state_that_cannot_be_one_of_this_rollout_is_not_used(
    tmp_path: Path,
    killed: Callable[[float], Path],
    begun: list[int],
    wrong: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    job = job_in(tmp_path, killed(30.0))
    WRONG[wrong](records(job))
    begun.clear()
    run(job)
    assert begun == [7, 15]
    assert "What was kept to go on after chunk 1 of" in capsys.readouterr().err


def test_the_end_compares_chunks_as_they_were_written(
    tmp_path: Path,
    straight: Callable[[float], dict[str, str]],
    killed: Callable[[float], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A chunk that is cut while the rollout goes on is found, and made again by the next run."""
    expected, job = straight(30.0), job_in(tmp_path, killed(30.0))
    blocks, advance = records(job), Rollout.advance

    def changing(self: Rollout, state: Any, steps: int) -> Any:
        first = blocks.with_suffix("") / "velocity/c/0/0/0/0"
        first.write_bytes(first.read_bytes()[:-1])
        return advance(self, state, steps)

    with monkeypatch.context() as patch:
        patch.setattr(Rollout, "advance", changing)
        with pytest.raises(UserError, match="velocity/c/0/0/0/0 is missing or is not as it was written"):
            run(job)
    assert run(job) == expected
