"""Whatever a command meets on the disk is one sentence with the file and what to do, for each command that there is."""

from __future__ import annotations

import errno
import os
import resource
import shutil
from itertools import cycle
from pathlib import Path

import pytest
from commands import NAMES, TINY, WRITING, arguments, limited, run
from tiny_results import hurried
from workflow_run import thermalize

from thermalize.runtime import files

REFUSALS = {
    errno.ENOSPC: "no space is left",
    errno.EDQUOT: "quota",
    errno.EROFS: "read-only",
    errno.EACCES: "permission denied",
    errno.EMFILE: "too many files are open",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EIO: "input/output error",
}
MADE = {
    "ablation": "tables",
    "bands": "reference/bands.nc",
    "cost": "cost",
    "device": "device.json",
    "diagnose": "diagnostics",
    "ensemble": "ensembles",
    "figure": "figures",
    "movie": "figures",
    "reference": "reference",
    "resolve": "config.yaml",
    "rollout": "rollouts",
    "sample": "samples",
    "simulate": "simulation/test.zarr",
    "summary": "tables",
    "train-diffusion": "diffusion",
    "train-emulator": "emulators",
}
"""What a command makes; to be removed before it has something to do."""


@pytest.fixture
def copy(tiny: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    """The finished experiment, to be damaged."""
    config, results = tiny
    shutil.copytree(results, tmp_path / "results")
    return config, tmp_path / "results"


def unmade(name: str, results: Path) -> None:
    path = results / "tiny" / MADE[name]
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    if name == "simulate":
        for manifest in path.parent.glob("*test.manifest.json"):
            manifest.unlink()


@pytest.mark.parametrize("name", WRITING)
def test_a_file_in_place_of_the_results_is_one_sentence(name: str, tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.write_text("mine")
    assert str(results) in run(*arguments(name, results)).sentence
    assert results.read_text() == "mine"


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"resolve", "device", "simulate", "doctor", "schema"}))
def test_missing_inputs_are_one_sentence(name: str, tmp_path: Path) -> None:
    said = run(*arguments(name, tmp_path / "results")).sentence
    assert str(tmp_path / "results") in said
    assert "does not exist" in said or "train the model first" in said


@pytest.mark.parametrize("name", WRITING)
def test_a_limit_on_files_is_one_sentence_and_leaves_nothing_half(name: str, copy: tuple[Path, Path]) -> None:
    """The system refuses every byte that is written to a file, as a full disk does."""
    config, results = copy
    unmade(name, results)
    before = {path for path in results.rglob("*") if path.is_file()}
    words = arguments(name, results, config)
    with hurried(), limited(resource.RLIMIT_FSIZE, 0):
        said = run(*words)
    assert "Cannot write" in said.sentence
    assert "larger than this system allows" in said.sentence
    left = {path for path in results.rglob("*") if path.is_file()} - before
    assert [path for path in left if ".partial" not in str(path) and not path.name.endswith(".lock")] == []
    with hurried():
        assert run(*words).status == 0


@pytest.mark.parametrize(("name", "number"), list(zip(WRITING, cycle(sorted(REFUSALS)), strict=False)))
def test_every_refusal_of_the_disk_is_one_sentence(
    name: str, number: int, tiny: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused is the making of the folder that the first result goes to."""
    config, results = tiny

    def refusing(path: Path, *_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    (tmp_path / "results" / "tiny").mkdir(parents=True)
    for each in (results / "tiny").iterdir():
        if not MADE[name].startswith(each.name):
            (shutil.copytree if each.is_dir() else shutil.copy)(each, tmp_path / "results" / "tiny" / each.name)
    if name == "simulate":
        shutil.rmtree(tmp_path / "results")
    monkeypatch.setattr(Path, "mkdir", refusing)
    with hurried():
        said = run(*arguments(name, tmp_path / "results", config)).sentence
    assert REFUSALS[number] in said
    assert str(tmp_path) in said


@pytest.mark.parametrize("stage", ["rollout", "diagnose"])
@pytest.mark.parametrize("seed", [-1, 2, 10**30])
def test_a_seed_is_one_of_those_of_the_experiment(tmp_path: Path, stage: str, seed: int) -> None:
    """Results of another one would belong to no configuration."""
    words = (stage, TINY, "--emulator", "small", "--stabilizer", "raw", "--results", tmp_path, "--seed", seed)
    said = run(*words)
    assert (said.status, said.sentence) == (2, f"Error: {seed} is not under seeds; there is 0, 1")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["--threads", "--workers"])
@pytest.mark.parametrize("number", [5000, 99999999999999])
def test_threads_and_processes_have_a_bound(tmp_path: Path, option: str, number: int) -> None:
    command = {"--threads": ("cost", TINY, "--emulator", "small"), "--workers": ("simulate", TINY, "--split", "train")}
    done = thermalize(*command[option], option, str(number), cwd=tmp_path)
    assert done.returncode == 2
    assert f"Invalid value for '{option}'" in done.stderr
    assert "4096" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_of_results_that_cannot_be_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (("resolve", TINY), ("simulate", TINY, "--split", "train")):
        assert run(*words, "--results", "").sentence == (
            "Error: --results is empty; name a folder, such as results, or write . for the working folder"
        )
        assert not list(tmp_path.iterdir())

    def nowhere(path: Path, *_: object, **__: object) -> None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))  # as /proc says

    monkeypatch.setattr(Path, "mkdir", nowhere)
    said = run("resolve", TINY, "--results", "nowhere").sentence
    assert said == "Error: Cannot write nowhere/tiny: no folder can be made there; choose another one"


def test_an_error_without_a_known_number_is_one_sentence_too() -> None:
    assert files.refused(OSError("NetCDF: HDF error")) == "The system refused: NetCDF: HDF error"
    assert files.refused(FileNotFoundError(errno.ENOENT, "no", "a/b")).startswith("a/b does not exist; run the stage")
    assert files.refused(FileNotFoundError(errno.ENOENT, "no folder")) == "The system refused: no folder"
    assert files.refused(OSError(errno.EBUSY, "busy", "a")) == "Cannot read or write a: busy"
