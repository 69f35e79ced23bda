"""Every file of unfinished work, damaged in every way: the run ends with the bits of one that nobody disturbed, or in
one sentence, and touches nothing outside its folder.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import training_runs
from store_data import tree
from training_runs import SPLITS, settings

import thermalize.truth.simulate
from thermalize.config import Experiment
from thermalize.rollouts.engine import Rollout
from thermalize.runtime.errors import UserError
from thermalize.stages.emulator import train_emulator
from thermalize.stages.rollouts import Job, rollout
from thermalize.store.blocks import BlockLog
from thermalize.store.ours import refuse_links
from thermalize.store.results import SUMS, Results
from thermalize.store.sealed import sums
from thermalize.training.checkpoint import Checkpoints
from thermalize.training.processes import ALONE
from thermalize.truth.simulate import simulate

CPU = torch.device("cpu")
README = "README.md"


class Killed(BaseException):
    """Stands for the end of the process: no handler of errors may catch it."""


def content(change: int, storage: str | None = None) -> dict[str, Any]:
    """An experiment of which everything is computed in a moment; another one for every `change`."""
    base = settings(updates=6, validate_every=3, checkpoint_every=2, warmup=2 + change)
    base["simulation"] |= {"spin_up": 1.0 + change, "shard_frames": 5}
    base["simulation"]["splits"] = {name: {"members": 4, "frames": 10} for name in SPLITS}
    base["emulators"]["persistence"] = {"kind": "import", "target": "torch.nn:Identity"}
    base["rollouts"] = {"members": 2 + change, "steps": 8, "chunk": 3, "stabilizers": {"raw": {"kind": "none"}}}
    return {**base, "storage": storage}


@contextmanager
def dying(where: Any, name: str, calls: int) -> Iterator[None]:
    """The process ends in place of the call after so many."""
    function, count = getattr(where, name), iter(range(calls))

    def call(*arguments: Any, **options: Any) -> Any:
        if next(count, None) is None:
            raise Killed
        return function(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(where, name, call)
        yield


def simulating(folder: Path, change: int = 0, storage: str | None = None) -> None:
    experiment = Experiment.model_validate(content(change, storage))
    simulate(experiment, "train", Results("small", folder).simulation("train"), workers=1)


def simulating_elsewhere(folder: Path, change: int = 0) -> None:
    simulating(folder, change, f"file://{folder.parent}/disk")


def training(folder: Path, change: int = 0) -> None:
    train_emulator(Experiment.model_validate(content(change)), "unet", Results("small", folder), ALONE)


def rolling(folder: Path, change: int = 0) -> None:
    paths = Results("small", folder)
    job = Job(Experiment.model_validate(content(change)), paths, "persistence", "raw", 0)
    rollout(job, paths.rollout("persistence", "raw", 0), CPU)


def data(folder: Path) -> None:
    """Waves in place of a simulation, and an emulator that learns nothing."""
    training_runs.store(training_runs.written(folder.parent, content(0)), SPLITS)
    train_emulator(Experiment.model_validate(content(0)), "persistence", Results("small", folder), ALONE)


@dataclass(frozen=True)
class Work:
    """What is interrupted: how it is run and where it dies, and where below the results its state and product lie."""

    run: Callable[..., None]
    dies: tuple[Any, str, int]
    below: str
    before: Callable[[Path], None] = lambda folder: folder.mkdir(parents=True)


WORKS = {
    "simulation": Work(simulating, (thermalize.truth.simulate, "integrate", 1), "simulation"),
    "simulation elsewhere": Work(simulating_elsewhere, (thermalize.truth.simulate, "integrate", 1), "simulation"),
    "training": Work(training, (Checkpoints, "save", 2), "emulators/unet.partial", data),
    "rollout": Work(rolling, (Rollout, "advance", 2), "rollouts", data),
}


def flip(path: Path, rng: random.Random) -> None:
    found = bytearray(path.read_bytes() or b"\0")
    found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
    path.write_bytes(bytes(found))


def cut(path: Path, rng: random.Random) -> None:
    found = path.read_bytes()
    path.write_bytes(found[: rng.randrange(len(found))] if found else b"")


def empty(path: Path, rng: random.Random) -> None:
    path.write_bytes(b"")


def append(path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes() + rng.randbytes(7))


def delete(path: Path, rng: random.Random) -> None:
    path.unlink()


def folder_instead(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.mkdir()


DAMAGES = {each.__name__: each for each in (flip, cut, empty, append, delete, folder_instead)}


@dataclass
class Case:
    """One kind of work, interrupted in its folder, which is brought back before each damage."""

    work: Work
    root: Path
    product: dict[str, str]

    @property
    def results(self) -> Path:
        return self.root / "work" / "results"

    @property
    def files(self) -> list[Path]:
        """Files of the unfinished state, relative to the results."""
        kept = self.root / "kept" / "results"
        found = (path for path in sorted((kept / "small" / self.work.below).rglob("*")) if path.is_file())
        return [path.relative_to(kept) for path in found]

    def damaged(self, name: Path, damage: str, rng: random.Random) -> None:
        """Brings everything back, damages one file, and runs the same command again."""
        shutil.rmtree(self.root / "work")
        shutil.copytree(self.root / "kept", self.root / "work")
        path, before = self.results / name, tree(self.root / "somebody")
        if damage == "swap":
            path.write_bytes(rng.choice(self.others(name)).read_bytes())
        elif damage == "link":
            path.unlink()
            path.symlink_to(self.root / "somebody" / "thesis.tex")
        elif damage == "linked_folder":
            shutil.rmtree(path.parent)
            path.parent.symlink_to(self.root / "somebody")
        else:
            DAMAGES[damage](path, rng)
        refused = None
        try:
            refuse_links(self.results / "small", self.results)  # as every command does
            self.work.run(self.results)
        except UserError as error:
            refused = str(error)
        if refused is None:
            assert product(self.results, self.work) == self.product
        else:
            assert "\n" not in refused
        assert tree(self.root / "somebody") == before
        assert sorted(path.name for path in self.root.iterdir()) == sorted(["kept", "other", "somebody", "work"])

    def others(self, name: Path) -> list[Path]:
        """The same file of another experiment, or those beside it and in the same place of this one."""
        same = self.root / "other" / "results" / name
        if same.is_file():
            return [same]
        around = [*(self.root / "other" / "results" / name.parent).glob("*"), *(self.results / name.parent).glob("*")]
        return [path for path in around if path.is_file()]


def product(results: Path, work: Work) -> dict[str, str]:
    """What came of it; where it was computed and what it cost, which the readme tells, are not part of that."""
    folder = results / "small" / ("emulators/unet" if work.run is training else work.below)
    found = tree(folder) | (tree(results.parent / "disk") if work.run is simulating_elsewhere else {})
    if (folder / SUMS).is_file():
        found[SUMS] = "".join(f"{digest} {name}\n" for name, digest in sums(folder / SUMS).items() if name != README)
    return {name: digest for name, digest in found.items() if name not in (README, ".train.zarr.garbage")}


def interrupted(work: Work, folder: Path, change: int) -> None:
    work.before(folder)
    with dying(*work.dies), pytest.raises(Killed):
        work.run(folder, change)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    """The unfinished works, made when they are asked for."""
    made: dict[str, Case] = {}

    def get(name: str) -> Case:
        if name not in made:
            root, work = tmp_path_factory.mktemp("state"), WORKS[name]
            work_folder = root / "work" / "results"
            work.before(work_folder)
            work.run(work_folder)
            expected = product(work_folder, work)
            for place, change in (("other", 1), ("kept", 0)):
                shutil.rmtree(root / "work")
                interrupted(work, work_folder, change)
                shutil.copytree(root / "work", root / place)
            (root / "somebody" / "inner").mkdir(parents=True)
            (root / "somebody" / "thesis.tex").write_text("years of work")
            (root / "somebody" / "inner" / "0").write_text("more years")
            made[name] = Case(work, root, expected)
        return made[name]

    return get


KINDS = (*DAMAGES, "swap", "link", "linked_folder")


@pytest.mark.parametrize("name", WORKS)
def test_an_interrupted_work_ends_with_the_same_bits(name: str, cases: Callable[[str], Case]) -> None:
    case = cases(name)
    shutil.rmtree(case.root / "work")
    shutil.copytree(case.root / "kept", case.root / "work")
    assert case.files
    case.work.run(case.results)
    assert product(case.results, case.work) == case.product


@pytest.mark.parametrize("name", WORKS)
def test_some_damage_to_some_files_of_unfinished_work(name: str, cases: Callable[[str], Case]) -> None:
    case, rng = cases(name), random.Random(f"some {name}")
    for damage in rng.sample(KINDS, 5):
        case.damaged(rng.choice(case.files), damage, rng)


@pytest.mark.slow
@pytest.mark.parametrize("damage", KINDS)
@pytest.mark.parametrize("name", WORKS)
def test_every_damage_to_every_file_of_unfinished_work(name: str, damage: str, cases: Callable[[str], Case]) -> None:
    case, rng = cases(name), random.Random(f"{damage} {name}")
    for file in case.files:
        case.damaged(file, damage, rng)


@pytest.mark.parametrize("name", WORKS)
def test_all_of_the_state_of_another_configuration_is_not_taken_up(
    name: str, cases: Callable[[str], Case], capsys: pytest.CaptureFixture[str]
) -> None:
    case = cases(name)
    for folder in ("work", "other"):
        assert (case.root / folder).is_dir()
    shutil.rmtree(case.root / "work")
    shutil.copytree(case.root / "kept", case.root / "work")
    shutil.rmtree(case.results / "small" / case.work.below)
    shutil.copytree(
        case.root / "other" / "results" / "small" / case.work.below, case.results / "small" / case.work.below
    )
    capsys.readouterr()
    case.work.run(case.results)
    said = capsys.readouterr().err
    assert "another" in said
    assert product(case.results, case.work) == case.product


def test_the_fuzzer_sees_what_it_looks_for(cases: Callable[[str], Case], monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that takes up whatever it finds does not pass."""
    case = cases("simulation")
    monkeypatch.setattr(BlockLog, "_intact", lambda *_: True)
    shard = next(file for file in case.files if file.as_posix().endswith(".partial/velocity/c/0/0/0/0"))
    with pytest.raises(AssertionError):
        case.damaged(shard, "swap", random.Random(0))
