"""Imported stores: the user's numbers in the same form as simulated ones, whatever happens on the way."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from import_data import DIMS, experiment, ocean, section, splits, waves, write
from store_data import tree

import thermalize.truth.simulate
from thermalize import __version__
from thermalize.config import Experiment
from thermalize.runtime.errors import UserError
from thermalize.store.blocks import BlockLog
from thermalize.store.manifest import check_system, open_store, read_manifest, store_path, verify
from thermalize.truth.imported.source import CACHE
from thermalize.truth.simulate import Block, integrate, simulate


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(ocean(), tmp_path / "data" / "ocean.nc")


def run(folder: Path, config: Experiment, split: str = "train", workers: int = 1) -> Path:
    manifest = folder / "simulation" / f"{split}.manifest.json"
    simulate(config, split, manifest, workers=workers)
    return manifest


def stored(manifest: Path) -> np.ndarray:
    return open_store(manifest)["q"].values


def test_every_split_holds_its_own_frames(tmp_path: Path, path: Path) -> None:
    truth = waves().astype(np.float32)
    starts = {"train": [0, 10, 20], "valid": [32], "test": [44, 49]}
    frames = {"train": 10, "valid": 10, "test": 5}
    for split, begins in starts.items():
        manifest = run(tmp_path, experiment(path), split)
        np.testing.assert_array_equal(stored(manifest), np.stack([truth[b : b + frames[split]] for b in begins]))
        dataset = open_store(manifest)
        np.testing.assert_allclose(dataset.attrs["first_time"], [0.5 * begin for begin in begins])
        assert dataset.attrs["first_time_units"] == "days since 2000-01-01 (noleap)"


def test_the_store_says_what_it_holds_and_where_it_is_from(tmp_path: Path, path: Path) -> None:
    config = experiment(path, long_name="potential vorticity")
    dataset = open_store(run(tmp_path, config, "test"))
    assert dict(dataset.sizes) == {"member": 2, "time": 5, "channel": 2, "y": 8, "x": 8}
    assert dataset["member"].values.tolist() == [2_000_000, 2_000_001]
    assert dataset["time"].values.tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert dataset["time"].attrs["units"] == "days"
    assert dataset["x"].attrs["units"] == "m"
    assert dataset["channel"].values.tolist() == ["zl=0.5", "zl=1.5"]
    assert dataset["q"].attrs == {"long_name": "potential vorticity", "units": "s-1"}
    assert json.loads(dataset.attrs["system"]) == config.simulation.identity
    assert dataset.attrs["source_files"] == ["ocean.nc"]
    assert dataset.attrs["source_variables"] == ["q"]
    assert dataset.attrs["source_dims"] == DIMS
    assert dataset.attrs["source_digests"][0].startswith("sha256:")
    assert dataset.attrs["code_version"] == __version__
    check_system(dataset, config)
    with pytest.raises(UserError, match="simulate again"):
        check_system(dataset, experiment(path, length_units="m"))


def test_the_normalisation_is_that_of_the_data(tmp_path: Path, path: Path) -> None:
    manifest = run(tmp_path, experiment(path))
    values = stored(manifest).astype(np.float64)
    assert read_manifest(manifest).statistics["mean"] == pytest.approx(values.mean((0, 1, 3, 4)), abs=1e-12)
    assert read_manifest(manifest).statistics["std"] == pytest.approx(values.std((0, 1, 3, 4)), rel=1e-12)


def test_only_the_store_its_manifest_and_the_digests_remain(tmp_path: Path, path: Path) -> None:
    manifest = run(tmp_path, experiment(path))
    names = {each.name for each in manifest.parent.iterdir() if each.suffix != ".lock"}
    assert names == {".train.manifest.json", "train.manifest.json", "train.zarr", CACHE}


@pytest.mark.parametrize("changes", [{"block": 2}, {"block": 3, "shard_frames": 100}], ids=["block 2", "one shard"])
def test_blocks_and_shards_do_not_touch_the_numbers(tmp_path: Path, path: Path, changes: dict[str, int]) -> None:
    expected = stored(run(tmp_path / "a", experiment(path)))
    np.testing.assert_array_equal(stored(run(tmp_path / "b", experiment(path, **changes))), expected)


def test_a_store_can_be_imported_in_turn(tmp_path: Path) -> None:
    for seed in range(7):
        write(ocean(waves(seed=seed)), tmp_path / "runs" / f"{seed}.nc")
    parts = splits((4, 10), (1, 10), (2, 5))
    apart = experiment(str(tmp_path / "runs" / "*.nc"), files="member", split="member", gap=None, splits=parts)
    first = run(tmp_path, apart)
    dims = {"time": "time", "y": "y", "x": "x", "member": "member", "channel": "channel"}
    parts = splits((1, 10), (1, 9), (2, 5))
    again = experiment(store_path(first), dims=dims, split="member", gap=None, splits=parts)
    second = open_store(run(tmp_path / "again", again, "valid"))
    np.testing.assert_array_equal(second["q"].values, stored(first)[1:2, :9])
    assert second["channel"].values.tolist() == ["zl=0.5", "zl=1.5"]
    assert second.attrs["first_time_units"] == "days"


def test_windows_of_one_trajectory_are_no_members(tmp_path: Path, path: Path) -> None:
    first = run(tmp_path, experiment(path, splits=splits((4, 10), (1, 5), (2, 3))))
    dims = {"time": "time", "y": "y", "x": "x", "member": "member", "channel": "channel"}
    parts = splits((1, 10), (1, 9), (2, 5))
    again = experiment(store_path(first), dims=dims, split="member", gap=None, splits=parts)
    assert refused(tmp_path / "again", again) == (
        f"{store_path(first)}: member 1 goes on where the end leads of {store_path(first)}: member 0: it is its "
        "continuation "
        "and no member of its own; join the parts of each member to one trajectory, or leave out what follows at once"
    )


def fingerprint(folder: Path, config: Experiment, split: str = "train") -> str:
    return read_manifest(run(folder, config, split)).fingerprint


def test_the_fingerprint_is_that_of_the_contents(tmp_path: Path, path: Path) -> None:
    before = fingerprint(tmp_path / "a", experiment(path))
    os.utime(path, ns=(0, 0))
    assert fingerprint(tmp_path / "a", experiment(path)) == before
    (tmp_path / "elsewhere").mkdir()
    moved = path.rename(tmp_path / "elsewhere" / path.name)
    assert fingerprint(tmp_path / "b", experiment(moved)) == before
    renamed = moved.rename(moved.with_name("sea.nc"))
    assert fingerprint(tmp_path / "c", experiment(renamed)) != before  # the store says the name
    values = waves()
    values[0, 0, 0, 0] += 1
    write(ocean(values), moved)
    assert fingerprint(tmp_path / "b", experiment(moved)) != before


def test_a_zarr_store_counts_with_all_its_files(tmp_path: Path) -> None:
    path = write(ocean(), tmp_path / "ocean.zarr")
    before = fingerprint(tmp_path, experiment(path))
    assert fingerprint(tmp_path, experiment(path)) == before
    chunk = next(each for each in sorted(path.glob("q/*")) if each.name[0].isdigit())
    values = waves() + 1
    write(ocean(values), tmp_path / "other.zarr")
    chunk.write_bytes((tmp_path / "other.zarr" / chunk.relative_to(path)).read_bytes())
    assert fingerprint(tmp_path, experiment(path)) != before


def test_the_fingerprint_follows_all_that_matters(tmp_path: Path, path: Path) -> None:
    few = splits((1, 10), (1, 5), (2, 5))
    variants = {
        "base": experiment(path, splits=few),
        "variable": experiment(path, splits=few, long_name="vorticity"),
        "every": experiment(path, splits=few, every=2, frame_interval=1.0),
        "spin-up": experiment(path, splits=few, spin_up=1.0),
        "split": experiment(path, splits=splits((2, 10), (1, 5), (2, 5))),
        "shards": experiment(path, splits=few, shard_frames=5),
        "points": experiment(path, splits=few, points={"y": 8, "x": 8}),
    }
    prints = [fingerprint(tmp_path / name, variant) for name, variant in variants.items()]
    assert len(set(prints)) == len(prints)


def test_a_split_depends_on_its_own_frames_only(tmp_path: Path, path: Path) -> None:
    before = fingerprint(tmp_path, experiment(path))
    assert fingerprint(tmp_path, experiment(path, splits=splits((3, 10), (2, 5), (2, 3)), gap=2.0)) == before
    assert fingerprint(tmp_path, experiment(path, dask={"workers": 3})) == before


class Killed(BaseException):
    """Stands for the end of the process: no handler of errors may catch it."""


@contextmanager
def killed_before(block: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def die(task: Block) -> int:
        if task.index == block:
            raise Killed
        return integrate(task)

    with monkeypatch.context() as patch:
        patch.setattr(thermalize.truth.simulate, "integrate", die)
        yield


def test_finished_blocks_are_not_repeated(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = tree(run(tmp_path / "a", experiment(path)).parent)
    with killed_before(1, monkeypatch), pytest.raises(Killed):
        run(tmp_path / "b", experiment(path))
    repeated = []

    def count(task: Block) -> int:
        repeated.append(task.index)
        return integrate(task)

    monkeypatch.setattr(thermalize.truth.simulate, "integrate", count)
    assert tree(run(tmp_path / "b", experiment(path)).parent) == expected
    assert repeated == [1, 2]


def test_a_finished_store_is_kept(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = run(tmp_path, experiment(path))

    def fail(block: Block) -> int:
        raise AssertionError(f"block {block.index} was read again")

    monkeypatch.setattr(thermalize.truth.simulate, "integrate", fail)
    manifest.unlink()
    verify(run(tmp_path, experiment(path)))


@pytest.mark.slow
def test_dask_workers_write_the_same_bytes(tmp_path: Path, path: Path) -> None:
    expected = tree(run(tmp_path / "a", experiment(path)).parent)
    assert tree(run(tmp_path / "b", experiment(path), workers=2).parent) == expected


def refused(folder: Path, config: Experiment, split: str = "train") -> str:
    with pytest.raises(UserError) as caught:
        run(folder, config, split)
    assert not store_path(folder / "simulation" / f"{split}.manifest.json").exists()
    return str(caught.value)


def test_what_is_wrong_is_said_before_anything_is_written(tmp_path: Path, path: Path) -> None:
    assert "no variable 'Q'" in refused(tmp_path, experiment(path, variable="Q"))
    assert "needs 3 + 1 + 2 = 6 members" in refused(
        tmp_path, experiment(path, split="member", gap=None, files="member")
    )
    assert "There is no split 'training'; the splits are train, valid, test" in refused(
        tmp_path, experiment(path), "training"
    )
    assert not (tmp_path / "simulation").exists()


def test_a_grid_that_the_networks_cannot_halve_is_refused_when_it_is_known(tmp_path: Path) -> None:
    path = write(ocean(waves(points=9)), tmp_path / "odd.nc")
    sentence = (
        "emulators.unet.network halves the grid 1 times, but the 9 points along y are not divisible by 2; use 8 or 10 "
        "points, or fewer multipliers"
    )
    assert refused(tmp_path, experiment(path)) == sentence


def test_missing_values_are_named_and_nothing_is_sealed(tmp_path: Path) -> None:
    values = waves()
    values[25, 0, 3, 3] = np.nan
    path = write(ocean(values), tmp_path / "ocean.nc")
    assert refused(tmp_path, experiment(path)) == (
        f"train, block 2 with member 2: {path}: q is NaN at "
        ".isel(ocean_time=25, zl=0, yh=3, xh=3); fill or cut out missing values and land before the import"
    )
    log = BlockLog(tmp_path / "simulation" / "train.zarr.partial", "")
    assert (log.folder / "block-0001.json").exists()
    assert not (log.folder / "block-0002.json").exists()
    write(ocean(), path)
    np.testing.assert_array_equal(
        stored(run(tmp_path, experiment(path))), waves().astype(np.float32)[:30].reshape(3, 10, 2, 8, 8)
    )


def test_a_constant_channel_is_refused(tmp_path: Path) -> None:
    values = waves()
    values[:, 1] = 4.7
    path = write(ocean(values), tmp_path / "ocean.nc")
    assert refused(tmp_path, experiment(path)) == (
        f"{path}: q has the value 4.7 at all points of .isel(ocean_time=0, zl=1); it may never have been written, or "
        "vary by less than single precision tells: make or copy it again, subtract a large mean, leave the beginning "
        "out with spin_up, or the channel; or, if the field is truly so, state simulation.unusual: accept"
    )


def test_memory_does_not_grow_with_the_length_of_the_files(tmp_path: Path) -> None:
    peaks = []
    for frames in (40, 400):
        path = write(ocean(np.tile(waves(40, 16), (frames // 40, 1, 4, 4))), tmp_path / f"{frames}.nc")
        config = experiment(path, splits=splits((1, frames - 10), (1, 2), (2, 2)), shard_frames=10)
        source = thermalize.truth.simulate.source_of(config, "train", tmp_path)
        block = Block(config, "train", 0, tmp_path / f"{frames}.zarr.partial", "f", source)
        block.log.begin(source.layout)
        tracemalloc.start()
        integrate(block)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]
    assert peaks[0] > 2 * 10 * 2 * 64 * 64 * 4


def test_a_damaged_list_of_digests_is_made_anew(tmp_path: Path, path: Path) -> None:
    before = fingerprint(tmp_path, experiment(path))
    cache = tmp_path / "simulation" / CACHE
    for text in ("no JSON", "[1]", '{"a": 3}', json.dumps({str(path): {"stamp": "x"}})):
        cache.write_text(text)
        assert fingerprint(tmp_path, experiment(path)) == before
        assert json.loads(cache.read_text())[str(path)]["digest"].startswith("sha256:")


def test_contents_are_read_again_after_a_change(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    digests_of = thermalize.truth.imported.source.digests_of
    monkeypatch.setattr(
        "thermalize.truth.imported.source.digests_of", lambda root, names: read.extend(names) or digests_of(root, names)
    )
    run(tmp_path, experiment(path))
    run(tmp_path, experiment(path), "valid")
    assert read == ["ocean.nc"]
    os.utime(path, ns=(1, 1))
    run(tmp_path, experiment(path), "test")
    assert read == ["ocean.nc"] * 2


def test_relative_paths_begin_where_commands_run(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    config = Experiment.model_validate({**experiment(path).model_dump(by_alias=True), "simulation": section("*.nc")})
    np.testing.assert_array_equal(stored(run(tmp_path / "a", config)), stored(run(tmp_path / "b", experiment(path))))
