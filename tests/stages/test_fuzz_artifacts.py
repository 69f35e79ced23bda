"""Every artifact of a finished experiment, damaged in ways drawn at random, before everything that reads it.

Whatever is done to one file, a reader either refuses it in one sentence, or what it makes has the same bits as before;
`thermalize verify` names the file; the stage that makes it restores the same bits; and nothing else changes.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import run
from tiny_results import LABEL, OF, Command, Experiment, experiment_of, pictures
from workflow_run import fingerprints

SEED = 12
ROLLOUT, STORE, DATA = f"rollouts/small/{LABEL}/seed0", "simulation/{}", "velocity/c/0/0/0/0"
PARTS = (".manifest.json", ".zarr/zarr.json", ".zarr/velocity/zarr.json", f".zarr/{DATA}", ".zarr/time/c/0")
MODEL = ("model.json", "model.safetensors", "last.safetensors", "history.csv", "README.md", "SHA256SUMS")


def flip(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def cut(path: Path, rng: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(1, len(content))])


def append(path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes() + rng.randbytes(rng.randrange(1, 40)))


DAMAGES: dict[str, Callable[[Path, random.Random], None]] = {
    "flip": flip,
    "cut": cut,
    "empty": lambda path, _: path.open("wb").close(),
    "delete": lambda path, _: path.unlink(),
    "append": append,
}


def artifacts() -> dict[str, tuple[Command, list[Command]]]:
    """By file below the experiment's folder: the command that makes it, and those that read it."""
    learn = [("train-emulator", "--emulator", "small"), ("train-diffusion", "--diffusion", "small")]
    sample, rollout, cost = ("sample", "--diffusion", "small"), ("rollout", *OF), ("cost", "--emulator", "small")
    scored, measured = [("diagnose", *OF), ("ensemble", *OF[:4])], ("reference",)
    figure, tables = ("figure", "--name", "spectra"), [("summary",), ("ablation",)]
    drawn = [figure, ("movie",)]
    found: dict[str, tuple[Command, list[Command]]] = {}

    def add(names: list[str], maker: Command, *readers: Command) -> None:
        found.update({name: (maker, list(readers)) for name in names})

    for split, readers in (
        ("train", learn),
        ("valid", learn),
        ("test", [measured, sample, rollout, *scored, cost, *drawn]),
    ):
        simulate = ("simulate", "--split", split, "--workers", "1")
        add([f"simulation/{split}{part}" for part in PARTS], simulate, *readers)
    add([f"{ROLLOUT}{part}" for part in (*PARTS, ".zarr/level/c/0/0")], rollout, *scored, cost, *drawn)
    add([f"emulators/small/{name}" for name in MODEL], learn[0], ("load_emulator",), rollout, cost, figure)
    add([f"diffusion/small/{name}" for name in MODEL], learn[1], ("load_diffusion",), sample, rollout, cost, figure)
    for name, maker, readers in (
        (f"diagnostics/small/{LABEL}/seed0.nc", scored[0], [*drawn, *tables]),
        (f"ensembles/small/{LABEL}.nc", scored[1], drawn),
        ("reference/truth.nc", measured, [sample, *scored]),
        ("samples/small.nc", sample, drawn),
        ("cost/small.json", cost, tables),
        ("tables/summary.csv", tables[0], [("show",)]),
        ("tables/ablation.csv", tables[1], [("show",)]),
        ("tables/summary.tex", tables[0], []),
        ("device.json", ("device",), []),
    ):
        add([name, f"{name}.sha256"], maker, *readers)
    return found


ARTIFACTS = artifacts()


def timed(name: str) -> bool:
    """Whether a file differs between two runs because times are measured, so that bits say nothing."""
    return name.startswith(("cost/", "tables/")) or name.endswith(("README.md", "SHA256SUMS"))


def check(experiment: Experiment, name: str, damage: str, rng: random.Random, readers: list[Command]) -> None:
    path, (maker, _) = experiment.folder / name, ARTIFACTS[name]
    before = path.read_bytes()
    DAMAGES[damage](path, rng)
    assert not path.exists() or path.read_bytes() != before
    said = run("verify", experiment.folder)
    bare = damage == "delete" and name.endswith((".sha256", "SHA256SUMS"))
    # the members of a model and the file of a lost digest have none any more, which is said, and no fault of theirs
    assert Path(name.removesuffix(".sha256") if bare else name).parent.name in (said.out if bare else said.err), said
    assert said.status == (0 if bare else 2), said
    changed = experiment.changes()
    for reader in readers:
        said = experiment.do(reader, name)
        if said.status:
            assert Path(name).parts[0] in said.sentence, (reader, said)
            # a digit that is wrong in a list of digests cannot be told from a wrong member
            blamed = MODEL if name.endswith("SHA256SUMS") else (Path(name).name.removesuffix(".sha256"), "SHA256SUMS")
            assert any(each in said.sentence for each in blamed), said
        new = experiment.changes() - changed
        assert {each for each in new if not timed(each)} == set(), (name, damage, reader)
    said = experiment.do(maker, name)
    assert said.status == 0, (name, damage, said)
    assert {each for each in experiment.changes() if not timed(each)} == set(), (name, damage, maker)
    assert run("verify", experiment.folder).status == 0
    assert experiment.alone()


def test_some_damage_to_some_artifacts(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    rng, experiment = random.Random(SEED), experiment_of(tiny, tmp_path)
    for name in rng.sample(sorted(ARTIFACTS), 12):
        readers = ARTIFACTS[name][1]
        check(experiment, name, rng.choice(sorted(DAMAGES)), rng, rng.sample(readers, min(1, len(readers))))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ARTIFACTS))
def test_every_artifact_is_damaged_before_every_reader(name: str, tiny: tuple[Path, Path], tmp_path: Path) -> None:
    rng, experiment = random.Random(f"{SEED} {name}"), experiment_of(tiny, tmp_path)
    for damage in DAMAGES:
        check(experiment, name, damage, rng, ARTIFACTS[name][1])


FIRST = [(name, reader) for name, (_, readers) in ARTIFACTS.items() for reader in readers[:1]]
QUICK = set(random.Random(SEED).sample(range(len(FIRST)), 16))
REFUSED = [each if at in QUICK else pytest.param(*each, marks=pytest.mark.slow) for at, each in enumerate(FIRST)]


@pytest.mark.parametrize(("name", "reader"), REFUSED)
def test_what_a_reader_needs_is_refused_when_it_is_changed(
    name: str, reader: Command, tiny: tuple[Path, Path], tmp_path: Path
) -> None:
    """Files that the first reader does not use need not be whole for it."""
    experiment = experiment_of(tiny, tmp_path)
    path = experiment.folder / name
    path.write_bytes(path.read_bytes() + b"0")
    unused = name.endswith(("last.safetensors", "history.csv", "README.md"))
    said = experiment.do(reader, name)
    assert (said.status == 0) == unused
    assert unused or said.sentence


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["flip", "delete"])
def test_pictures_are_compared_and_drawn_again(tiny: tuple[Path, Path], tmp_path: Path, damage: str) -> None:
    experiment = experiment_of(tiny, tmp_path)
    figure_and_movie = pictures(experiment.config)[-2:]
    for command in figure_and_movie:
        assert experiment.do(tuple(command), "").status == 0
    experiment.whole = fingerprints(experiment.folder)
    for command in figure_and_movie:
        stem = command[-1] if command[0] == "figure" else "movie"
        for path in sorted((experiment.folder / "figures").glob(f"{stem}.*")):
            DAMAGES[damage](path, random.Random(SEED))
            assert stem in (said := run("verify", experiment.folder)).out + said.err
            assert experiment.do(tuple(command), "").status == 0
            assert experiment.changes() == set()


def test_a_figure_is_never_drawn_from_a_lost_shard(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    for lost in (f"simulation/test.zarr/{DATA}", f"{ROLLOUT}.zarr/{DATA}"):
        experiment = experiment_of(tiny, tmp_path / lost.replace("/", "-"))
        (experiment.folder / lost).unlink()
        said = experiment.do(("figure", "--name", "spacetime"), lost)
        assert f"{lost} is missing" in said.sentence
        assert not (experiment.folder / "figures").exists()
        shutil.rmtree(experiment.root)
