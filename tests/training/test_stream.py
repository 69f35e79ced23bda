"""Streaming: every window once per epoch in a stateless order, well mixed, in little memory, errors heard."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import weakref
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zarr
from hypothesis import given
from hypothesis import strategies as st
from store_data import field, fill, layout

from thermalize.models.normalization import Normalization
from thermalize.runtime.errors import UserError
from thermalize.training.data import Trajectories
from thermalize.training.reading import Ahead, Blocks
from thermalize.training.stream import Streamed
from thermalize.training.streamed import BlockOrder

NORMALIZATION = Normalization((0.3,), (1.7,))
POINTS = 3


def array(members: int, frames: int, shard: tuple[int, int]) -> tuple[zarr.Array[Any], np.ndarray]:
    """An array in memory, and its values: member + frame / 100 at the first point."""
    values = np.random.default_rng(0).standard_normal((members, frames, 1, POINTS)).astype(np.float32)
    values[:, :, 0, 0] = np.arange(members)[:, None] + np.arange(frames) / 100
    stored = zarr.create_array(
        {}, shape=values.shape, shards=(*shard, 1, POINTS), chunks=(1, shard[1], 1, POINTS), dtype="float32"
    )
    stored[:] = values
    return stored, values


def streamed(stored: zarr.Array[Any], buffer: int, length: int) -> Streamed:
    """With memory for groups of so many blocks at that length of the windows."""
    data = Streamed(stored, NORMALIZATION, budget_bytes=10**9)
    data.budget = 4 * POINTS * int(data.blocks(length).frames.max()) * (2 * buffer + 2)
    assert data.buffer(length) == buffer
    return data


@st.composite
def orders(draw: st.DrawFn) -> BlockOrder:
    members, frames = draw(st.integers(1, 7)), draw(st.integers(1, 12))
    shard = draw(st.integers(1, 8)), draw(st.integers(1, 13))
    blocks = Blocks((members, frames), shard, draw(st.integers(1, frames)))
    return BlockOrder(blocks, draw(st.integers(1, 9)), draw(st.integers(1, 40)), draw(st.integers(0, 5)))


def origins(order: BlockOrder, update: int) -> list[tuple[int, int]]:
    rows = order.rows(update)
    return list(zip(rows.member.tolist(), rows.frame.tolist(), strict=True))


# Order


@given(order=orders())
def test_every_window_comes_once_in_an_epoch(order: BlockOrder):
    members, frames = order.blocks.shape
    total = members * (frames - order.blocks.length + 1)
    size = min(order.batch_size, total)
    for epoch in range(3):
        updates = range(epoch * (total // size), (epoch + 1) * (total // size))
        seen = [origin for update in updates for origin in origins(order, update)]
        assert len(seen) == len(set(seen)) == total // size * size
        assert all(member < members and frame + order.blocks.length <= frames for member, frame in seen)


def test_epochs_and_seeds_differ():
    blocks = Blocks((6, 20), (2, 5), 2)
    draws = [origins(BlockOrder(blocks, 3, 114, seed), update) for seed in (0, 1) for update in (0, 1)]
    assert len({tuple(draw) for draw in draws}) == 4
    assert len({frozenset(draw) for draw in draws}) == 1


@given(members=st.integers(1, 5), frames=st.integers(1, 9), shard=st.tuples(st.integers(1, 3), st.integers(1, 4)))
def test_the_group_after_is_the_one_needed_next(members: int, frames: int, shard: tuple[int, int]):
    order = BlockOrder(Blocks((members, frames), shard, 1), 2, 3, 0)
    rows = [order.rows(update) for update in range(20)]
    needed = [(row.epoch, int(group)) for row in rows for group in np.unique(row.group)]
    changes = [(a, b) for a, b in pairwise(needed) if a != b]
    assert all(order.following(*before) == order.group(*after) for before, after in changes)


def test_groups_are_of_even_size_and_batches_mix_their_blocks():
    blocks = Blocks((32, 40), (4, 10), 2)  # 32 blocks
    order = BlockOrder(blocks, buffer=7, batch_size=64, seed=0)
    assert [len(order.group(0, number).ids) for number in range(5)] == [7, 7, 6, 6, 6]
    shards = Counter((member // 4, frame // 10) for member, frame in origins(order, 0))
    assert len(shards) == 7
    assert max(shards.values()) < 64 / 2


# Values


@given(order=orders(), update=st.integers(0, 8))
def test_values_are_slices_of_the_store(order: BlockOrder, update: int):
    blocks, (size, seed) = order.blocks, (order.batch_size, order.seed)
    stored, values = array(*blocks.shape, blocks.shard)
    data, held = streamed(stored, order.buffer, blocks.length), Trajectories(values, NORMALIZATION).values
    batch = data.batch(update, size, blocks.length, seed)
    expected = [held[m, t : t + blocks.length] for m, t in data.origins(update, size, blocks.length, seed)]
    assert torch.equal(batch, torch.stack(expected))
    assert data.count(blocks.length) == Trajectories(values, NORMALIZATION).count(blocks.length)


@pytest.mark.parametrize("buffer", [1, 4])
def test_batches_do_not_depend_on_those_before(buffer: int):
    stored, _ = array(5, 11, (2, 4))
    data = streamed(stored, buffer, 3)
    in_turn = [data.batch(update, 20, 3, seed=2) for update in range(5)]
    for update in (3, 0, 4, 4, 1, 2, 0):
        assert torch.equal(data.batch(update, 20, 3, seed=2), in_turn[update])


def test_a_change_of_length_changes_the_plan():
    stored, _ = array(5, 11, (2, 4))
    data, fresh = streamed(stored, 2, 4), streamed(stored, 2, 4)
    for update, length in enumerate((2, 2, 4, 4, 2)):
        batch = data.batch(update, 8, length, seed=0)
        assert batch.shape == (8, length, 1, POINTS)
    assert torch.equal(batch, fresh.batch(4, 8, 2, seed=0))


@pytest.mark.parametrize("shares", [[slice(0, 4), slice(4, 8), slice(8, 12)], [slice(0, 11), slice(11, 20)]])
def test_shares_make_up_the_batch(shares: list[slice]):
    stored, _ = array(5, 11, (2, 4))
    ranks = [streamed(stored, 1, 3) for _ in shares]
    whole = streamed(stored, 1, 3)
    for update in range(6):
        parts = [rank.batch(update, 12, 3, 0, share) for rank, share in zip(ranks, shares, strict=True)]
        assert torch.equal(torch.cat(parts), whole.batch(update, 12, 3, seed=0))


def test_a_batch_larger_than_the_data_takes_all_of_them():
    data = streamed(array(3, 5, (2, 2))[0], 1, 2)
    assert data.batch(1, 100, 2, seed=0).shape[0] == 12
    assert len(set(data.origins(1, 100, 2, seed=0))) == 12


def test_unsharded_arrays_are_read_by_their_chunks():
    values = np.random.default_rng(0).standard_normal((4, 6, 1, POINTS)).astype(np.float32)
    stored = zarr.create_array({}, shape=values.shape, chunks=(2, 3, 1, POINTS), dtype="float32")
    stored[:] = values
    data = Streamed(stored, NORMALIZATION, budget_bytes=10**6)
    assert len(data.blocks(1).windows) == 4
    assert torch.equal(data.spread(100, 2), Trajectories(values, NORMALIZATION).spread(100, 2))


# Memory


def test_a_budget_below_four_shards_is_refused():
    stored, _ = array(8, 10, (4, 5))  # shards of 240 bytes
    assert Streamed(stored, NORMALIZATION, budget_bytes=960).buffer(1) == 1
    message = r"4 shards of 0\.00024 MB must fit; set training\.memory: 0\.01 \(GB\), or make shards smaller"
    with pytest.raises(UserError, match=message):
        Streamed(stored, NORMALIZATION, budget_bytes=959)


def test_longer_windows_need_more_memory():
    stored, _ = array(8, 10, (4, 5))
    data = Streamed(stored, NORMALIZATION, budget_bytes=960)
    with pytest.raises(UserError, match=r"shards smaller with simulation\.block or simulation\.shard_frames"):
        data.batch(0, 4, 2, seed=0)


def test_two_groups_at_most_are_in_memory(monkeypatch: pytest.MonkeyPatch):
    stored, _ = array(8, 10, (2, 5))
    data, alive, most = streamed(stored, 1, 3), [], []
    load = data._ahead._load

    def watched(group: Any, stop: threading.Event) -> torch.Tensor:
        most.append(1 + sum(each() is not None for each in alive))
        frames = load(group, stop)
        alive.append(weakref.ref(frames))
        return frames

    monkeypatch.setattr(data._ahead, "_load", watched)
    for update in range(24):
        data.batch(update, 7, 3, seed=0)
    gc.collect()
    assert len(most) > 16
    assert max(most) == 2


def test_a_group_that_holds_everything_is_read_once(monkeypatch: pytest.MonkeyPatch):
    stored, _ = array(4, 6, (2, 3))
    data, loads = streamed(stored, 4, 2), []
    into = data._reader.into
    monkeypatch.setattr(data._reader, "into", lambda *given: loads.append(1) or into(*given))
    for update in range(12):
        data.batch(update, 5, 2, seed=0)
    assert len(loads) == 4


# The thread


def test_the_next_value_is_loaded_while_this_one_is_used():
    begun, loaded = threading.Event(), []

    def load(key: int, stop: threading.Event) -> int:
        if key == 1:
            begun.set()
        loaded.append(key)
        return 10 * key

    ahead: Ahead[int, int] = Ahead(load)
    assert ahead.take(0, 1) == 0
    assert begun.wait(10)
    assert ahead.take(1, 2) == 10
    assert ahead.take(2, 2) == 20
    assert loaded == [0, 1, 2]


def test_errors_of_the_thread_arrive_and_it_can_be_tried_again():
    error, failing = OSError("the disk is gone"), {1}

    def load(key: int, stop: threading.Event) -> int:
        if key in failing:
            raise error
        return key

    ahead: Ahead[int, int] = Ahead(load)
    assert ahead.take(0, 1) == 0
    with pytest.raises(OSError, match="the disk is gone") as found:
        ahead.take(1, 2)
    assert found.value is error
    failing.clear()
    assert ahead.take(1, 2) == 1


def test_what_nobody_waits_for_any_more_is_not_read_to_its_end():
    stops, begun = [], threading.Semaphore(0)

    def load(key: int, stop: threading.Event) -> int:
        stops.append(stop)
        begun.release()
        return key if key == 0 or stop.wait(10) else -1

    ahead: Ahead[int, int] = Ahead(load)
    ahead.take(0, 1)
    assert begun.acquire(timeout=10)
    assert begun.acquire(timeout=10)
    assert ahead.take(0, 0) == 0
    assert stops[1].is_set()
    ahead.take(0, 2)
    assert begun.acquire(timeout=10)
    del ahead
    gc.collect()
    assert stops[2].is_set()


def test_a_damaged_shard_is_heard_of(tmp_path: Path):
    path = tmp_path / "train.zarr"
    fill(path, field())
    shard = path / "velocity" / "c" / "1" / "0" / "0" / "0"
    data = bytearray(shard.read_bytes())
    data[: len(data) // 2] = bytes(len(data) // 2)
    shard.write_bytes(bytes(data))
    windows = Streamed(zarr.open_array(path, path="velocity", mode="r"), NORMALIZATION, budget_bytes=800)
    with pytest.raises(Exception, match=r"[Zz]std|[Cc]hecksum|decompress"):
        [windows.batch(update, 5, 1, seed=0) for update in range(7)]


# The page


def test_the_example_runs_and_the_table_has_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    text = (Path(__file__).parents[2] / "docs" / "datapath.md").read_text(encoding="utf-8")
    assert text.index("<!-- measured -->\n") < text.index("<!-- end -->")
    monkeypatch.chdir(tmp_path)
    fill(Path("results/ks/simulation/train.zarr"), field())
    names: dict[str, Any] = {}
    exec(text.split("```python\n")[1].split("```")[0], names)
    assert names["batch"].shape == (8, 3, 1, 6)
    assert 7 <= names["member"] <= 10


# A store that memory does not hold

LIMITED = """
import resource, sys
from pathlib import Path
import psutil, torch
from thermalize.runtime.errors import UserError
from thermalize.models.normalization import Normalization
from thermalize.training.stream import decide, open_windows

store, budget, margin = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
unit = Normalization((0.0,), (1.0,))
open_windows(store, "velocity", unit, mode="stream", memory_bytes=budget).batch(0, 64, 3, 0)  # threads begin
limit = psutil.Process().memory_info().vms + margin
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    open_windows(store, "velocity", unit, mode="memory")
except UserError as error:
    print("refused:", error)
print(decide(store, "velocity", "cpu")["mode"])
windows = open_windows(store, "velocity", unit, mode="stream", memory_bytes=budget)
updates = windows.count(3) // 64
total = sum(float(windows.batch(update, 64, 3, 0)[:, 0, 0, 0, 0].double().sum()) for update in range(updates))
print(updates, total)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems accept RLIMIT_AS and do not enforce it")
def test_data_larger_than_memory_are_streamed(tmp_path: Path):
    axis = np.linspace(0, 1, 64)
    form = layout(
        axes={"y": axis, "x": axis}, members=np.arange(128), time=np.arange(194.0), shard=(8, 20), chunk=(1, 20)
    )
    values = np.ones(form.shape, np.float32)  # 400 MB; ones, so that it is written quickly
    fill(tmp_path / "train.zarr", values, form)
    # one arena of malloc, since each reserves addresses of its own
    environment = {**os.environ, "MALLOC_ARENA_MAX": "1"}
    run = [sys.executable, "-c", LIMITED, str(tmp_path / "train.zarr"), str(64 << 20), str(192 << 20)]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=True)
    refused, mode, counts = done.stdout.splitlines()
    assert refused.startswith("refused:")
    assert "takes 0.407 GB, more than there is" in refused
    assert mode == "stream"
    updates = 128 * 192 // 64
    assert counts == f"{updates} {float(updates * 64)}"
