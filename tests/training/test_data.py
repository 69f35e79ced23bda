"""Windows in memory: order, members, shares; and whether a store is held or streamed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from store_data import field, fill, layout

from thermalize.models.normalization import Normalization
from thermalize.runtime.errors import UserError
from thermalize.training import stream
from thermalize.training.data import EpochOrder, Trajectories, Windows
from thermalize.training.stream import Streamed, available_memory, decide, open_windows

NORMALIZATION = Normalization((0.3,), (1.7,))
BYTES = 4 * 10 * 6 * 4  # of the store: members, frames, points, float32


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Members 7 … 10 of 10 frames in shards of 2 members and 4 frames."""
    fill(tmp_path / "train.zarr", field())
    return tmp_path / "train.zarr"


# Order


@given(size=st.integers(1, 50), length=st.integers(1, 10), seed=st.integers(0, 9), update=st.integers(0, 40))
def test_batches_follow_the_epoch_order(size: int, length: int, seed: int, update: int):
    data = Trajectories(field(), NORMALIZATION)
    order = EpochOrder(data.count(length), size, seed)
    assert torch.equal(data.batch(update, size, length, seed), data.windows(order.batch(update), length))


def test_an_order_cannot_be_changed_from_outside():
    order = EpochOrder(10, 5, 0)
    first = order.batch(0)
    first[:] = -1
    assert (order.batch(0) >= 0).all()


def test_shares_make_up_the_batch():
    data = Trajectories(field(), NORMALIZATION)
    whole = data.batch(3, 6, 2, seed=1)
    assert torch.equal(torch.cat([data.batch(3, 6, 2, 1, slice(i, i + 2)) for i in (0, 2, 4)]), whole)


def test_origins_are_where_the_values_come_from():
    values = field()
    data = Trajectories(values, Normalization((0.0,), (1.0,)), members=7 + np.arange(4))
    rows = zip(data.batch(2, 5, 3, seed=1), data.origins(2, 5, 3, seed=1), strict=True)
    assert all(np.array_equal(row, values[member - 7, frame : frame + 3]) for row, (member, frame) in rows)


def test_members_count_from_zero_unless_they_are_named():
    data = Trajectories(field(), NORMALIZATION)
    assert {member for member, _ in data.origins(0, 40, 1, seed=0)} == {0, 1, 2, 3}


def test_windows_longer_than_the_rows_are_refused():
    data = Trajectories(field(), NORMALIZATION)
    assert data.count(11) == 0
    for ask in (data.batch, data.origins):
        with pytest.raises(UserError, match="11 frames do not fit into rows of 10 frames; unroll fewer steps"):
            ask(0, 4, 11, 0)


# Held or streamed


def test_held_values_are_those_that_would_be_normalised_at_once(store: Path):
    data = open_windows(store, "velocity", NORMALIZATION)
    assert isinstance(data, Trajectories)
    assert torch.equal(data.values, Trajectories(field(), NORMALIZATION).values)
    assert data.members.tolist() == [7, 8, 9, 10]


def test_what_fits_is_held_and_what_does_not_is_streamed(store: Path):
    assert isinstance(open_windows(store, "velocity", NORMALIZATION, memory_bytes=BYTES), Trajectories)
    streamed = open_windows(store, "velocity", NORMALIZATION, memory_bytes=BYTES - 1)
    assert isinstance(streamed, Streamed)
    assert streamed.members.tolist() == [7, 8, 9, 10]


@pytest.mark.parametrize(("mode", "kind"), [("memory", Trajectories), ("stream", Streamed)])
def test_the_mode_can_be_chosen(store: Path, mode: stream.Mode, kind: type):
    assert isinstance(open_windows(store, "velocity", NORMALIZATION, mode=mode), kind)


def test_the_machine_is_asked_when_nothing_is_said(store: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stream, "available_memory", lambda *_: BYTES - 1)
    assert decide(store, "velocity", "cpu") == {"mode": "stream", "memory_bytes": BYTES - 1}
    assert decide(store, "velocity", "cpu", "memory") == {"mode": "memory"}
    monkeypatch.setattr(stream, "available_memory", lambda *_: 10**12)
    assert decide(store, "velocity", "cpu") == {"mode": "memory"}
    assert decide(store, "velocity", "cpu", "stream") == {"mode": "stream", "memory_bytes": stream.STREAMING}


@pytest.mark.parametrize("open_again", [{"mode": "memory"}, {"mode": "stream", "memory_bytes": 1000}])
def test_settings_open_the_same_windows_again(store: Path, open_again: dict):
    first = open_windows(store, "velocity", NORMALIZATION, **open_again)
    assert first.settings == open_again == decide(store, "velocity", "cpu", **open_again)
    again = open_windows(store, "velocity", NORMALIZATION, **first.settings)
    assert torch.equal(first.batch(3, 5, 2, seed=1), again.batch(3, 5, 2, seed=1))


def test_a_gpu_with_room_holds_the_data_itself(store: Path, monkeypatch: pytest.MonkeyPatch):
    array, gpu = stream._array(store, "velocity"), torch.device("cuda")
    free = {"cpu": BYTES, "cuda": BYTES}
    monkeypatch.setattr(stream, "available_memory", lambda place="cpu": free[torch.device(place).type])
    assert stream._place(array, gpu, None) == gpu
    assert stream._place(array, gpu, BYTES - 1) is None
    free["cuda"] -= 1
    assert stream._place(array, gpu, None) == torch.device("cpu")
    free["cpu"] -= 1
    assert stream._place(array, gpu, None) is None


def test_too_little_memory_is_said_in_a_sentence(store: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(stream, "_preloaded", fail)
    with pytest.raises(
        UserError, match=r"train\.zarr takes .* GB, more than there is; training\.data: stream needs less"
    ):
        open_windows(store, "velocity", NORMALIZATION, mode="memory")


@pytest.mark.parametrize("mode", ["memory", "stream"])
def test_both_kinds_spread_the_same_windows(store: Path, mode: stream.Mode):
    data: Windows = open_windows(store, "velocity", NORMALIZATION, mode=mode)
    assert data.frames == 10
    expected = Trajectories(field(), NORMALIZATION)
    for count, length in ((7, 3), (100, 10), (1, 1)):
        assert torch.equal(data.spread(count, length), expected.spread(count, length))


def test_stores_of_two_channels_are_normalised_by_channel(tmp_path: Path):
    form = layout(channels=("upper", "lower"))
    values, normalization = field(form=form), Normalization((0.3, -2.0), (1.7, 0.1))
    fill(tmp_path / "a.zarr", values, form)
    data = open_windows(tmp_path / "a.zarr", "velocity", normalization, mode="stream")
    assert torch.equal(data.spread(5, 2), Trajectories(values, normalization).spread(5, 2))


# Memory


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, int, int], None]:
    """A function that gives this process a control group: its folder, limit, what is used, and files in that."""
    monkeypatch.setattr(stream, "GROUPS", tmp_path)
    monkeypatch.setattr(stream, "OWN", tmp_path / "own")
    monkeypatch.setattr(stream.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 1000}))
    monkeypatch.setattr(stream, "_addressable", lambda: iter(()))
    (tmp_path / "own").write_text("12:cpuset:/\n0::/job/step\n")

    def grant(folder: str, limit: str, used: int, files: int) -> None:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "memory.max").write_text(f"{limit}\n")
        (tmp_path / folder / "memory.current").write_text(f"{used}\n")
        (tmp_path / folder / "memory.stat").write_text(f"anon 1\nactive_file 10\ninactive_file {files - 10}\n")

    return grant


def test_half_of_what_is_free_may_be_taken(group: Callable[..., None], monkeypatch: pytest.MonkeyPatch):
    assert available_memory() == 500
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert available_memory() == 125


def test_the_tightest_control_group_counts(group: Callable[..., None]):
    group("job/step", "max", 300, 100)
    assert available_memory() == 500
    group("job", "800", 300, 100)
    assert available_memory() == 300
    group(".", "400", 300, 100)
    assert available_memory() == 100
    group("job", "100", 300, 100)
    assert available_memory() == 0


def test_a_limit_of_addresses_counts(monkeypatch: pytest.MonkeyPatch):
    resource = pytest.importorskip("resource")
    own = stream.psutil.Process().memory_info().vms
    monkeypatch.setattr(resource, "getrlimit", lambda _: (own + 10**8, own + 10**8))
    assert 0 < available_memory() <= 10**8
