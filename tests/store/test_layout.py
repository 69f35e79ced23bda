"""The form of a store: what xarray sees, which files there are, and which writes are refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given
from hypothesis import strategies as st
from store_data import FRAMES, MEMBERS, POINTS, SERIES, field, fill, layout, tree

from thermalize.runtime.errors import UserError
from thermalize.store.layout import CHUNK_BYTES, WINDOW, create, inner_chunk, write

ALL = (slice(0, MEMBERS), slice(0, FRAMES))
FORM = layout(series=SERIES)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "a.zarr.partial"
    create(path, FORM)
    return path


def opened(path: Path) -> xr.Dataset:
    return xr.open_zarr(path, consolidated=False, chunks=None, decode_times=False)


def test_xarray_sees_names_coordinates_and_units(store: Path) -> None:
    dataset = opened(store)
    assert dict(dataset.sizes) == {"member": MEMBERS, "time": FRAMES, "channel": 1, "x": POINTS}
    assert dataset["velocity"].dims == ("member", "time", "channel", "x")
    assert dataset["velocity"].dtype == np.float32
    assert dataset["velocity"].attrs == {"long_name": "a velocity", "units": "m s-1"}
    assert dataset["member"].values.tolist() == [7, 8, 9, 10]
    assert dataset["time"].attrs["units"] == "s"
    assert dataset["time"].values.tolist() == [0.5 * n for n in range(FRAMES)]
    assert dataset["channel"].values.tolist() == ["u"]
    assert dataset["x"].attrs["units"] == "m"
    assert set(dataset.coords) == {"member", "time", "channel", "x"}
    assert dataset.attrs == {"variable": "velocity", "equation": "u_t = 0", "seed": 3}


def test_series_run_along_member_and_time(store: Path) -> None:
    dataset = opened(store)
    for name, (dtype, long_name, units) in SERIES.items():
        assert dataset[name].dims == ("member", "time")
        assert dataset[name].dtype == dtype
        assert dataset[name].attrs == {"long_name": long_name, "units": units}


def test_what_was_not_written_is_nan_or_minus_one(store: Path) -> None:
    dataset = opened(store)
    assert np.isnan(dataset["velocity"]).all()
    assert np.isnan(dataset["displacement"]).all()
    assert (dataset["level"] == -1).all()


def test_two_space_dimensions(tmp_path: Path) -> None:
    form = layout(axes={"y": np.arange(3.0), "x": np.arange(5.0)}, channels=("upper", "lower"))
    values = field(form=form)
    fill(tmp_path / "b.zarr.partial", values, form)
    variable = opened(tmp_path / "b.zarr.partial")["velocity"]
    assert variable.dims == ("member", "time", "channel", "y", "x")
    assert variable.shape == form.shape == (MEMBERS, FRAMES, 2, 3, 5)
    np.testing.assert_array_equal(variable, values)


def test_the_format_is_zarr_3_in_shards(tmp_path: Path) -> None:
    path = tmp_path / "c.zarr.partial"
    fill(path, field())
    shards = sorted(p.relative_to(path).as_posix() for p in (path / "velocity" / "c").rglob("*") if p.is_file())
    assert shards == [f"velocity/c/{i}/{j}/0/0" for i in range(2) for j in range(3)]
    metadata = json.loads((path / "velocity" / "zarr.json").read_text())
    assert metadata["zarr_format"] == 3
    assert metadata["codecs"][0]["name"] == "sharding_indexed"
    assert np.isnan(zarr.open_array(path, path="velocity").fill_value)


@pytest.mark.parametrize("name", ["velocity", *SERIES])
def test_what_is_written_is_read(store: Path, name: str) -> None:
    array = zarr.open_array(store, path=name)
    values = np.arange(array.size).reshape(array.shape).astype(array.dtype)
    for member, time in [(slice(2, 4), slice(4, 8)), (slice(0, 4), slice(8, 10)), (slice(0, 2), slice(0, 8))]:
        names = write(store, FORM, name, member, time, values[member, time])
        assert all((store / shard).is_file() for shard in names)
    write(store, FORM, name, slice(2, None), slice(None, 4), values[2:, :4])
    np.testing.assert_array_equal(opened(store)[name], values)


def test_shards_of_fill_values_are_written_too(store: Path) -> None:
    names = write(store, FORM, "velocity", *ALL, np.full(layout().shape, np.nan))
    names |= write(store, FORM, "level", *ALL, np.full((MEMBERS, FRAMES), -1))
    assert len(names) == 12
    assert all((store / name).is_file() for name in names)


def test_coordinates_that_are_all_zero_are_written_too(tmp_path: Path) -> None:
    form = layout(members=np.array([0]), time=np.array([0.0]), axes={"x": np.array([0.0])})
    create(tmp_path / "a.zarr.partial", form)
    assert all((tmp_path / "a.zarr.partial" / name / "c/0").is_file() for name in ("member", "time", "x"))


@pytest.mark.parametrize(
    ("member", "time"),
    [
        (slice(0, 1), slice(0, 4)),
        (slice(1, 3), slice(0, 4)),
        (slice(0, 2), slice(0, 5)),
        (slice(0, 2), slice(2, 4)),
        (slice(0, 2), slice(4, 4)),
        (slice(0, 4, 2), slice(0, 4)),
        (slice(4, 6), slice(0, 4)),
    ],
)
def test_writes_across_shards_are_refused(store: Path, member: slice, time: slice) -> None:
    before = tree(store)
    with pytest.raises(ValueError, match="not aligned"):
        write(store, FORM, "velocity", member, time, field()[member, time])
    assert tree(store) == before


def test_values_of_another_shape_are_refused(store: Path) -> None:
    with pytest.raises(ValueError, match="shape"):
        write(store, FORM, "velocity", *ALL, field()[:, :, :, :-1])
    with pytest.raises(ValueError, match="shape"):
        write(store, FORM, "velocity", *ALL, field()[:1])


@pytest.mark.parametrize("leftover", [b"", b"half a shard", bytes(500)])
@pytest.mark.parametrize("shard", ["velocity/c/0/0/0/0", "velocity/c/1/2/0/0"])
def test_a_broken_leftover_is_overwritten(tmp_path: Path, shard: str, leftover: bytes) -> None:
    whole, other = tmp_path / "a.zarr.partial", tmp_path / "b.zarr.partial"
    fill(whole, field())
    create(other, layout())
    (other / shard).parent.mkdir(parents=True)
    (other / shard).write_bytes(leftover)
    for member in (slice(0, 2), slice(2, 4)):
        write(other, layout(), "velocity", member, slice(None), field()[member])
    assert tree(other) == tree(whole)


def test_the_same_numbers_give_the_same_bytes(tmp_path: Path) -> None:
    form = layout(axes={"x": np.arange(3000.0)}, shard=(4, 10), chunk=(4, 10))
    values = field(form=form)
    seen = []
    for attempt in range(3):
        path = tmp_path / f"{attempt}.zarr.partial"
        fill(path, values, form)
        seen.append(tree(path))
    assert seen[0] == seen[1] == seen[2]


def test_create_leaves_shards_and_mends_the_rest(tmp_path: Path) -> None:
    store = tmp_path / "a.zarr.partial"
    fill(store, field())
    before = tree(store)
    (store / "zarr.json").write_bytes(b"{")
    (store / "time/c/0").unlink()
    create(store, layout())
    assert tree(store) == before


def test_a_shard_is_written_with_the_digest_and_the_size_that_it_had_in_memory(store: Path) -> None:
    files = write(store, FORM, "velocity", *ALL, field())
    found = tree(store)
    assert files == {name: (f"sha256:{found[name]}", (store / name).stat().st_size) for name in files}
    assert sorted(files) == sorted(name for name, _ in FORM.shards("velocity"))


def test_a_shard_is_synced_once_and_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced, path = [], tmp_path / "a.zarr.partial"
    create(path, layout())
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(Path(f"/proc/self/fd/{descriptor}").readlink()))
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("it is read"))
    names = write(path, layout(), "velocity", *ALL, field())
    assert sorted(synced) == sorted(path / name for name in names)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_must_be_finite(tmp_path: Path, value: float) -> None:
    values = field()
    values[1, 6, 0, 3] = value
    with pytest.raises(UserError, match="velocity/c/0/1/0/0 would hold NaN or infinity"):
        write(tmp_path / "a.zarr.partial", layout(), "velocity", *ALL, values, allow_nan=False)
    assert not (tmp_path / "a.zarr.partial/velocity/c/0/1").exists()


@pytest.mark.parametrize("changes", [{"chunk": (1, 3)}, {"chunk": (3, 4)}, {"shard": (0, 4)}, {"chunk": (0, 1)}])
def test_chunks_must_divide_shards(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="does not divide"):
        layout(**changes)


@given(st.integers(1, 100), st.integers(1, 1000), st.integers(1, 4 * CHUNK_BYTES))
def test_inner_chunks_divide_the_shard_and_hold_a_window(members: int, frames: int, frame_bytes: int) -> None:
    chunk = inner_chunk((members, frames), frame_bytes)
    assert chunk[0] == 1
    assert frames % chunk[1] == 0
    assert chunk[1] >= min(frames, WINDOW)
    assert chunk[1] == frames or chunk[1] * frame_bytes >= CHUNK_BYTES
    smaller = [n for n in range(WINDOW, chunk[1]) if frames % n == 0]
    assert all(n * frame_bytes < CHUNK_BYTES for n in smaller)
