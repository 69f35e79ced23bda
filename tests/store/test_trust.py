"""Files beside results that come from somebody else name nothing that is deleted, written or reached."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from object_store import Storage, disk
from store_data import experiment, field, fill, settings, stored, tree

from thermalize.config import Experiment
from thermalize.runtime.errors import UserError
from thermalize.runtime.files import exclusive, write_text
from thermalize.store import home as homes
from thermalize.store.home import Home, StrangerError, named_place
from thermalize.store.manifest import (
    completed,
    open_store,
    partial_path,
    read_manifest,
    store_path,
    verify,
    zarr_store,
)
from thermalize.store.ours import discard, refuse_links
from thermalize.truth.simulate import simulate

__all__ = ["disk"]

SENTENCE = "to be deleted, which is no store of this manifest below the configured storage; it was left where it is"
PLACE = "small/simulation"
OURS = f"{PLACE}/train-0123456789ab.zarr"


@pytest.fixture
def somebody(tmp_path: Path) -> Path:
    """A folder of somebody else's."""
    folder = tmp_path / "somebody"
    (folder / "inner").mkdir(parents=True)
    (folder / "thesis.tex").write_text("years of work")
    (folder / "inner" / "data.nc").write_text("more years")
    return folder


@cache
def finished() -> dict[str, bytes]:
    """Every file of a small finished store and of its manifest."""
    with TemporaryDirectory() as name:
        stored(Path(name) / "train.manifest.json", field())
        files = (path for path in Path(name).rglob("*") if path.is_file())
        return {path.relative_to(name).as_posix(): path.read_bytes() for path in files}


def put(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def sealed(folder: Path) -> Path:
    """A small finished store, beside its manifest."""
    put(folder, finished())
    return folder / "train.manifest.json"


def rewritten(path: Path, **changes: object) -> None:
    """A manifest as somebody else may write it: other content, with the digest of it."""
    path.write_text(read_manifest(path).model_copy(update=changes).text())


def listed(folder: Path, *urls: str) -> Path:
    """A finished store beside a list of stores to be deleted; its manifest."""
    manifest = sealed(folder)
    (folder / ".train.zarr.garbage").write_text(json.dumps(urls))
    return manifest


def home(storage: str | None) -> Home:
    return Home(storage, Path(PLACE, "train.manifest.json"))


def store_at(folder: Path) -> None:
    put(folder, {name.removeprefix("train.zarr/"): each for name, each in finished().items() if "zarr/" in name})


def test_a_list_deletes_no_folder_of_somebody_else(
    tmp_path: Path, somebody: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(somebody)
    manifest = listed(tmp_path, f"file://{somebody}")
    assert completed(manifest, "f", home(None))
    assert tree(somebody) == before
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.endswith(f".train.zarr.garbage names 'file://{somebody}' {SENTENCE}\n")
    assert not (tmp_path / ".train.zarr.garbage").exists(), "it is said once"


def test_through_the_whole_stage_too(tmp_path: Path, somebody: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest, before = tmp_path / "train.manifest.json", tree(somebody)
    simulate(experiment(), "train", manifest, workers=1)
    (tmp_path / ".train.zarr.garbage").write_text(json.dumps([f"file://{somebody}"]))
    simulate(experiment(), "train", manifest, workers=1)
    assert tree(somebody) == before
    assert SENTENCE in capsys.readouterr().err


def elsewhere(url: str, disk: str, tmp_path: Path) -> str:
    return url.format(disk=disk, tmp=tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "{disk}",
        "{disk}/" + PLACE,
        "{disk}/other/simulation/train-0123456789ab.zarr",
        "{disk}/small/rollouts/train-0123456789ab.zarr",
        "{disk}/" + PLACE + "/valid-0123456789ab.zarr",
        "{disk}/" + PLACE + "/train-0123456789AB.zarr",
        "{disk}/" + PLACE + "/train.zarr",
        "{disk}/" + OURS + "/..",
        "{disk}/../disk/" + OURS,
        "{disk}/./" + OURS,
        "{disk}/" + OURS + "/",
        "file://{tmp}/elsewhere/" + OURS,
        "local://{tmp}/disk/" + OURS,
        "simplecache::{disk}/" + OURS,
        "zip://" + OURS + "::{disk}",
        "memory://" + OURS,
        "http://127.0.0.1:1/" + OURS,
        "{tmp}/disk/" + OURS,
        "nonsense",
    ],
)
def test_only_the_place_of_a_store_of_this_manifest_is_deleted(
    tmp_path: Path, disk: Storage, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for root in ("disk", "elsewhere"):
        for name in (OURS, OURS.replace("small", "other"), OURS.replace("train", "valid"), f"{PLACE}/train.zarr"):
            store_at(tmp_path / root / name)
    before = tree(tmp_path / "disk") | tree(tmp_path / "elsewhere")
    completed(listed(tmp_path, elsewhere(url, disk.url, tmp_path)), "f", home(disk.url))
    assert tree(tmp_path / "disk") | tree(tmp_path / "elsewhere") == before
    assert SENTENCE in capsys.readouterr().err


def test_the_very_place_is_deleted(tmp_path: Path, disk: Storage, capsys: pytest.CaptureFixture[str]) -> None:
    store_at(tmp_path / "disk" / OURS)
    completed(listed(tmp_path, f"{disk.url}/{OURS}"), "f", home(disk.url))
    assert not (tmp_path / "disk" / OURS).exists()
    assert capsys.readouterr().err == ""


def notes(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")


def no_group(folder: Path) -> None:
    (folder / "zarr.json").write_text("{}")


def without_metadata(folder: Path) -> None:
    (folder / "zarr.json").unlink()


@pytest.mark.parametrize("change", [notes, no_group, without_metadata])
def test_what_lies_there_must_be_a_store_of_ours(
    tmp_path: Path, disk: Storage, change: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    store_at(tmp_path / "disk" / OURS)
    change(tmp_path / "disk" / OURS)
    before = tree(tmp_path / "disk")
    completed(listed(tmp_path, f"{disk.url}/{OURS}"), "f", home(disk.url))
    assert tree(tmp_path / "disk") == before
    assert SENTENCE in capsys.readouterr().err


@pytest.mark.parametrize("link", ["store", "folder"])
def test_no_link_leads_a_deletion_out_of_the_storage(
    tmp_path: Path, disk: Storage, link: str, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "elsewhere" / Path(OURS).name
    store_at(other)
    place = tmp_path / "disk" / (OURS if link == "store" else PLACE)
    place.parent.mkdir(parents=True)
    place.symlink_to(other if link == "store" else other.parent)
    before = tree(other)
    completed(listed(tmp_path, f"{disk.url}/{OURS}"), "f", home(disk.url))
    assert tree(other) == before
    assert SENTENCE in capsys.readouterr().err


@pytest.mark.parametrize("where", ["manifest", "copy"])
def test_no_manifest_puts_a_folder_of_somebody_else_on_the_list(
    tmp_path: Path, somebody: Path, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest, url, before = sealed(tmp_path), f"file://{somebody}", tree(somebody)
    path = manifest if where == "manifest" else manifest.with_name(".train.manifest.json")
    rewritten(path, url=url, sizes={}, fingerprint="other")
    simulate(experiment(), "train", manifest, workers=1)
    assert tree(somebody) == before
    assert SENTENCE in capsys.readouterr().err


URLS = [
    "file:///etc/train-0123456789ab.zarr",
    "s3://theirs/train-0123456789ab.zarr",
    "http://127.0.0.1:1/x",
    "nonsense",
]
URLS += ["simplecache::file:///etc/train-0123456789ab.zarr", "zip://train-0123456789ab.zarr::file:///x.zip"]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("storage", [None, "file:///somewhere/else"])
def test_no_manifest_makes_us_ask_a_place_that_the_user_never_named(
    tmp_path: Path, url: str, storage: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = sealed(tmp_path)
    rewritten(manifest, url=url, sizes={"zarr.json": 1})
    elsewhere = homes.elsewhere
    monkeypatch.setattr(
        homes, "elsewhere", lambda given: elsewhere(given) if given == storage else pytest.fail(f"asked {given}")
    )
    for read in (
        lambda: open_store(manifest, storage=storage),
        lambda: zarr_store(manifest, storage),
        lambda: verify(manifest, storage),
        lambda: completed(manifest, "f", home(storage)),
    ):
        with pytest.raises(StrangerError, match="delete the manifest and make the store again"):
            read()


def test_a_place_is_named_by_configuration_or_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    url = f"file://{tmp_path}/disk/{OURS}"
    with pytest.raises(StrangerError):
        named_place(url, None, tmp_path)
    assert str(named_place(url, f"file://{tmp_path}/disk/", tmp_path)) == url
    monkeypatch.setenv(homes.FURTHER, f"s3://data/x file://{tmp_path}")
    assert str(named_place(url, None, tmp_path)) == url
    with pytest.raises(StrangerError):
        named_place(url.replace("/disk/", "/../"), None, tmp_path)


@pytest.mark.parametrize("key", ["../../x", "/etc/passwd", "velocity/../../x", "a/b/c", "velocity/c/../0", "..\\x", ""])
@pytest.mark.parametrize("place", ["digests", "sizes"])
def test_a_manifest_names_no_file_but_those_of_a_store(tmp_path: Path, key: str, place: str) -> None:
    manifest = sealed(tmp_path)
    digests = read_manifest(manifest).digests
    files: dict[str, dict[str, object]] = {"digests": {**digests}, "sizes": dict.fromkeys(digests, 1)}
    rewritten(manifest, url="file:///disk/train.zarr", **files)
    read_manifest(manifest)
    rewritten(manifest, **{place: {**files[place], key: files[place]["zarr.json"]}})
    with pytest.raises(UserError, match="is not a manifest of this version"):
        read_manifest(manifest)


@pytest.mark.parametrize("change", [{"store": ".."}, {"store": "."}, {"variable": "../x"}, {"store": "notes"}])
def test_names_in_a_manifest_are_names(tmp_path: Path, change: dict[str, str]) -> None:
    manifest = sealed(tmp_path)
    rewritten(manifest, **change)
    with pytest.raises(UserError, match="is not a manifest of this version"):
        read_manifest(manifest)


# what is beside the stores of a simulation, and what of it may be a folder of somebody else
BESIDE = ("train.zarr", "train.zarr.partial", "train.zarr.partial.blocks", "train.zarr.old")


@pytest.mark.parametrize("name", BESIDE)
@pytest.mark.parametrize("how", ["link", "folder"])
def test_a_folder_of_somebody_else_under_a_name_of_ours_is_left(
    tmp_path: Path, somebody: Path, name: str, how: str
) -> None:
    before, path = tree(somebody), tmp_path / "results" / name
    path.parent.mkdir()
    if how == "link":
        path.symlink_to(somebody)
        simulate(experiment(), "train", path.with_name("train.manifest.json"), workers=1)
        verify(path.with_name("train.manifest.json"))
        assert tree(somebody) == before
        return
    shutil.copytree(somebody, path)
    with pytest.raises(UserError, match="is nothing that a run keeps there; move it away"):
        simulate(experiment(), "train", path.with_name("train.manifest.json"), workers=1)
    kept = path if path.exists() else path.with_name("train.zarr.old")
    assert tree(kept) == before


@pytest.mark.parametrize("kind", ["link", "hard link", "pipe", "linked folder"])
def test_nothing_is_written_through_what_lies_in_an_unfinished_store(tmp_path: Path, somebody: Path, kind: str) -> None:
    manifest, before = tmp_path / "train.manifest.json", tree(somebody)
    expected = simulate(experiment(), "train", tmp_path / "whole" / manifest.name, workers=1).digests
    partial = partial_path(manifest)
    blocks = partial.with_name(f"{partial.name}.blocks")
    shutil.copytree(store_path(tmp_path / "whole" / manifest.name), partial)
    blocks.mkdir()
    (blocks / "fingerprint").write_text(read_manifest(tmp_path / "whole" / manifest.name).fingerprint)
    for name in ("velocity/zarr.json", "zarr.json", "velocity/c/0/0/0/0"):
        (partial / name).unlink()
        if kind == "link":
            (partial / name).symlink_to(somebody / "thesis.tex")
        elif kind == "hard link":
            os.link(somebody / "thesis.tex", partial / name)
        elif kind == "pipe":
            os.mkfifo(partial / name)
    if kind == "linked folder":
        shutil.rmtree(partial / "velocity" / "c" / "1")
        (partial / "velocity" / "c" / "1").symlink_to(somebody)
    assert simulate(experiment(), "train", manifest, workers=1).digests == expected
    assert tree(somebody) == before


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_lock_is_a_plain_file(tmp_path: Path, somebody: Path, kind: str) -> None:
    lock, before = tmp_path / ".train.zarr.lock", tree(somebody)
    if kind == "link":
        lock.symlink_to(somebody / "thesis.tex")
    else:
        os.mkfifo(lock) if kind == "pipe" else lock.mkdir()
    with pytest.raises(UserError, match="is no plain file, as a lock must be"), exclusive(tmp_path / "train.zarr"):
        pass
    assert tree(somebody) == before


def test_a_temporary_file_is_not_written_through_a_link(tmp_path: Path, somebody: Path) -> None:
    before = tree(somebody)
    (tmp_path / f".table.{os.getpid()}.tmp.csv").symlink_to(somebody / "thesis.tex")
    write_text(tmp_path / "table.csv", "numbers")
    assert tree(somebody) == before
    assert (tmp_path / "table.csv").read_text() == "numbers"


def test_a_results_folder_does_not_lead_elsewhere(tmp_path: Path, somebody: Path) -> None:
    root = tmp_path / "results"
    (root / "small" / "rollouts").mkdir(parents=True)
    (root / "other" / "simulation").mkdir(parents=True)
    refuse_links(root / "missing", root)
    (root / "small" / "simulation").symlink_to(root / "other" / "simulation")
    (tmp_path / "linked").symlink_to(root)
    refuse_links(tmp_path / "linked" / "small", tmp_path / "linked")
    (root / "small" / "rollouts" / "unet").symlink_to(somebody)
    with pytest.raises(UserError, match="rollouts/unet is a link that leads out of the results; put a folder"):
        refuse_links(root / "small", root)


def test_what_is_discarded_is_looked_at_first(tmp_path: Path, somebody: Path) -> None:
    before = tree(somebody)
    with pytest.raises(UserError, match=r"inner/data\.nc is nothing that a run keeps there"):
        discard(somebody)
    assert tree(somebody) == before
    with pytest.raises(UserError, match="move it away"):
        discard(somebody / "thesis.tex")
    fill(tmp_path / "store.zarr.partial", field())
    discard(tmp_path / "store.zarr.partial")
    assert not (tmp_path / "store.zarr.partial").exists()


def test_the_experiment_says_where_its_stores_lie(tmp_path: Path, disk: Storage) -> None:
    config = Experiment.model_validate({**settings(), "storage": disk.url})
    manifest = tmp_path / "train.manifest.json"
    record = simulate(config, "train", manifest, workers=1)
    assert simulate(config, "train", manifest, workers=1) == record
    with pytest.raises(StrangerError, match="but no storage is configured; if you trust that place, name it"):
        simulate(experiment(), "train", manifest, workers=1)
    assert open_store(manifest, storage=disk.url).sizes["member"] == 6
