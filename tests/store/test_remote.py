"""Stores in an object store: the same bytes as on a disk, and as hard to mistake for whole when they are not."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from object_store import SECRET, Storage, bucket, disk, reaching, server
from store_data import settings, tree

import thermalize.store.location
import thermalize.truth.simulate
from thermalize.config import Experiment
from thermalize.runtime.errors import UserError
from thermalize.store import blocks, garbage, layout
from thermalize.store import publish as commit
from thermalize.store.home import FURTHER
from thermalize.store.location import UnreachableError
from thermalize.store.manifest import check_system, completed, open_store, read_manifest, verify
from thermalize.truth.simulate import Block, integrate, simulate

__all__ = ["bucket", "disk", "server"]


@pytest.fixture(autouse=True)
def _places_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for somebody who looks into stores without their configuration, or changes `storage`."""
    monkeypatch.setenv(FURTHER, f"s3://data/some/prefix file://{tmp_path}/disk")


def experiment(storage: str | None, **simulation: Any) -> Experiment:
    return Experiment.model_validate({**settings(**simulation), "storage": storage})


def run(folder: Path, storage: str | None, workers: int = 1, **simulation: Any) -> Path:
    manifest = folder / "train.manifest.json"
    simulate(experiment(storage, **simulation), "train", manifest, workers=workers)
    return manifest


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of the same simulation on this machine's disk."""
    return run(tmp_path_factory.mktemp("local"), None)


def values(manifest: Path) -> np.ndarray:
    return open_store(manifest)["velocity"].values


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock" and path.name != "disk")


FINISHED = [".train.manifest.json", "train.manifest.json"]


def of(manifest: Path) -> str:
    """The name of a finished store."""
    return str(read_manifest(manifest).url).rsplit("/", 1)[1]


def test_a_store_at_a_url_has_the_bytes_of_one_on_disk(tmp_path: Path, bucket: Storage, local: Path) -> None:
    manifest = run(tmp_path, bucket.url)
    found, expected = read_manifest(manifest), read_manifest(local)
    assert found.url == f"{bucket.url}/small/simulation/train-{found.fingerprint[:12]}.zarr"
    assert found.model_copy(update={"url": None, "sizes": None, "store": expected.store}) == expected
    assert bucket.objects(f"/small/simulation/{found.store}") == tree(local.with_name("train.zarr"))
    assert names(tmp_path) == FINISHED
    np.testing.assert_array_equal(values(manifest), values(local))
    assert verify(manifest) == found
    check_system(open_store(manifest), experiment(None))
    with xr.open_zarr(found.url, chunks=None, decode_times=False) as plain:
        np.testing.assert_array_equal(plain["velocity"], values(local))


def test_a_folder_of_another_disk_is_a_place_too(tmp_path: Path, disk: Storage, local: Path) -> None:
    manifest = run(tmp_path / "results", f"{disk.url}/")
    record = read_manifest(manifest)
    assert record.url == f"file://{tmp_path}/disk/small/simulation/{record.store}"
    assert tree(tmp_path / "disk/small/simulation" / record.store) == tree(local.with_name("train.zarr"))
    np.testing.assert_array_equal(values(manifest), values(local))
    assert names(tmp_path / "results") == FINISHED


@pytest.mark.slow
def test_dask_workers_send_the_same_bytes(tmp_path: Path, bucket: Storage, local: Path) -> None:
    manifest = run(tmp_path, bucket.url, workers=2)
    assert read_manifest(manifest).digests == read_manifest(local).digests
    verify(manifest)


class Killed(BaseException):
    """Stands for the end of the process: no handler of errors may catch it."""


def dying(function: Callable[..., Any], calls: int) -> Callable[..., Any]:
    """The function, until the process ends in place of the call after so many."""
    count = iter(range(calls))

    def call(*arguments: Any, **options: Any) -> Any:
        if next(count, None) is None:
            raise Killed
        return function(*arguments, **options)

    return call


@contextmanager
def killed(where: Any, name: str, calls: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(where, name, dying(getattr(where, name), calls))
        with pytest.raises(Killed):
            yield


def blocks_of(folder: Path, storage: str | None, monkeypatch: pytest.MonkeyPatch, **simulation: Any) -> list[int]:
    """The blocks that a run integrates."""
    found: list[int] = []

    def count(task: Block) -> int:
        found.append(task.index)
        return integrate(task)

    with monkeypatch.context() as patch:
        patch.setattr(thermalize.truth.simulate, "integrate", count)
        run(folder, storage, **simulation)
    return found


BEGINNING = 10
"""Files that are sent before any shard; then come three for each of three blocks, and the metadata once more."""


@pytest.mark.parametrize(
    ("uploads", "repeated"),
    [(0, [0, 1, 2]), (3, [0, 1, 2]), (12, [0, 1, 2]), (13, [1, 2]), (17, [2]), (19, []), (20, None)],
)
def test_a_killed_run_repeats_only_what_was_not_sent(
    tmp_path: Path,
    disk: Storage,
    local: Path,
    monkeypatch: pytest.MonkeyPatch,
    uploads: int,
    repeated: list[int] | None,
) -> None:
    if repeated is None:
        run(tmp_path, disk.url)
        assert len(disk.objects()) == BEGINNING + 9
        return
    with killed(layout, "put", uploads):
        run(tmp_path, disk.url)
    assert not (tmp_path / "train.manifest.json").exists()
    assert blocks_of(tmp_path, disk.url, monkeypatch) == repeated
    assert read_manifest(tmp_path / "train.manifest.json").digests == read_manifest(local).digests
    verify(tmp_path / "train.manifest.json")
    assert names(tmp_path) == FINISHED


@pytest.mark.parametrize("fault", ["cut", "lost", "forgotten"])
def test_what_did_not_arrive_whole_is_made_again(
    tmp_path: Path, disk: Storage, local: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    with killed(layout, "put", BEGINNING + 7):
        run(tmp_path, disk.url)
    shard = "velocity/c/1/0/0/0"
    (found,) = [name for name in disk.fs.find(disk.path) if name.endswith(shard)]
    if fault == "cut":
        disk.fs.pipe_file(found, disk.fs.cat_file(found)[:-1])
    elif fault == "lost":
        disk.fs.rm_file(found)
    else:
        (tmp_path / "train.zarr.partial.blocks" / "block-0001.json").write_text("{")
    assert blocks_of(tmp_path, disk.url, monkeypatch) == [1, 2]
    assert read_manifest(tmp_path / "train.manifest.json").digests == read_manifest(local).digests
    verify(tmp_path / "train.manifest.json")


def test_what_does_not_belong_to_the_store_is_swept_out(tmp_path: Path, disk: Storage) -> None:
    with killed(layout, "put", BEGINNING + 7):
        run(tmp_path, disk.url)
    (store,) = disk.stores()
    disk.put(f"small/simulation/{store}/velocity/9", b"of someone else")
    manifest = run(tmp_path, disk.url)
    assert set(disk.objects(f"/small/simulation/{store}")) == set(read_manifest(manifest).digests)


def test_a_place_that_loses_what_it_took_is_noticed(
    tmp_path: Path, disk: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = layout.put

    def careless(place: Any, content: bytes) -> None:
        if not str(place).endswith("x/zarr.json"):
            put(place, content)

    monkeypatch.setattr(layout, "put", careless)
    with pytest.raises(UserError, match=r"x/zarr\.json is missing or is not as it was written; run the same command"):
        run(tmp_path, disk.url)
    assert not (tmp_path / "train.manifest.json").exists()


def damage(bucket: Storage, manifest: Path, name: str, change: Callable[[bytes], bytes | None]) -> str:
    path = f"{read_manifest(manifest).url}/{name}".removeprefix("s3://")
    content = change(bucket.fs.cat_file(path))
    bucket.fs.rm_file(path) if content is None else bucket.fs.pipe_file(path, content)
    return f"s3://{path}"


@pytest.mark.parametrize(
    ("change", "seen"),
    [(lambda _: None, True), (lambda old: old[:-1], True), (lambda old: bytes([old[0] ^ 1]) + old[1:], False)],
    ids=["missing", "truncated", "flipped"],
)
def test_damage_is_found_by_name(
    tmp_path: Path, bucket: Storage, change: Callable[[bytes], bytes | None], seen: bool
) -> None:
    """Opening looks at names and sizes, reading at whatever comes whole, `thermalize verify` at every byte."""
    manifest = run(tmp_path, bucket.url)
    record = read_manifest(manifest)
    name = damage(bucket, manifest, "velocity/c/2/1/0/0", change)
    with pytest.raises(UserError) as caught:
        verify(manifest)
    assert name in str(caught.value)
    if not seen:
        dataset = open_store(manifest)
        assert dataset.sizes["member"] == 6
        with pytest.raises(UserError, match=rf"{name} was changed"):
            dataset["velocity"].load()
        assert completed(manifest, record.fingerprint) == record
        return
    with pytest.raises(UserError) as caught:
        open_store(manifest)
    assert name in str(caught.value)
    run(tmp_path, bucket.url)
    assert verify(manifest) == record
    assert names(tmp_path) == FINISHED


def test_changed_metadata_are_found_at_once(tmp_path: Path, bucket: Storage) -> None:
    manifest = run(tmp_path, bucket.url)
    damage(bucket, manifest, "zarr.json", lambda old: old.replace(b"velocity", b"velocitx"))
    with pytest.raises(UserError, match=r"zarr\.json was changed"):
        open_store(manifest)


def test_an_object_that_is_lost_while_it_is_read_is_no_nan(tmp_path: Path, bucket: Storage) -> None:
    manifest = run(tmp_path, bucket.url)
    dataset = open_store(manifest)
    damage(bucket, manifest, "velocity/c/0/1/0/0", lambda _: None)
    assert np.isfinite(dataset["velocity"][:2, :10].values).all()
    with pytest.raises(UserError, match="velocity/c/0/1/0/0 is missing; run the stage that makes it again"):
        dataset["velocity"].load()


def test_the_old_store_is_deleted_once_the_new_one_has_its_manifest(tmp_path: Path, bucket: Storage) -> None:
    manifest = run(tmp_path, bucket.url, spin_up=6.0)
    old, before = of(manifest), values(manifest)
    with killed(layout, "put", BEGINNING + 7):
        run(tmp_path, bucket.url)
    np.testing.assert_array_equal(values(manifest), before)
    assert len(bucket.stores()) == 2
    run(tmp_path, bucket.url)
    assert bucket.stores() == {of(manifest)} != {old}
    assert names(tmp_path) == FINISHED


def test_snakemake_may_delete_the_manifest_before(tmp_path: Path, disk: Storage) -> None:
    run(tmp_path, disk.url, spin_up=6.0).unlink()
    manifest = run(tmp_path, disk.url)
    assert disk.stores() == {of(manifest)}


def test_an_unfinished_store_that_is_not_continued_is_deleted_in_the_end(tmp_path: Path, disk: Storage) -> None:
    with killed(layout, "put", BEGINNING + 7):
        run(tmp_path, disk.url, spin_up=6.0)
    manifest = run(tmp_path, disk.url)
    assert disk.stores() == {of(manifest)}
    assert names(tmp_path) == FINISHED


@contextmanager
def killed_at(step: int) -> Iterator[None]:
    """The process ends before the given one of the changes that publishing makes."""
    count = iter(range(step))

    def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if next(count, None) is None:
                raise Killed
            return function(*arguments, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        places = (
            (commit, "remove"),
            (commit, "discard"),
            (commit, "write_text"),
            (blocks, "discard"),
            (garbage, "write_text"),
            (garbage, "delete"),
        )
        publish = commit._publish

        def publishing(*arguments: Any) -> None:
            with pytest.MonkeyPatch.context() as inner:
                for where, name in places:
                    inner.setattr(where, name, guarded(getattr(where, name)))
                publish(*arguments)

        patch.setattr(commit, "_publish", publishing)
        yield


@pytest.mark.parametrize("step", range(9))
def test_killed_at_any_step_of_publishing_only_whole_stores_are_read(
    tmp_path: Path, disk: Storage, local: Path, step: int
) -> None:
    before = values(manifest := run(tmp_path, disk.url, spin_up=6.0))
    with killed_at(step), pytest.raises(Killed):
        run(tmp_path, disk.url)
    try:
        found = values(manifest)
    except UserError:
        found = None
    assert found is None or any(np.array_equal(found, each) for each in (before, values(local)))
    run(tmp_path, disk.url)
    np.testing.assert_array_equal(values(manifest), values(local))
    assert disk.stores() == {of(manifest)}
    assert names(tmp_path) == FINISHED


def test_publishing_has_no_more_steps_than_are_tested(tmp_path: Path, disk: Storage) -> None:
    run(tmp_path, disk.url, spin_up=6.0)
    with killed_at(9):
        run(tmp_path, disk.url)


def test_a_finished_store_stays_where_it_is(
    tmp_path: Path, disk: Storage, monkeypatch: pytest.MonkeyPatch, local: Path
) -> None:
    manifest = run(tmp_path, disk.url)
    text = manifest.read_text()
    for storage in (None, f"{disk.url}/other", f"file://{tmp_path}/third"):
        assert blocks_of(tmp_path, storage, monkeypatch) == []
        assert manifest.read_text() == text
    np.testing.assert_array_equal(values(manifest), values(local))


def test_the_next_store_lies_where_the_configuration_says(tmp_path: Path, disk: Storage) -> None:
    manifest = run(tmp_path, None, spin_up=6.0)
    run(tmp_path, disk.url)
    assert names(tmp_path) == FINISHED
    assert disk.stores() == {of(manifest)}
    run(tmp_path, None, spin_up=7.0)
    assert names(tmp_path) == [*FINISHED, "train.zarr"]
    assert disk.objects() == {}
    assert "url" not in json.loads(manifest.read_text())


def test_an_unfinished_store_begins_anew_at_another_place(
    tmp_path: Path, disk: Storage, monkeypatch: pytest.MonkeyPatch, local: Path
) -> None:
    with killed(layout, "put", BEGINNING + 7):
        run(tmp_path, disk.url)
    assert blocks_of(tmp_path, None, monkeypatch) == [0, 1, 2]
    assert disk.objects() == {}
    assert tree(tmp_path) == tree(local.parent)


def complaint(folder: Path, storage: str) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(thermalize.truth.simulate, "integrate", lambda _: pytest.fail("something was computed"))
        with pytest.raises(UnreachableError) as caught:
            run(folder, storage)
    assert not (folder / "train.manifest.json").exists()
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_a_bucket_that_is_not_there_is_refused_before_anything_is_computed(tmp_path: Path, bucket: Storage) -> None:
    sentence = complaint(tmp_path, "s3://nowhere/prefix")
    assert sentence.startswith("s3://nowhere/prefix/small/simulation/train-")
    assert sentence.endswith("cannot be reached: there is no such bucket or folder; create it, or correct the URL")
    assert not bucket.fs.exists("nowhere")


def ask(url: str, data: bytes) -> None:
    with urllib.request.urlopen(urllib.request.Request(url, data, {"Content-Type": "text/plain"})):
        pass


def test_without_permission_nothing_is_computed(tmp_path: Path, bucket: Storage) -> None:
    ask(f"{bucket.endpoint}/moto-api/reset-auth", b"0")
    try:
        assert "permission denied; check which credentials" in complaint(tmp_path, bucket.url)
    finally:
        ask(f"{bucket.endpoint}/moto-api/reset-auth", b"inf")


# nobody answers there, and nobody should be told the password
NOBODY = "http://user:password@127.0.0.1:1"


def test_without_connection_nothing_is_computed(tmp_path: Path, bucket: Storage) -> None:
    with reaching(NOBODY):
        sentence = complaint(tmp_path, bucket.url)
    assert "no connection; check the network and the endpoint" in sentence
    assert "password" not in sentence


def test_a_finished_store_that_cannot_be_asked_is_not_made_again(tmp_path: Path, bucket: Storage) -> None:
    run(tmp_path, bucket.url).unlink()
    with reaching(NOBODY):
        assert "no connection" in complaint(tmp_path, f"file://{tmp_path}/disk")


@pytest.mark.parametrize(("uploads", "repeated"), [(4, [1, 2]), (8, [2]), (9, [])])
def test_a_connection_that_is_lost_in_between_costs_nothing_that_was_sent(
    tmp_path: Path, bucket: Storage, monkeypatch: pytest.MonkeyPatch, uploads: int, repeated: list[int]
) -> None:
    put, count = layout.put, iter(range(BEGINNING + uploads))

    def lost(place: Any, content: bytes) -> None:
        if next(count, None) is not None:
            return put(place, content)
        with reaching(NOBODY):
            return put(thermalize.store.location.elsewhere(str(place)), content)

    with monkeypatch.context() as patch:
        patch.setattr(layout, "put", lost)
        with pytest.raises(UserError, match=r"no connection; .* run the same command again, what is finished is kept"):
            run(tmp_path, bucket.url)
    assert blocks_of(tmp_path, bucket.url, monkeypatch) == repeated
    verify(tmp_path / "train.manifest.json")


def test_a_connection_that_is_lost_while_reading_is_one_sentence(tmp_path: Path, bucket: Storage) -> None:
    manifest = run(tmp_path, bucket.url)
    with reaching(NOBODY):
        for call in (open_store, verify):
            with pytest.raises(UnreachableError, match="no connection"):
                call(manifest)
    assert verify(manifest)


def test_a_package_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(scheme: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(thermalize.store.location, "get_filesystem_class", missing)
    assert complaint(tmp_path, "s3://data/x").endswith("install what s3:// needs with pip install 'thermalize[s3]'")
    assert complaint(tmp_path, "gs://data/x").endswith("Please install gcsfs to access Google Storage")


def test_a_scheme_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    assert "the scheme s4:// is unknown; write s3:// or file:///" in complaint(tmp_path, "s4://data/x")


def test_a_store_that_cannot_be_deleted_is_deleted_next_time(
    tmp_path: Path, disk: Storage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, disk.url, spin_up=6.0)

    def refuse(_: object) -> None:
        raise UnreachableError("no right to delete")

    with monkeypatch.context() as patch:
        patch.setattr(garbage, "delete", refuse)
        manifest = run(tmp_path, disk.url)
    assert "The outdated store was not deleted: no right to delete" in capsys.readouterr().err
    assert len(disk.stores()) == 2
    run(tmp_path, disk.url)
    assert disk.stores() == {of(manifest)}
    assert names(tmp_path) == FINISHED
