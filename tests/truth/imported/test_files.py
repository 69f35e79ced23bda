"""Files of the user's own: read under the user's names, and refused in one sentence that names file and place."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from import_data import DIMS, ocean, section, waves, write

from thermalize.config import ImportConfig
from thermalize.runtime.errors import UserError
from thermalize.truth.imported.archive import Archive, Chain, Form, survey
from thermalize.truth.imported.splits import Row


def archive(source: Any, **changes: Any) -> Archive:
    return survey(ImportConfig.model_validate(section(source, **changes)))


def everything(found: Archive, member: int = 0) -> np.ndarray:
    frames = found.lengths[member]
    return found.frames(Row(member, 0, frames), 0, frames)


def complaint(source: Any, **changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        archive(source, **changes)
    return str(caught.value)


@pytest.fixture(params=["ocean.nc", "ocean.zarr"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write(ocean(), tmp_path / request.param)


def test_a_file_is_read_as_it_is(path: Path) -> None:
    found = archive(path)
    assert found.lengths == [60]
    assert found.form.channels == ("zl=0.5", "zl=1.5")
    np.testing.assert_allclose(found.form.axes["y"], 1e4 * (0.5 + np.arange(8)))
    assert found.form.axis_units == "m"
    np.testing.assert_array_equal(everything(found), waves().astype(np.float32))


def test_dimensions_in_any_order_and_of_length_one_do_no_harm(tmp_path: Path) -> None:
    dataset = ocean().transpose("xh", "zl", "ocean_time", "yh").expand_dims("run")
    found = archive(write(dataset, tmp_path / "a.nc"))
    np.testing.assert_array_equal(everything(found), waves().astype(np.float32))


def test_variables_become_channels(tmp_path: Path) -> None:
    layers = ocean().isel(zl=0, drop=True).rename(q="q1").assign(q2=ocean().isel(zl=1, drop=True)["q"])
    dims = {name: dim for name, dim in DIMS.items() if name != "channel"}
    path = write(layers, tmp_path / "a.nc")
    found = archive(path, dims=dims, variable="pv", channels={"lower": "q2", "upper": "q1"})
    assert found.form.channels == ("lower", "upper")
    np.testing.assert_array_equal(everything(found), waves()[:, ::-1].astype(np.float32))
    single = archive(path, dims=dims, variable="q1")
    assert single.form.channels == ("q1",)
    np.testing.assert_array_equal(everything(single), waves()[:, :1].astype(np.float32))


def test_one_dimension_is_enough(tmp_path: Path) -> None:
    longitude = xr.DataArray(np.arange(0, 360, 45.0), dims="lon", attrs={"units": "degrees_east"})
    line = ocean().isel(zl=0, yh=0, drop=True).rename(xh="lon").assign_coords(lon=longitude)
    found = archive(write(line, tmp_path / "a.nc"), dims={"time": "ocean_time", "x": "lon"}, periods={"x": 360.0})
    assert found.form.axis_units == "degrees_east"
    assert everything(found).shape == (60, 1, 8)


def test_packed_numbers_are_unpacked(tmp_path: Path) -> None:
    dataset = ocean()
    dataset["q"].encoding = {"dtype": "int16", "scale_factor": 1e-4, "_FillValue": -32768}
    values = everything(archive(write(dataset, tmp_path / "a.nc")))
    np.testing.assert_allclose(values, waves(), atol=1e-4)


def test_files_continue_each_other_whatever_they_are_called(tmp_path: Path) -> None:
    for name, start in (("b.nc", 0), ("a.nc", 20), ("c.nc", 50)):
        stop = {0: 20, 20: 50, 50: 60}[start]
        dataset = ocean(waves()[start:stop], first=start)
        write(dataset, tmp_path / name)
    found = archive(str(tmp_path / "*.nc"))
    np.testing.assert_array_equal(everything(found), waves().astype(np.float32))
    listed = archive([str(tmp_path / name) for name in ("a.nc", "b.nc", "c.nc")])
    assert listed.chains == found.chains


def test_reference_dates_may_differ_between_files(tmp_path: Path) -> None:
    write(ocean(waves()[:20]), tmp_path / "a.nc")
    later = ocean(waves()[20:])
    later["ocean_time"].attrs["units"] = "days since 2000-01-11"
    write(later, tmp_path / "b.nc")
    assert archive(str(tmp_path / "?.nc")).lengths == [60]


@pytest.mark.parametrize(("every", "spin_up", "start"), [(1, 3.0, 6), (3, 0.0, 0), (3, 2.75, 6), (7, 0.5, 1)])
def test_frames_are_left_out_across_files(tmp_path: Path, every: int, spin_up: float, start: int) -> None:
    for name, part in {"a.nc": slice(0, 7), "b.nc": slice(7, 8), "c.nc": slice(8, 60)}.items():
        write(ocean(waves()[part], first=part.start), tmp_path / name)
    found = archive(str(tmp_path / "*.nc"), every=every, spin_up=spin_up, frame_interval=0.5 * every)
    kept = waves()[start::every].astype(np.float32)
    assert found.lengths == [len(kept)]
    np.testing.assert_array_equal(everything(found), kept)
    np.testing.assert_array_equal(found.frames(Row(0, 1, 5), 2, 4), kept[3:5])
    assert found.begin(Row(0, 1, 5)) == pytest.approx(0.5 * (start + every))


@given(
    lengths=st.lists(st.integers(1, 7), min_size=1, max_size=6),
    every=st.integers(1, 9),
    skipped=st.integers(0, 5),
    data=st.data(),
)
def test_pieces_of_files_are_the_frames_of_a_row(
    lengths: list[int], every: int, skipped: int, data: st.DataObject
) -> None:
    config = ImportConfig.model_validate(
        section("a.nc", every=every, frame_interval=0.5 * every, spin_up=0.5 * skipped)
    )
    chain = Chain(tuple(Path(f"{number}.nc") for number in range(len(lengths))), tuple(accumulate(lengths)))
    form = Form({}, "m", ("q",), 1, "", "q", "")
    found = Archive(config, form, (chain,), (0.0,), (0.5,))
    owned = [(path, frame) for path, length in zip(chain.paths, lengths, strict=True) for frame in range(length)]
    kept = owned[skipped::every]
    assert found.lengths == [len(kept)]
    begin, start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(kept))] * 3)))
    start, stop = start - begin, stop - begin
    pieces = list(found.pieces(Row(0, begin, stop), start, stop))
    assert [piece.frames for piece in pieces] == [len(range(100)[piece.part]) for piece in pieces]
    read = [(piece.path, frame) for piece in pieces for frame in range(100)[piece.part]]
    assert read == kept[begin + start : begin + stop]
    assert len({piece.path for piece in pieces}) == len(pieces)


def test_members_lie_along_a_dimension_or_in_files(tmp_path: Path) -> None:
    runs = [ocean(waves(seed=seed)) for seed in range(3)]
    together = write(xr.concat(runs, "run"), tmp_path / "all.nc")
    for number, run in enumerate(runs):
        write(run, tmp_path / f"run{number}.nc")
    along = archive(together, dims={**DIMS, "member": "run"})
    apart = archive(str(tmp_path / "run?.nc"), files="member")
    assert along.lengths == apart.lengths == [60, 60, 60]
    for seed in range(3):
        np.testing.assert_array_equal(everything(along, seed), waves(seed=seed).astype(np.float32))
        np.testing.assert_array_equal(everything(apart, seed), waves(seed=seed).astype(np.float32))


TIMES: list[tuple[str, Callable[[xr.Dataset], xr.Dataset], dict[str, Any]]] = [
    ("hours since a date", lambda d: timed(d, 12.0 * np.arange(60), "hours since 1850-01-01"), {}),
    ("seconds stated", lambda d: d, {"time_units": "seconds", "frame_interval": 43200.0, "gap": 86400.0}),
    ("single precision", lambda d: timed(d, np.float32(7300 + np.arange(60) / 24), "days since 1980-01-01"),
     {"time_units": "hours", "frame_interval": 1.0, "gap": 2.0}),
    ("proleptic calendar", lambda d: calendared(d, "proleptic_gregorian"), {}),
    ("years of 360 days", lambda d: calendared(d, "360_day"), {}),
    ("no calendar", lambda d: timed(d, 0.5 * np.arange(60), "days since 2001-01-01 06:00:00"), {}),
    ("far away", lambda d: timed(d, 0.5 * np.arange(60), "days since 0850-01-01"), {}),
    ("numbers in hours", lambda d: timed(d, 12 * np.arange(60), "hours"), {}),
    ("numbers without units", lambda d: timed(d, 0.5 * np.arange(60), None), {}),
    ("numbers in units of their own", lambda d: timed(d, 0.5 * np.arange(60), "L/U"), {"time_units": "L/U"}),
]  # fmt: skip


def calendared(dataset: xr.Dataset, calendar: str) -> xr.Dataset:
    dataset["ocean_time"].attrs["calendar"] = calendar
    return dataset


def timed(dataset: xr.Dataset, times: np.ndarray, units: str | None) -> xr.Dataset:
    attributes = {} if units is None else {"units": units}
    return dataset.assign_coords(ocean_time=("ocean_time", times, attributes))


@pytest.mark.parametrize(("change", "stated"), [each[1:] for each in TIMES], ids=[each[0] for each in TIMES])
def test_times_of_every_kind_are_understood(
    tmp_path: Path, change: Callable[[xr.Dataset], xr.Dataset], stated: dict[str, Any]
) -> None:
    assert archive(write(change(ocean()), tmp_path / "a.nc"), **stated).lengths == [60]


@pytest.mark.parametrize("kind", ["datetime64[ns]", "timedelta64[ns]"])
def test_native_dates_and_spans_are_understood(tmp_path: Path, kind: str) -> None:
    """Zarr of format 3 can hold them without CF encoding."""
    import zarr

    write(ocean(), tmp_path / "a.zarr")
    group = zarr.open_group(tmp_path / "b.zarr", zarr_format=3, mode="w")
    source = zarr.open_group(tmp_path / "a.zarr", mode="r")
    for name, array in source.arrays():
        values = np.asarray(array)
        if name == "ocean_time":
            values = (12 * np.arange(60)).astype("timedelta64[h]").astype("timedelta64[ns]")
            values = values if kind.startswith("timedelta") else np.datetime64("2000-01-01", "ns") + values
        dims = array.attrs["_ARRAY_DIMENSIONS"]
        plain = {key: value for key, value in array.attrs.items() if key not in ("_ARRAY_DIMENSIONS", "_FillValue")}
        plain = {} if name == "ocean_time" else plain
        group.create_array(name, data=values, dimension_names=dims, attributes=plain)
    assert archive(tmp_path / "b.zarr").lengths == [60]


def test_without_coordinates_the_periods_make_the_grid(tmp_path: Path) -> None:
    path = write(ocean().drop_vars(["xh", "yh"]), tmp_path / "a.nc")
    found = archive(path, periods={"y": 4.0, "x": 8.0}, length_units="km")
    np.testing.assert_allclose(found.form.axes["x"], np.arange(8.0))
    np.testing.assert_allclose(found.form.axes["y"], 0.5 * np.arange(8))
    assert found.form.axis_units == "km"


@pytest.mark.parametrize("written", ["s^{-1}", "$s^{-1}$", "  s^-1", ""])
def test_units_of_files_that_are_formulas_are_stated_without_their_signs(tmp_path: Path, written: str) -> None:
    """A configuration may not hold them, nor nothing, and figures never draw them."""
    dataset = ocean()
    dataset["q"].attrs["units"] = written
    stated = "s^-1"
    assert archive(write(dataset, tmp_path / "a.nc"), units=stated).lengths == [60]
    for dim in ("xh", "yh"):
        dataset[dim].attrs["units"] = written
    found = archive(write(dataset, tmp_path / "b.nc"), units=stated, length_units=stated)
    assert found.form.axis_units == stated
    if written:
        with pytest.raises(UserError, match=rf"q is in '{re.escape(stated)}', but simulation.units = 'K'; state"):
            archive(tmp_path / "a.nc", units="K")


def test_coordinates_in_single_precision_are_equidistant(tmp_path: Path) -> None:
    longitude = np.float32(330 + np.arange(8) / 64)
    path = write(coordinates(xh=longitude, yh=longitude), tmp_path / "a.nc")
    np.testing.assert_allclose(np.diff(archive(path).form.axes["x"]), 1 / 64, rtol=1e-3)


def coordinates(**changes: np.ndarray) -> xr.Dataset:
    dataset = ocean()
    return dataset.assign_coords({dim: (dim, values, dataset[dim].attrs) for dim, values in changes.items()})


def with_units(dim: str, units: str | None) -> xr.Dataset:
    dataset = ocean()
    dataset[dim].attrs = {} if units is None else {"units": units}
    return dataset


def step_changed(frame: int, by: float) -> xr.Dataset:
    times = 0.5 * np.arange(60)
    times[frame:] += by
    return timed(ocean(), times, "days since 2000-01-01")


def masked_time() -> xr.Dataset:
    times = 0.5 * np.arange(60)
    times[7] = np.nan
    return timed(ocean(), times, "days")


STRETCHED = 1e4 * np.array([0, 1, 2, 3, 4, 5, 6, 7.5])
BAD: list[tuple[str, xr.Dataset, dict[str, Any], str]] = [
    ("variable", ocean(), {"variable": "Q"}, "{path} has no variable 'Q'; it has q"),
    ("near variable", ocean().rename(q="pv_1"), {"variable": "pv1"},
     "{path} has no variable 'pv1'; did you mean 'pv_1'? It has pv_1"),
    ("dimension", ocean(), {"dims": {**DIMS, "time": "ocean_tim"}},
     "{path}: q has no dimension 'ocean_tim', which simulation.dims.time names; did you mean 'ocean_time'? "
     "It has ocean_time, zl, yh, xh"),
    ("further dimension", ocean(), {"dims": {name: dim for name, dim in DIMS.items() if name != "channel"}},
     "{path}: q has the dimension 'zl' with 2 values, which simulation.dims does not name; name it there as member or "
     "channel, or choose one value before the import"),
    ("no numbers", ocean().assign(q=ocean()["q"].astype("U23")), {},
     "{path}: q holds <U23 and no real numbers; choose another variable"),
    ("units", ocean(), {"units": "1/s"},
     "{path}: q is in 's-1', but simulation.units = '1/s'; state 's-1', or convert the data before the import"),
    ("frames apart", ocean(), {"frame_interval": 1.0},
     "{path}: frames are 0.5 days apart, which with every = 1 is not simulation.frame_interval = 1; write every: 2"),
    ("interval", ocean(), {"frame_interval": 0.7},
     "{path}: frames are 0.5 days apart, which with every = 1 is not simulation.frame_interval = 0.7; "
     "write frame_interval: 0.5"),
    ("time units", ocean(), {"time_units": "months"},
     "{path}: ocean_time holds dates, so simulation.time_units must be seconds, minutes, hours or days"),
    ("other time units", timed(ocean(), np.arange(60), "L/U"), {},
     "{path}: ocean_time is in 'L/U', but simulation.time_units = 'days'; state 'L/U'"),
    ("missing time", masked_time(), {},
     "{path}: frame 7 of ocean_time has no time; leave it out or give it one"),
    ("no dates", timed(ocean(), np.arange(60), "days since the beginning"), {},
     "{path}: ocean_time cannot be read as dates ("),
    ("year zero", timed(ocean(), 0.5 * np.arange(60), "days since 0000-01-01"), {},
     "{path}: ocean_time cannot be read as dates (unable to decode time units 'days since 0000-01-01' with 'the "
     "default calendar'); count from a date of its calendar in days, hours, minutes or seconds, as in days since "
     "2000-01-01"),
    ("no times", ocean().drop_vars("ocean_time"), {},
     "{path}: ocean_time has no coordinate variable; add the times of the frames to the file"),
    ("repeated time", step_changed(30, -0.5), {},
     "{path}: frame 30 of ocean_time has the same time as the frame before; leave out one of them, or write "
     "files: member for parallel runs"),
    ("decreasing time", step_changed(30, -2.5), {},
     "{path}: frame 30 of ocean_time lies 2 days before the frame before; times must increase, and files must not "
     "overlap"),
    ("missing frame", step_changed(30, 0.5), {},
     "{path}: frame 30 of ocean_time comes 1 days after the frame before, others after 0.5; "
     "fill in or resample missing frames"),
    ("one frame", ocean(waves()[:1]), {},
     "{path}: ocean_time holds one frame; a trajectory needs at least two"),
    ("no frames", ocean(waves()[:0]), {}, "{path} holds no frames; leave it out"),
    ("stretched grid", coordinates(xh=STRETCHED), {},
     "{path}: xh is not equidistant: the step from 0 to 10000 is not the mean step 10714.3; interpolate to an "
     "equidistant grid before the import"),
    ("descending grid", coordinates(yh=-1e4 * np.arange(8)), {},
     "{path}: yh does not increase; put it in increasing order with dataset.sortby('yh')"),
    ("named grid", coordinates(yh=np.array(list("abcdefgh"))), {},
     "{path}: yh holds <U1 and no numbers; give it coordinates"),
    ("period", ocean(), {"periods": {"y": 8e4, "x": 7e4}},
     "{path}: 8 points of xh with spacing 10000 make a period of 80000, but simulation.periods.x = 70000; leave out a "
     "last point that repeats the first, or correct it"),
    ("points", ocean(), {"points": {"y": 8, "x": 16}},
     "{path}: xh has 8 points, but simulation.points.x = 16; state 8, or interpolate the data"),
    ("no grid", ocean().drop_vars("xh"), {},
     "{path}: xh has no coordinate variable; add one, or state the side as simulation.periods.x"),
    ("sphere", with_units("yh", "degrees_north"), {},
     "{path}: y is in 'degrees_north' and x in 'm'; both sides need the same unit of length: write coordinates in "
     "metres "
     "along both into the file, with units = m (degrees of latitude and of longitude are not equally long)"),
    ("length units", ocean(), {"length_units": "km"},
     "{path}: yh is in 'm', but simulation.length_units = 'km'; state 'm', or convert the coordinates"),
    ("no length units", ocean().assign_coords({dim: np.arange(8.0) for dim in ("yh", "xh")}), {},
     "{path}: the coordinates have no units; state simulation.length_units"),
]  # fmt: skip


@pytest.mark.parametrize(("dataset", "changes", "sentence"), [each[1:] for each in BAD], ids=[each[0] for each in BAD])
def test_what_does_not_fit_is_one_sentence(
    tmp_path: Path, dataset: xr.Dataset, changes: dict[str, Any], sentence: str
) -> None:
    path = write(dataset, tmp_path / "a.nc")
    said, expected = complaint(path, **changes), sentence.format(path=path)
    assert said == expected or (expected.endswith("(") and said.startswith(expected) and "\n" not in said)


def test_times_do_not_depend_on_other_attributes(tmp_path: Path) -> None:
    """As bounds that are several, which xarray stumbles over."""
    path = write(ocean(), tmp_path / "a.nc")
    with netCDF4.Dataset(path, "a") as file:
        file["ocean_time"].setncattr("bounds", ["a", "b"])
        file["ocean_time"].setncattr("climatology", np.array([1, 2]))
    assert everything(archive(path)).shape[0] == len(waves())


PAIRS: list[tuple[str, xr.Dataset, str]] = [
    ("overlap", ocean(waves()[:20], first=10),
     "{b}: frame 0 of ocean_time lies 4.5 days before the last frame of a.nc; times must increase, and files must not "
     "overlap"),
    ("repeated border", ocean(waves()[:20], first=19),
     "{b}: frame 0 of ocean_time has the same time as the last frame of a.nc; leave out one of them, or write "
     "files: member for parallel runs"),
    ("hole", ocean(waves()[:20], first=25),
     "{b}: frame 0 of ocean_time comes 3 days after the last frame of a.nc, others after 0.5; "
     "fill in or resample missing frames"),
    ("points", ocean(waves(points=4)[:20], first=20), "{b}: y has 4 points, but 8 in {a}; import one grid"),
    ("grid", ocean(waves()[:20], first=20, spacing=2e4),
     "{b}: the points along y are not those of {a}; import one grid"),
    ("channels", ocean(waves(levels=1)[:20], first=20),
     "{b}: the channels are zl=0.5, but zl=0.5, zl=1.5 in {a}; make them agree"),
    ("calendar", timed(ocean(waves()[:20]), 10 + 0.5 * np.arange(20), "days since 2000-01-01"),
     "{b}: times are counted from 2000-01-01 (standard), but 2000-01-01 (noleap) in {a}; make them agree"),
]  # fmt: skip


@pytest.mark.parametrize(("second", "sentence"), [each[1:] for each in PAIRS], ids=[each[0] for each in PAIRS])
def test_files_that_do_not_fit_each_other_are_named(tmp_path: Path, second: xr.Dataset, sentence: str) -> None:
    a, b = write(ocean(waves()[:20]), tmp_path / "a.nc"), write(second, tmp_path / "b.nc")
    assert complaint([str(a), str(b)]) == sentence.format(a=a, b=b)


def test_paths_that_lead_nowhere_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(ocean(), Path("data/ocean.nc"))
    place = f"paths begin in the folder that the command runs in, {tmp_path}"
    assert complaint("data/*.zarr") == f"simulation.import: no file matches data/*.zarr; {place}"
    assert complaint("data/ocen.nc") == "simulation.import: data/ocen.nc does not exist; did you mean data/ocean.nc?"
    assert complaint("elsewhere/a.nc") == f"simulation.import: elsewhere/a.nc does not exist; {place}"
    assert complaint("data") == (
        f"simulation.import: {tmp_path / 'data'} is a folder but no Zarr store; name files in it, as data/*.nc"
    )


def test_a_file_that_ends_too_soon_is_named(tmp_path: Path) -> None:
    dataset = ocean()
    dataset["q"].encoding = {"zlib": True, "chunksizes": (1, 2, 8, 8)}
    path = write(dataset, tmp_path / "a.nc")
    os.truncate(path, path.stat().st_size - 3000)
    with pytest.raises(
        UserError, match=r"a\.nc(: q cannot be read| cannot be opened as a NetCDF file) \(.*copy (it|the file) again"
    ):
        everything(archive(path))


@pytest.mark.parametrize(
    ("value", "words", "more"),
    [(np.nan, "NaN", ""), (1e300, "infinite in single precision (1e+300)", ", or divide the field by a scale")],
    ids=["NaN", "huge"],
)
def test_the_first_value_that_is_not_finite_is_named(tmp_path: Path, value: float, words: str, more: str) -> None:
    values = waves()
    values[41:, 1, 5, 3:] = value
    found = archive(write(ocean(values), tmp_path / "a.nc"), every=4, frame_interval=2.0)
    found.frames(Row(0, 0, 15), 0, 11)
    with pytest.raises(UserError) as caught:
        found.frames(Row(0, 0, 15), 9, 15)
    assert str(caught.value) == (
        f"{tmp_path / 'a.nc'}: q is {words} at .isel(ocean_time=44, zl=1, yh=5, xh=3); "
        f"fill or cut out missing values and land before the import{more}"
    )


def test_the_place_of_a_bad_value_names_the_member(tmp_path: Path) -> None:
    runs = xr.concat([ocean(), ocean(waves(seed=1))], "run")
    runs["q"][1, 3, 0, 2, 2] = np.nan
    found = archive(write(runs, tmp_path / "a.nc"), dims={**DIMS, "member": "run"})
    with pytest.raises(UserError, match=r"\.isel\(run=1, ocean_time=3, zl=0, yh=2, xh=2\)"):
        everything(found, 1)
