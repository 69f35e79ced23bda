"""Ensembles in a store: the right numbers, the same numbers whatever happens on the way, and clear errors."""

from __future__ import annotations

import json
import os
import resource
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from store_data import KOLMOGOROV, QG, experiment, tree, windowed

import thermalize.truth.simulate
from thermalize import __version__, systems
from thermalize.config import Experiment
from thermalize.runtime.errors import UserError
from thermalize.runtime.streams import stream
from thermalize.store.blocks import BlockLog
from thermalize.store.fingerprint import code_of, fingerprint
from thermalize.store.manifest import check_system, open_store, partial_path, read_manifest, store_path
from thermalize.systems.ks import KuramotoSivashinsky
from thermalize.truth import runs, unused
from thermalize.truth.simulate import Block, integrate, simulate
from thermalize.truth.simulated import layout_of, made_from, member_ids


def run(folder: Path, config: Experiment | None = None, split: str = "train", **options: Any) -> Path:
    manifest = folder / f"{split}.manifest.json"
    simulate(config or experiment(), split, manifest, workers=1, **options)
    return manifest


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of an undisturbed simulation."""
    return run(tmp_path_factory.mktemp("finished"))


@pytest.fixture
def expected(finished: Path) -> dict[str, str]:
    return tree(finished.parent)


def test_the_numbers_are_those_of_the_solver(finished: Path) -> None:
    config = experiment()
    system = systems.build(config.simulation.system)
    rng = (stream(config.seed, "simulate", "ks", "train", member) for member in range(6))
    start = torch.stack([system.initial_condition(each) for each in rng])
    frames = systems.frames(system, start, systems.Timing(dt=0.25, steps_per_frame=4, frames=25, spin_up_steps=20))
    truth = torch.stack(list(frames), dim=1).to(torch.float32).numpy()
    np.testing.assert_array_equal(open_store(finished)["velocity"], truth)
    assert truth.std() > 0.5


def test_the_store_says_what_it_holds(finished: Path) -> None:
    dataset = open_store(finished)
    assert dict(dataset.sizes) == {"member": 6, "time": 25, "channel": 1, "x": 32}
    assert dataset["time"].values.tolist() == [float(n) for n in range(25)]
    assert dataset["time"].attrs["units"] == "time units"
    assert dataset["x"].attrs["units"] == "length units"
    assert dataset["x"].values[-1] == pytest.approx(22.0 * 31 / 32)
    attributes = dataset.attrs
    assert json.loads(attributes["system"]) == {"kind": "ks", "length": 22.0, "points": 32}
    for name, value in {
        "variable": "velocity",
        "equation": "u_t = -1/2 (u^2)_x - u_xx - u_xxxx",
        "seed": 5,
        "split": "train",
        "dt": 0.25,
        "frame_interval": 1.0,
        "spin_up": 5.0,
        "precision": "float64",
        "system_length": 22.0,
        "code_version": __version__,
    }.items():
        assert attributes[name] == value
    check_system(dataset, experiment())
    assert read_manifest(finished).shards == (2, 10, 1, 32)


def test_the_normalisation_is_that_of_the_data(finished: Path) -> None:
    values = open_store(finished)["velocity"].values.astype(np.float64)
    record = read_manifest(finished)
    assert record.statistics["mean"] == pytest.approx([values.mean()], abs=1e-12)
    assert record.statistics["std"] == pytest.approx([values.std()], rel=1e-12)
    assert record.attributes["std"] == record.statistics["std"] == open_store(finished).attrs["std"]


def test_only_the_store_and_its_manifest_remain(finished: Path) -> None:
    assert sorted(path.name for path in finished.parent.iterdir()) == [
        ".train.manifest.json",
        ".train.zarr.lock",
        "train.manifest.json",
        "train.zarr",
    ]


def test_splits_share_no_member() -> None:
    ids = [set(member_ids(experiment().simulation, split).tolist()) for split in ("train", "valid", "test")]
    assert [len(each) for each in ids] == [6, 6, 6]
    assert len(set.union(*ids)) == 18


def test_splits_are_different_trajectories(finished: Path, tmp_path: Path) -> None:
    other = open_store(run(tmp_path, split="valid"))["velocity"].values[:, 0].reshape(6, -1)
    mine = open_store(finished)["velocity"].values[:, 0].reshape(6, -1)
    correlations = np.corrcoef(np.concatenate([mine, other]))
    assert np.abs(correlations[~np.eye(12, dtype=bool)]).max() < 0.99


@pytest.mark.parametrize("changes", [{"block": 3, "shard_frames": 25}, {"block": 6, "shard_frames": 1000}])
def test_blocks_and_shards_do_not_touch_the_numbers(finished: Path, tmp_path: Path, changes: dict[str, int]) -> None:
    other = open_store(run(tmp_path, experiment(**changes)))
    np.testing.assert_array_equal(other["velocity"], open_store(finished)["velocity"])


def values_by_member(manifest: Path) -> np.ndarray:
    """All values, ordered by the identifiers of the rows."""
    dataset = open_store(manifest)
    return dataset[dataset.attrs["variable"]].sortby("member").values


@pytest.mark.parametrize("system", [KOLMOGOROV, QG], ids=["Kolmogorov", "QG"])
@pytest.mark.parametrize("windows", [1, 3])
def test_blocks_and_shards_do_not_touch_the_numbers_of_planes_and_windows(
    tmp_path: Path, system: dict[str, Any], windows: int
) -> None:
    splits = windowed(4, 3, windows)
    found = []
    for block, shard_frames in ((2, 10), (4, 3), (1, 2)):
        config = experiment(**{**system, "splits": splits, "block": block, "shard_frames": shard_frames})
        found.append(values_by_member(run(tmp_path / str(block), config)))
    assert found[0].shape[:2] == (4 * windows, 3)
    assert np.isfinite(found[0]).all()
    assert len(np.unique(found[0][:, 0], axis=0)) == 4 * windows
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


@pytest.mark.parametrize("system", [KOLMOGOROV, QG], ids=["Kolmogorov", "QG"])
def test_windows_are_cut_from_one_long_trajectory(tmp_path: Path, system: dict[str, Any]) -> None:
    dataset = open_store(run(tmp_path / "windows", experiment(**system)))
    steps = round(system["window_interval"] / system["frame_interval"])
    whole = experiment(**{**system, "splits": windowed(4, 2 * steps + 3, 1)})
    trajectories = open_store(run(tmp_path / "whole", whole))
    name = dataset.attrs["variable"]
    for member in range(4):
        for window in range(3):
            row = dataset[name].sel(member=3 * member + window).values
            first = window * steps
            np.testing.assert_array_equal(row, trajectories[name].sel(member=member).values[first : first + 3])


def test_a_split_does_not_depend_on_the_others(expected: dict[str, str], tmp_path: Path) -> None:
    splits = {
        "train": {"members": 6, "frames": 25},
        "valid": {"members": 20, "frames": 2},
        "test": {"members": 2, "frames": 9},
    }
    run(tmp_path, experiment(splits=splits, dask={"workers": 7}))
    assert tree(tmp_path) == expected


def test_the_fingerprint_follows_all_that_matters() -> None:
    config = experiment()
    variants = [
        experiment(spin_up=6.0),
        experiment(dt=0.125),
        experiment(precision="float32"),
        experiment(block=3),
        experiment(system={"kind": "ks", "length": 22.5, "points": 32}),
        config.model_copy(update={"seed": 6}),
    ]
    prints = [made_from(variant, "train", "code") for variant in (config, *variants)]
    prints += [made_from(config, "valid", "code"), made_from(config, "train", "other code")]
    assert len(set(prints)) == len(prints)
    same = [config.model_copy(update={"name": "another"}), experiment(dask={"workers": 5, "scheduler": "tcp://a:1"})]
    assert {made_from(variant, "train", "code") for variant in same} == {prints[0]}


def test_the_code_that_counts_is_in_the_fingerprint(finished: Path) -> None:
    assert "thermalize.systems.ks" in runs(experiment())
    code = fingerprint(code_of("thermalize.truth.simulate", unused(experiment()), runs(experiment())))
    assert read_manifest(finished).fingerprint == made_from(experiment(), "train", code)


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(block: Block) -> int:
        raise AssertionError(f"block {block.index} was integrated again")

    monkeypatch.setattr(thermalize.truth.simulate, "integrate", fail)


def test_a_finished_store_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: dict[str, str]) -> None:
    manifest = run(tmp_path)
    with monkeypatch.context() as patch:
        forbid(patch)
        assert simulate(experiment(), "train", manifest) == read_manifest(manifest)
        manifest.unlink()
        run(tmp_path)
    assert tree(tmp_path) == expected


@pytest.mark.parametrize("shard", ["velocity/c/1/2/0/0", "zarr.json"])
def test_a_damaged_store_is_made_again(tmp_path: Path, shard: str, expected: dict[str, str]) -> None:
    manifest = run(tmp_path)
    (store_path(manifest) / shard).write_bytes(b"damaged")
    run(tmp_path)
    assert tree(tmp_path) == expected


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


@pytest.mark.parametrize("block", [0, 1, 2])
def test_finished_blocks_are_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: dict[str, str], block: int
) -> None:
    with killed_before(block, monkeypatch), pytest.raises(Killed):
        run(tmp_path)
    assert not (tmp_path / "train.zarr").exists()
    repeated = []

    def count(task: Block) -> int:
        repeated.append(task.index)
        return integrate(task)

    monkeypatch.setattr(thermalize.truth.simulate, "integrate", count)
    run(tmp_path)
    assert repeated == list(range(block, 3))
    assert tree(tmp_path) == expected


def test_killed_within_a_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: dict[str, str]) -> None:
    written, write = list[str](), BlockLog.write

    def dying(*arguments: Any) -> Any:
        if len(written) == 4:
            raise Killed
        files = write(*arguments)
        written.extend(files)
        return files

    with monkeypatch.context() as patch:
        patch.setattr(BlockLog, "write", dying)
        with pytest.raises(Killed):
            run(tmp_path)
    assert (partial_path(tmp_path / "train.manifest.json") / written[-1]).is_file()
    run(tmp_path)
    assert tree(tmp_path) == expected


@pytest.mark.parametrize("fault", ["flipped", "truncated", "missing", "foreign", "litter"])
def test_damage_to_an_unfinished_store_costs_its_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: dict[str, str], fault: str
) -> None:
    with killed_before(2, monkeypatch), pytest.raises(Killed):
        run(tmp_path)
    partial = partial_path(tmp_path / "train.manifest.json")
    shard = partial / "velocity/c/0/1/0/0"
    content = bytearray(shard.read_bytes())
    content[100] ^= 4
    match fault:
        case "flipped":
            shard.write_bytes(content)
        case "truncated":
            shard.write_bytes(content[:50])
        case "missing":
            shard.unlink()
        case "foreign":
            (partial / "velocity/c/2/0/0/0").parent.mkdir(parents=True)
            (partial / "velocity/c/2/0/0/0").write_bytes(content)
        case "litter":
            (partial / "velocity/c/7").write_bytes(b"half")
    run(tmp_path)
    assert tree(tmp_path) == expected


def test_the_unfinished_store_of_another_configuration_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: dict[str, str]
) -> None:
    with killed_before(2, monkeypatch), pytest.raises(Killed):
        run(tmp_path, experiment(spin_up=7.0))
    run(tmp_path)
    assert tree(tmp_path) == expected


def test_the_old_store_stays_until_the_new_one_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished: Path, expected: dict[str, str]
) -> None:
    manifest = run(tmp_path, experiment(spin_up=7.0))
    old = open_store(manifest)["velocity"].values
    with killed_before(2, monkeypatch), pytest.raises(Killed):
        run(tmp_path)
    np.testing.assert_array_equal(open_store(manifest)["velocity"], old)
    run(tmp_path)
    assert tree(tmp_path) == expected
    assert not np.array_equal(open_store(finished)["velocity"], old)


def test_shards_changed_by_someone_else_meanwhile_are_not_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: dict[str, str]
) -> None:
    def meddle(task: Block) -> int:
        index = integrate(task)
        if index == 2:
            first, second = (task.partial / f"velocity/c/{i}/0/0/0" for i in range(2))
            first.write_bytes(second.read_bytes())
        return index

    with monkeypatch.context() as patch:
        patch.setattr(thermalize.truth.simulate, "integrate", meddle)
        with pytest.raises(UserError, match="velocity/c/0/0/0/0 is missing or is not as it was written; run the"):
            run(tmp_path)
    run(tmp_path)
    assert tree(tmp_path) == expected


def test_a_solution_that_blows_up_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = KuramotoSivashinsky.initial_condition
    monkeypatch.setattr(KuramotoSivashinsky, "initial_condition", lambda *args: 1e200 * start(*args))
    with pytest.raises(UserError) as caught:
        run(tmp_path)
    assert type(caught.value) is UserError
    message = str(caught.value)
    assert message.startswith("train, block 0 with members 0 to 1: The solution is no longer finite")
    assert "try dt = 0.125" in message
    assert not store_path(tmp_path / "train.manifest.json").exists()


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """The system's own limit, met by a write like the end of the disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_when_the_disk_refuses_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: dict[str, str]
) -> None:
    with killed_before(1, monkeypatch), pytest.raises(Killed):
        run(tmp_path)
    with files_limited_to(2000), pytest.raises(UserError, match=r"block 1 .*Cannot write .*larger than this system"):
        run(tmp_path)
    log, form = BlockLog(tmp_path / "train.zarr.partial", read_fingerprint(tmp_path)), layout_of(experiment(), "train")
    shards = [dict(form.shards("velocity", slice(2 * block, 2 * block + 2))) for block in range(3)]
    assert [log.done(block, names) for block, names in enumerate(shards)] == [True, False, False]
    run(tmp_path)
    assert tree(tmp_path) == expected


def read_fingerprint(folder: Path) -> str:
    return (folder / "train.zarr.partial.blocks" / "fingerprint").read_text()


@contextmanager
def without_privileges() -> Iterator[None]:
    """Read-only folders do not stop the superuser."""
    superuser = os.geteuid() == 0
    if superuser:
        os.seteuid(65534)
    try:
        yield
    finally:
        if superuser:
            os.seteuid(0)


@pytest.mark.parametrize("place", ["", "results/small"], ids=["there", "to be made"])
def test_a_read_only_folder_is_explained(place: str) -> None:
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        with (
            without_privileges(),
            pytest.raises(UserError, match=r"Cannot write .*: permission denied; make the folder"),
        ):
            run(Path(folder, place))
        Path(folder).chmod(0o755)
        assert list(Path(folder).iterdir()) == []


def test_a_place_that_cannot_hold_a_folder_is_explained(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    with pytest.raises(UserError, match=r"results.*: a part of the path is a file"):
        run(tmp_path / "results" / "small")


def test_an_unknown_split_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no split 'training'; the splits are train, valid, test"):
        run(tmp_path, split="training")
    assert list(tmp_path.iterdir()) == []


def test_a_worker_elsewhere_that_sees_no_store_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="need the file system of this machine"):
        integrate(Block(experiment(), "train", 0, tmp_path / "train.zarr.partial", "f"))


def test_torch_keeps_its_threads(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        run(tmp_path)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_block_that_is_done_is_not_written_again(tmp_path: Path) -> None:
    """Dask may hand it out once more, while the store is already being finished."""
    block = Block(experiment(), "train", 0, tmp_path / "train.zarr.partial", "f")
    block.log.begin(layout_of(experiment(), "train"))

    def inodes() -> set[int]:
        return {path.stat().st_ino for path in (block.partial / "velocity" / "c").rglob("*")}

    integrate(block)
    before = inodes()
    assert integrate(block) == 0
    assert inodes() == before


def test_memory_does_not_grow_with_the_number_of_frames(tmp_path: Path) -> None:
    peaks = []
    for shards in (2, 20):
        splits = {name: {"members": 2, "frames": 20 * shards} for name in ("train", "valid", "test")}
        system = {"kind": "ks", "length": 22.0, "points": 2048}
        config = experiment(system=system, spin_up=0.0, shard_frames=20, splits=splits, frame_interval=0.25)
        block = Block(config, "train", 0, tmp_path / f"{shards}.zarr.partial", "f")
        block.log.begin(layout_of(config, "train"))
        tracemalloc.start()
        integrate(block)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]
    assert peaks[0] > 2 * 20 * 2048 * 4
