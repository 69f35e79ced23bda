"""`thermalize verify` of any file and any folder: what matches, what does not, and what has no digest."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from commands import run
from store_data import field, stored

from thermalize.runtime.errors import UserError
from thermalize.store import sealed
from thermalize.store.audit import audit


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A store, a model, a table, a file of the user's own, and unfinished work."""
    folder = tmp_path / "results" / "mine"
    manifest = folder / "simulation" / "train.manifest.json"
    stored(manifest, field(), statistics={"mean": [0.0], "std": [1.0]})
    for name in ("model.json", "history.csv"):
        (folder / "emulators" / "unet").mkdir(parents=True, exist_ok=True)
        (folder / "emulators" / "unet" / name).write_text(name)
    sealed.seal_folder(folder / "emulators" / "unet", ["model.json", "history.csv"])
    sealed.write(folder / "tables" / "summary.csv", b"a,b\n")
    (folder / "notes.txt").write_text("mine")
    (folder / "emulators" / "other.partial").mkdir()
    (folder / "emulators" / "other.partial" / "state.pt").write_text("half")
    (folder / "simulation" / ".train.zarr.lock").touch()
    return folder


def test_a_folder_is_counted(results: Path) -> None:
    files = sum(path.is_file() for path in (results / "simulation" / "train.zarr").rglob("*"))
    found = audit(results)
    assert (found.artifacts, found.files, found.faults) == (3, files + 3, [])
    assert found.bare == [results / "notes.txt"]
    assert run("verify", results).out == f"{found.summary()}\n"
    assert "notes.txt" in found.summary()


@pytest.mark.parametrize(
    ("path", "files"),
    [
        ("simulation/train.manifest.json", None),
        ("simulation/train.zarr", None),
        ("simulation/train.zarr/velocity/c/0/0/0/0", None),
        ("simulation/.train.manifest.json", None),
        ("emulators/unet", 2),
        ("emulators/unet/model.json", 2),
        ("emulators/unet/SHA256SUMS", 2),
        ("tables", 1),
        ("tables/summary.csv", 1),
        ("tables/summary.csv.sha256", 1),
    ],
)
def test_any_file_or_folder_will_do(results: Path, path: str, files: int | None) -> None:
    found = audit(results / path)
    assert (found.artifacts, found.faults, found.bare) == (1, [], [])
    assert found.files == files or files is None
    assert run("verify", results / path).status == 0


def test_every_fault_is_named(results: Path) -> None:
    wrong = ["simulation/train.zarr/velocity/c/0/0/0/0", "simulation/train.zarr/time/c/0", "emulators/unet/history.csv"]
    for name in wrong:
        (results / name).write_bytes(b"other")
    lost = ["tables/summary.csv", "emulators/unet/model.json", "simulation/train.zarr/zarr.json"]
    for name in lost:
        (results / name).unlink()
    said = run("verify", results / "simulation", results / "emulators", results / "tables")
    assert said.status == 2
    assert said.err.count("\n") == 6
    assert all(name in said.err for name in (*wrong, *lost))
    assert "match their digests; 3 faults" in said.out
    assert "Traceback" not in said.err


def test_a_store_without_its_manifest_is_a_fault(results: Path) -> None:
    (results / "simulation" / "train.manifest.json").unlink()
    (fault,) = audit(results).faults
    assert "train.manifest.json does not exist" in fault


def test_a_folder_with_nothing_of_ours_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("a")
    for path in (tmp_path, tmp_path / "table.csv", tmp_path / "nowhere"):
        with pytest.raises(UserError, match=r"holds no results|does not exist"):
            audit(path)
    assert "holds no results" in run("verify", tmp_path).sentence


def test_links_are_followed_within_the_results_alone_and_pipes_not_waited_for(results: Path, tmp_path: Path) -> None:
    shutil.move(results / "simulation", tmp_path / "disk")
    (results / "simulation").symlink_to(tmp_path / "disk")
    (results / "tables" / "back").symlink_to(results)
    os.mkfifo(results / "tables" / "pipe")
    found = audit(results)
    assert found.artifacts == 2
    assert [fault.partition(" is a link that leads out")[0] for fault in found.faults] == [str(results / "simulation")]
    assert found.bare == [results / "notes.txt", results / "tables" / "pipe"]
