"""Only whole, intact stores are ever read as data, whatever happens while they are sealed or afterwards."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from store_data import SERIES, experiment, field, fill, layout, stored, tree

from thermalize import __version__
from thermalize.runtime.errors import UserError
from thermalize.store import publish, reading
from thermalize.store.blocks import BlockLog
from thermalize.store.layout import Files
from thermalize.store.location import digest
from thermalize.store.manifest import (
    Manifest,
    check_system,
    completed,
    open_store,
    partial_path,
    read_manifest,
    seal,
    store_path,
    verify,
    zarr_store,
)

STATISTICS = {"mean": [0.25], "std": [1.5]}


def make(manifest: Path, seed: int = 0, fingerprint: str = "f") -> Manifest:
    return stored(manifest, field(seed), fingerprint=fingerprint, statistics=STATISTICS, attributes={"note": "late"})


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "train.manifest.json"
    make(path)
    return path


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


FAULTS = {"flip": flip, "truncate": truncate, "lengthen": lengthen, "delete": Path.unlink}


def test_a_sealed_store_is_opened_with_all_it_holds(manifest: Path) -> None:
    dataset = open_store(manifest)
    np.testing.assert_array_equal(dataset["velocity"], field())
    assert dataset["velocity"].dims == ("member", "time", "channel", "x")
    assert dataset["channel"].dtype.kind == "U"
    assert dataset["channel"].values.tolist() == ["u"]
    assert dataset["channel"].attrs == {"long_name": "channel"}
    expected = {"variable": "velocity", "equation": "u_t = 0", "seed": 3, "note": "late", **STATISTICS}
    assert dataset.attrs == expected
    assert not partial_path(manifest).exists()


def test_the_dataset_is_lazy_and_survives_netcdf(manifest: Path, tmp_path: Path) -> None:
    dataset = open_store(manifest)
    # xarray's own word for values that are not loaded yet
    assert not dataset["velocity"].variable._in_memory
    dataset.to_netcdf(tmp_path / "copy.nc")
    with xr.open_dataset(tmp_path / "copy.nc", decode_times=False) as copy:
        np.testing.assert_array_equal(copy["velocity"], field())


def test_the_manifest_describes_the_store(manifest: Path) -> None:
    record = read_manifest(manifest)
    assert record.store == "train.zarr"
    assert record.variable == "velocity"
    assert record.dims == ("member", "time", "channel", "x")
    assert record.shape == (4, 10, 1, 6)
    assert record.shards == (2, 4, 1, 6)
    assert record.chunks == (1, 2, 1, 6)
    assert record.dtype == "float32"
    assert record.fingerprint == "f"
    assert record.code_version == __version__
    assert record.statistics == STATISTICS
    assert record.attributes["note"] == "late"
    found = tree(manifest.parent / "train.zarr")
    assert record.digests == {name: f"sha256:{digest}" for name, digest in found.items()}
    assert list(record.digests) == sorted(record.digests)


def test_sealing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        make(tmp_path / folder / "train.manifest.json")
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_xarray_opens_the_store_without_this_package(manifest: Path) -> None:
    dataset = xr.open_zarr(store_path(manifest), chunks=None, decode_times=False)
    np.testing.assert_array_equal(dataset["velocity"], field())


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_any_damage_to_any_file_is_found_by_name(manifest: Path, fault: str) -> None:
    damage: Callable[[Path], None] = FAULTS[fault]
    for name in read_manifest(manifest).digests:
        path = store_path(manifest) / name
        before = path.read_bytes()
        damage(path)
        with pytest.raises(UserError) as caught:
            verify(manifest)
        assert str(path) in str(caught.value)
        with pytest.raises(UserError) as caught:
            open_store(manifest).load()
        assert str(path) in str(caught.value)
        assert completed(manifest, "f") is None
        path.write_bytes(before)
        assert verify(manifest) == verify(store_path(manifest)) == completed(manifest, "f")


def test_a_file_is_compared_when_it_is_first_read_and_not_before(manifest: Path) -> None:
    """A part of a shard is enough to read all of it; what nobody reads may be damaged."""
    flip(store_path(manifest) / "velocity/c/1/0/0/0")
    dataset = open_store(manifest)
    np.testing.assert_array_equal(dataset["velocity"][:2], field()[:2])
    with pytest.raises(UserError, match=r"velocity/c/1/0/0/0 was changed"):
        dataset["velocity"][2, 1].load()


def test_a_file_that_is_lost_while_the_store_is_open_is_an_error_and_never_nan(manifest: Path) -> None:
    dataset = open_store(manifest)
    (store_path(manifest) / "velocity/c/1/1/0/0").unlink()
    with pytest.raises(UserError, match=r"velocity/c/1/1/0/0 is missing"):
        dataset["velocity"].load()
    with pytest.raises(UserError, match=r"velocity/c/1/1/0/0 is missing"):
        dataset["velocity"][3, 5].load()


@pytest.mark.parametrize("empty", [True, False])
def test_a_store_that_has_gone_says_how_it_comes_back(manifest: Path, empty: bool) -> None:
    """Snakemake makes the empty folder for the job that makes the store again; another job may look at it meanwhile."""
    shutil.rmtree(store_path(manifest))
    if empty:
        store_path(manifest).mkdir()
    with pytest.raises(UserError) as caught:
        open_store(manifest)
    assert str(caught.value) == (
        f"{store_path(manifest)}/zarr.json is missing: the store has gone, though its manifest is there; make it again"
        " with its stage, or with `snakemake` without targets, then run the same command again"
    )


def test_threads_that_read_one_shard_read_it_once(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    monkeypatch.setattr(reading, "digest", lambda path: read.append(path.name) or digest(path))
    velocity = open_store(manifest)["velocity"]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda frame: velocity[0, frame % 4].values, range(32)))
    assert len(read) == 1
    for frame, values in enumerate(found):
        np.testing.assert_array_equal(values, field()[0, frame % 4])


def test_what_does_not_belong_to_a_store_is_not_read(manifest: Path) -> None:
    store, changed = store_path(manifest), zarr_store(manifest)
    (store / "extra").mkdir()
    (store / "extra" / "zarr.json").write_bytes((store / "velocity" / "zarr.json").read_bytes())
    with pytest.raises(FileNotFoundError):
        zarr.open_array(changed, path="extra", mode="r")


@pytest.mark.parametrize("copy", [False, True])
def test_a_manifest_with_any_other_byte_is_refused(manifest: Path, copy: bool) -> None:
    path = manifest.with_name(f".{manifest.name}") if copy else manifest
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"was changed|is not a manifest"):
            read_manifest(path)
    for other in (content[:-1], content + b"\n", b"", content.replace(b"0.25", b"0.35")):
        path.write_bytes(other)
        with pytest.raises(UserError, match=r"was changed|is not a manifest"):
            read_manifest(path)


def test_a_store_without_manifest_is_not_read(manifest: Path) -> None:
    manifest.unlink()
    for call in (verify, open_store, read_manifest):
        with pytest.raises(UserError, match=r"train\.manifest\.json does not exist; run the stage"):
            call(manifest)
    with pytest.raises(UserError, match=r"train\.manifest\.json does not exist"):
        verify(store_path(manifest))


@pytest.mark.parametrize("change", [{"schema_version": 2}, {"extra": 1}, {"digests": None}, {"store": "../other.zarr"}])
def test_a_manifest_of_another_kind_is_refused(manifest: Path, change: dict[str, object]) -> None:
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **change}))
    with pytest.raises(UserError, match="not a manifest of this version"):
        read_manifest(manifest)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]"])
def test_a_broken_manifest_is_refused(manifest: Path, content: bytes) -> None:
    manifest.write_bytes(content)
    with pytest.raises(UserError, match=r"train\.manifest\.json is not a manifest"):
        verify(manifest)


def test_other_names_are_no_manifests(tmp_path: Path) -> None:
    assert store_path(tmp_path / "seed0.manifest.json") == tmp_path / "seed0.zarr"
    assert partial_path(tmp_path / "seed0.manifest.json") == tmp_path / "seed0.zarr.partial"
    with pytest.raises(UserError, match="must end in"):
        store_path(tmp_path / "seed0.json")
    with pytest.raises(UserError, match="is not a file"):
        read_manifest(tmp_path)


@pytest.fixture
def unsealed(tmp_path: Path) -> Path:
    """The manifest-to-be of an unfinished store with all its shards."""
    path = tmp_path / "valid.manifest.json"
    log = BlockLog(partial_path(path), "f")
    log.begin(layout())
    log.record(0, fill(log.place, field()))
    return path


def attempt(manifest: Path) -> Manifest:
    log = BlockLog(partial_path(manifest), "f")
    return seal(log, layout(), manifest, log.files(1))


@pytest.mark.parametrize(
    ("shard", "damage"),
    [
        ("velocity/c/0/1/0/0", Path.unlink),
        ("velocity/c/1/2/0/0", truncate),
        ("velocity/c/1/2/0/0", lambda path: path.write_bytes(b"")),
        ("time/c/0", Path.unlink),
        ("x/c/0", truncate),
    ],
)
def test_nothing_incomplete_is_sealed(unsealed: Path, shard: str, damage: Callable[[Path], None]) -> None:
    damage(partial_path(unsealed) / shard)
    with pytest.raises(UserError, match="is missing or is not as it was written; run the same command again") as caught:
        attempt(unsealed)
    assert shard in str(caught.value)
    assert not unsealed.exists()
    assert not store_path(unsealed).exists()


def test_lost_members_and_series_are_sealed(tmp_path: Path) -> None:
    manifest, form = tmp_path / "seed0.manifest.json", layout(series=SERIES)
    log, files = BlockLog(partial_path(manifest), "f"), Files()
    log.begin(form)
    everyone = slice(0, 4)
    for start in range(0, 10, 4):
        when = slice(start, min(start + 4, 10))
        files |= log.write(form, "velocity", everyone, when, np.full_like(field()[:, when], np.nan), allow_nan=True)
        for name in SERIES:
            files |= log.write(form, name, everyone, when, np.full((4, when.stop - start), start))
    attributes = {"lost_step": [0, 1, 2, 3], "lost_cause": ["nonfinite"] * 4}
    seal(log, form, manifest, files, attributes=attributes)
    dataset = open_store(manifest)
    assert np.isnan(dataset["velocity"]).all()
    assert dataset["level"].dtype == np.int16
    assert dataset["level"].values[0].tolist() == [0] * 4 + [4] * 4 + [8] * 2
    assert read_manifest(manifest).attributes["lost_step"] == [0, 1, 2, 3]


def test_a_shard_that_changes_while_a_store_is_finished_is_found_by_whoever_reads_it(unsealed: Path) -> None:
    """Its digest is that of the numbers in memory, not of what a disk made of them."""
    flip(partial_path(unsealed) / "velocity/c/0/1/0/0")
    attempt(unsealed)
    with pytest.raises(UserError, match=r"velocity/c/0/1/0/0 was changed"):
        verify(unsealed)
    with pytest.raises(UserError, match=r"velocity/c/0/1/0/0 was changed"):
        open_store(unsealed)["velocity"].load()
    assert completed(unsealed, "f") is None


def test_what_does_not_belong_to_the_store_is_swept_out(unsealed: Path, tmp_path: Path) -> None:
    partial = partial_path(unsealed)
    (partial / "velocity/c/7").mkdir()
    (partial / "velocity/c/7/0").write_bytes(b"of another form")
    (partial / ".snakemake_timestamp").touch()
    attempt(unsealed)
    make(tmp_path / "clean" / "train.manifest.json")
    assert set(tree(store_path(unsealed))) == set(tree(tmp_path / "clean" / "train.zarr"))


def test_an_unfinished_store_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"block-0000\.json is missing or damaged"):
        attempt(tmp_path / "test.manifest.json")


def test_the_new_store_takes_the_place_of_the_old_one(manifest: Path) -> None:
    make(manifest, seed=1, fingerprint="g")
    np.testing.assert_array_equal(open_store(manifest)["velocity"], field(1))
    assert sorted(path.name for path in manifest.parent.iterdir()) == [
        ".train.manifest.json",
        "train.manifest.json",
        "train.zarr",
    ]
    assert completed(manifest, "f") is None


class Killed(BaseException):
    """Stands for the end of the process: no handler of errors may catch it."""


def killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """End the process before the given change that publishing makes to the file system."""
    count = iter(range(step + 1))

    def guarded(function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            if next(count, step) == step:
                raise Killed
            return function(*arguments, **options)

        return call

    for name in ("remove", "discard", "write_text", "sync"):
        monkeypatch.setattr(publish, name, guarded(getattr(publish, name)))
    monkeypatch.setattr(Path, "rename", guarded(Path.rename))


@pytest.mark.parametrize("step", range(8))
def test_killed_at_any_step_of_publishing_only_whole_stores_are_read(
    manifest: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    with monkeypatch.context() as patch:
        killed_at(step, patch)
        with pytest.raises(Killed):
            make(manifest, seed=1, fingerprint="g")
    try:
        values = open_store(manifest)["velocity"].values
    except UserError:
        values = None
    assert values is None or any(np.array_equal(values, field(seed)) for seed in (0, 1))
    if completed(manifest, "g") is None:
        make(manifest, seed=1, fingerprint="g")
    np.testing.assert_array_equal(open_store(manifest)["velocity"], field(1))
    assert sorted(path.name for path in manifest.parent.iterdir()) == [
        ".train.manifest.json",
        "train.manifest.json",
        "train.zarr",
    ]


def test_publishing_has_no_more_steps_than_are_tested(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        killed_at(8, patch)
        make(manifest, seed=1, fingerprint="g")
    assert completed(manifest, "g") is not None


def test_a_deleted_manifest_is_restored_for_its_fingerprint_only(manifest: Path) -> None:
    text = manifest.read_text()
    manifest.unlink()
    assert completed(manifest, "g") is None
    assert not manifest.exists()
    assert completed(manifest, "f") is not None
    assert manifest.read_text() == text


def seal_with_system(manifest: Path, **simulation: object) -> None:
    config = experiment(**simulation).simulation
    attributes = {"system": json.dumps(config.system.model_dump()), "frame_interval": config.frame_interval}
    stored(manifest, field(), layout(attributes=attributes))


def test_the_store_of_this_system_is_accepted(tmp_path: Path) -> None:
    manifest = tmp_path / "test.manifest.json"
    seal_with_system(manifest)
    for store in (read_manifest(manifest), open_store(manifest)):
        check_system(store, experiment())


@pytest.mark.parametrize(
    ("simulation", "message"),
    [
        ({"system": {"kind": "ks", "length": 23.0, "points": 32}}, "length = 23.0"),
        ({"system": {"kind": "ks", "length": 22.0, "points": 64}}, "points = 64"),
        ({"frame_interval": 2.0}, "frame_interval = 2"),
    ],
)
def test_the_store_of_another_system_is_refused_by_name(
    tmp_path: Path, simulation: dict[str, object], message: str
) -> None:
    manifest = tmp_path / "test.manifest.json"
    seal_with_system(manifest, **simulation)
    for store in (read_manifest(manifest), open_store(manifest)):
        with pytest.raises(UserError, match=message) as caught:
            check_system(store, experiment())
        assert "test.zarr" in str(caught.value)


def test_a_store_of_no_known_system_is_refused(manifest: Path) -> None:
    with pytest.raises(UserError, match="no known system"):
        check_system(open_store(manifest), experiment())
