"""Missing is not zero: every way in which NetCDF and Zarr say missing, packed, valid and not written."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr
import zarr
from import_data import DIMS, ocean, section, waves

from thermalize.config import ImportConfig
from thermalize.runtime.errors import UserError
from thermalize.truth.imported.archive import Archive, survey
from thermalize.truth.imported.splits import Row

FRAMES = 12
TRUTH = waves(FRAMES)
NETCDF = ("NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA", "NETCDF4", "NETCDF4_CLASSIC")
FORMS = [
    pytest.param(form, marks=[] if form in ("NETCDF3_CLASSIC", "NETCDF4") else pytest.mark.slow) for form in NETCDF
]
SHAPE = tuple(DIMS[role] for role in ("time", "channel", "y", "x"))


def archive(path: Path, **changes: Any) -> Archive:
    return survey(ImportConfig.model_validate(section(path, **changes)))


def everything(path: Path, **changes: Any) -> np.ndarray:
    found = archive(path, **changes)
    return found.frames(Row(0, 0, found.lengths[0]), 0, found.lengths[0])


def refused(path: Path) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserError) as caught:
            everything(path)
    said = str(caught.value)
    assert str(path) in said
    assert "\n" not in said
    return said


def netcdf(
    path: Path,
    values: np.ndarray,
    dtype: str = "f4",
    form: str = "NETCDF4",
    fill: Any = None,
    attributes: dict[str, Any] | None = None,
    frames: int = FRAMES,
    **options: Any,
) -> Path:
    """The file of `ocean` as the NetCDF library writes it; numbers are stored as they are given, in `frames` frames."""
    axes = ocean(TRUTH)
    with netCDF4.Dataset(path, "w", format=form) as file:
        file.set_auto_maskandscale(False)
        file.createDimension(DIMS["time"], None)
        for dim in SHAPE[1:]:
            file.createDimension(dim, axes.sizes[dim])
        for dim in SHAPE:
            file.createVariable(dim, "f8", (dim,)).setncatts(axes[dim].attrs)
            file[dim][:] = axes[dim].values
        field = file.createVariable("q", dtype, SHAPE, fill_value=fill, **options)
        field.set_auto_maskandscale(False)
        field.setncatts({"units": "s-1", **(attributes or {})})
        field[: len(values[:frames])] = values[:frames].astype(dtype)
    return path


def with_one(number: float, values: np.ndarray = TRUTH) -> np.ndarray:
    changed = values.copy()
    changed[7, 1, 2, 3] = number
    return changed


PLACE = ".isel(ocean_time=7, zl=1, yh=2, xh=3)"
UNIT = 100.0
"""Packed numbers are hundreds of the true ones."""
PACKED = np.round(UNIT * TRUTH)
SCALE = {"scale_factor": 1 / UNIT}

MARKED: list[tuple[str, np.ndarray, dict[str, Any], str]] = [
    ("NaN", with_one(np.nan), {}, "q is NaN at"),
    ("fill", with_one(-7.5), {"fill": -7.5}, "(_FillValue, -7.5)"),
    ("missing", with_one(-7.5), {"attributes": {"missing_value": np.float32(-7.5)}}, "(missing_value, -7.5)"),
    ("missing in double", with_one(-0.1), {"attributes": {"missing_value": -0.1}}, "(missing_value, -0.1)"),
    ("one of several", with_one(3.25), {"attributes": {"missing_value": np.float32([-7.5, 3.25])}},
     "(missing_value, 3.25)"),
    ("text", with_one(-3.0), {"attributes": {"missing_value": "-3"}}, "(missing_value, -3)"),
    ("text of ncdump", with_one(-3.5), {"attributes": {"missing_value": "-3.5f"}}, "(missing_value, -3.5)"),
    ("another type", with_one(-3.0), {"attributes": {"missing_value": np.int16(-3)}}, "(missing_value, -3)"),
    ("fill and missing", with_one(-3.0), {"fill": 99.0, "attributes": {"missing_value": -3.0}}, "(missing_value, -3)"),
    ("library", with_one(netCDF4.default_fillvals["f4"]), {}, "(the fill value of the file, 9.96921e+36)"),
    ("library, double", with_one(netCDF4.default_fillvals["f8"]), {"dtype": "f8"},
     "(the fill value of the file, 9.96921e+36)"),
    ("library, short", with_one(-32767, PACKED), {"dtype": "i2", "attributes": SCALE},
     "(the fill value of the file, -32767)"),
    ("library, int", with_one(-2147483647, PACKED), {"dtype": "i4", "attributes": SCALE},
     "(the fill value of the file, -2147483647)"),
    ("packed fill", with_one(-32768, PACKED), {"dtype": "i2", "fill": -32768, "attributes": SCALE},
     "(_FillValue, -32768)"),
    ("packed missing", with_one(999, PACKED), {"dtype": "i2", "attributes": {**SCALE, "missing_value": np.int16(999)}},
     "(missing_value, 999)"),
    ("unpacked missing", with_one(-310, PACKED), {"dtype": "i2", "attributes": {**SCALE, "missing_value": -3.1}},
     "(missing_value, -3.1)"),
    ("valid_min", with_one(-7.5), {"attributes": {"valid_min": np.float32(-5)}},
     "below the valid range of the file (-5)"),
    ("valid_max", with_one(7.5), {"attributes": {"valid_max": np.float32(5)}}, "above the valid range of the file (5)"),
    ("valid_range", with_one(7.5), {"attributes": {"valid_range": np.float32([-5, 5])}},
     "above the valid range of the file (5)"),
    ("valid_range as text", with_one(-7.5), {"attributes": {"valid_range": "-5, 5"}},
     "below the valid range of the file (-5)"),
    ("packed range", with_one(750, PACKED),
     {"dtype": "i2", "attributes": {**SCALE, "valid_range": np.int16([-600, 600])}},
     "above the valid range of the file (600)"),
    ("unpacked range", with_one(750, PACKED), {"dtype": "i2", "attributes": {**SCALE, "valid_range": [-6.0, 6.0]}},
     "above the valid range of the file (6.005)"),
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("values", "options", "words"), [each[1:] for each in MARKED], ids=[each[0] for each in MARKED]
)
def test_what_a_file_calls_missing_is_refused_with_the_place(
    tmp_path: Path, form: str, values: np.ndarray, options: dict[str, Any], words: str
) -> None:
    said = refused(netcdf(tmp_path / "a.nc", values, form=form, **options))
    assert words in said
    assert f"{PLACE}; fill or cut out missing values and land before the import" in said


SIGNLESS = PACKED - PACKED.min() + 1
ZERO = {"scale_factor": 0.1, "add_offset": float(PACKED.min() - 1) / 10}
WHOLE: list[tuple[str, np.ndarray, dict[str, Any], np.ndarray]] = [
    ("plain", TRUTH, {}, TRUTH),
    ("zeros", with_one(0.0), {}, with_one(0.0)),
    ("zeros beside a fill", with_one(0.0), {"fill": -9.0}, with_one(0.0)),
    ("no such mark", TRUTH, {"fill": 1e20, "attributes": {"missing_value": np.float32([1e20, -999.0])}}, TRUTH),
    ("NaN as mark", TRUTH, {"fill": np.nan}, TRUTH),
    ("within the range", TRUTH, {"attributes": {"valid_range": np.float32([TRUTH.min(), TRUTH.max()])}}, TRUTH),
    ("range in double", TRUTH, {"attributes": {"valid_range": [TRUTH.min(), TRUTH.max()]}}, TRUTH),
    ("actual range", TRUTH, {"attributes": {"actual_range": [0.0, 1e-3]}}, TRUTH),
    ("packed", PACKED, {"dtype": "i2", "attributes": SCALE}, PACKED / UNIT),
    ("packed within the range", PACKED,
     {"dtype": "i2", "attributes": {**SCALE, "valid_range": [PACKED.min() / UNIT, PACKED.max() / UNIT]}},
     PACKED / UNIT),
    ("packed zeros", with_one(0.0, PACKED), {"dtype": "i2", "attributes": SCALE}, with_one(0.0, PACKED) / UNIT),
    ("text as factor", PACKED, {"dtype": "i2", "attributes": {"scale_factor": "0.01"}}, PACKED / UNIT),
    ("list as factor", PACKED, {"dtype": "i4", "attributes": {"scale_factor": np.array([0.01])}}, PACKED / UNIT),
    ("no units of double", TRUTH, {"dtype": "f8"}, TRUTH),
    ("whole numbers", PACKED, {"dtype": "i2"}, PACKED),
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("values", "options", "truth"), [each[1:] for each in WHOLE], ids=[each[0] for each in WHOLE])
def test_what_is_there_is_read(
    tmp_path: Path, form: str, values: np.ndarray, options: dict[str, Any], truth: np.ndarray
) -> None:
    np.testing.assert_allclose(everything(netcdf(tmp_path / "a.nc", values, form=form, **options)), truth, rtol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_bytes_without_sign_are_what_they_say(tmp_path: Path, form: str) -> None:
    """Bytes are signed in version 3; `_Unsigned` says otherwise, and marks and ranges follow."""
    levels = np.clip(np.round(128 + 40 * TRUTH), 1, 250)
    stored = levels.astype("u1").view("i1")
    plain = {"_Unsigned": "true", "scale_factor": 0.5}
    path = netcdf(tmp_path / "a.nc", stored, "i1", form, attributes=plain)
    np.testing.assert_allclose(everything(path), levels / 2)
    marked = {**plain, "missing_value": np.int8(-1)}
    one = levels.copy()
    one[7, 1, 2, 3] = 255
    changed = one.astype("u1").view("i1")
    assert "(missing_value, -1)" in refused(netcdf(tmp_path / "b.nc", changed, "i1", form, attributes=marked))
    ranged = {**plain, "valid_range": np.array([0, -2], "i1")}
    np.testing.assert_allclose(everything(netcdf(tmp_path / "c.nc", stored, "i1", form, attributes=ranged)), levels / 2)
    assert "above the valid range" in refused(netcdf(tmp_path / "d.nc", changed, "i1", form, attributes=ranged))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("dtype", "fill"), [("f4", None), ("f8", None), ("i2", None), ("i4", None), ("f4", -9.0)])
def test_frames_that_were_never_written_are_no_numbers(tmp_path: Path, form: str, dtype: str, fill: Any) -> None:
    values = PACKED if dtype[0] == "i" else TRUTH
    path = netcdf(tmp_path / "a.nc", values, dtype, form, fill, frames=9)
    assert "missing or was never written" in refused(path)
    assert ".isel(ocean_time=9, zl=0, yh=0, xh=0)" in refused(path)


@pytest.mark.parametrize("form", FORMS)
def test_frames_that_were_not_filled_are_constant(tmp_path: Path, form: str) -> None:
    """A file may be written without filling; what was left out is what was on the disk, mostly zeros."""
    path = netcdf(tmp_path / "a.nc", TRUTH, form=form)
    with netCDF4.Dataset(path, "a") as file:
        file.set_fill_off()
        file["q"][FRAMES + 2] = TRUTH[0]
        file["ocean_time"][:] = 0.5 * np.arange(FRAMES + 3)
    said = refused(path)
    assert ".isel(ocean_time=12, zl=0" in said
    assert "never" in said


def test_every_number_is_one_where_nothing_is_filled(tmp_path: Path) -> None:
    """Only the newer format remembers that it was written so."""
    values = with_one(-32767, np.round(1e4 * TRUTH))
    path = netcdf(tmp_path / "a.nc", values, "i2", fill=False)
    np.testing.assert_array_equal(everything(path), values.astype("i2"))


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"missing_value": "none"}, "q: the attribute missing_value is 'none' and no number; correct it, or delete it"),
    ({"scale_factor": "ten"}, "q: the attribute scale_factor is 'ten' and no number; correct it, or delete it"),
    ({"scale_factor": 0.0}, "q: the attribute scale_factor is 0.0, which no number can be packed with"),
    ({"add_offset": np.nan}, "q: the attribute add_offset is nan, which no number can be packed with"),
    ({"valid_range": [1.0, 2.0, 3.0]}, "q: the attribute valid_range holds 3 numbers instead of 2"),
    ({"scale_factor": [1.0, 2.0]}, "q: the attribute scale_factor holds 2 numbers instead of 1"),
]  # fmt: skip


@pytest.mark.parametrize(("attributes", "words"), FAULTS, ids=[str(each[0]) for each in FAULTS])
def test_an_attribute_that_says_nothing_is_named(tmp_path: Path, attributes: dict[str, Any], words: str) -> None:
    path = netcdf(tmp_path / "a.nc", TRUTH, attributes=attributes)
    with pytest.raises(UserError) as caught:
        archive(path)
    assert str(caught.value).startswith(f"{path}: {words}")


STRANGE: list[tuple[str, Callable[[np.ndarray], object], str]] = [
    ("land", lambda v: v.__setitem__((slice(None), 1, slice(2, 5), slice(3, 5)), 1e20),
     "q has the value 1e+20 at .isel(ocean_time=0, zl=1, yh=2, xh=3), more than 1e+15 times its median"),
    ("small land", lambda v: v.__setitem__((slice(None), 1, slice(2, 5), slice(3, 5)), -999),
     "q has the value -999 at .isel(ocean_time=0, zl=1, yh=2, xh=3) and at 6 points in all, far from all others ("),
    ("land of another model", lambda v: v.__setitem__((slice(None), 0, slice(2, 5), slice(3, 5)), 321.5),
     "q has the value 321.5 at .isel(ocean_time=0, zl=0, yh=2, xh=3) and at 6 points in all"),
    ("one known mark", lambda v: v.__setitem__((4, 0, 2, 2), -9999),
     "q has the value -9999 at .isel(ocean_time=4, zl=0, yh=2, xh=2) and at 1 points in all"),
    ("one zero beside a mean", lambda v: (v.__iadd__(300), v.__setitem__((4, 0, 2, 2), 0)),
     "q has the value 0 at .isel(ocean_time=4, zl=0, yh=2, xh=2) and at 1 points in all"),
    ("far above", lambda v: v.__setitem__((4, 0, 2, 2), 3e17), "q has the value 3e+17 at .isel(ocean_time=4, zl=0, "),
    ("zero frame", lambda v: v.__setitem__(5, 0), "q has the value 0 at all points of .isel(ocean_time=5, zl=0)"),
    ("constant channel", lambda v: v.__setitem__((5, 1), 2.5),
     "q has the value 2.5 at all points of .isel(ocean_time=5, zl=1)"),
    ("repeated frame", lambda v: v.__setitem__(6, v[5]),
     "q is the frame before it again at .isel(ocean_time=6), to the last digit"),
]  # fmt: skip


@pytest.mark.parametrize("suffix", ["nc", "zarr"])
@pytest.mark.parametrize(("change", "words"), [each[1:] for each in STRANGE], ids=[each[0] for each in STRANGE])
def test_what_no_field_has_is_refused_with_the_place(
    tmp_path: Path, suffix: str, change: Callable[[np.ndarray], object], words: str
) -> None:
    values = TRUTH.copy()
    change(values)
    path = tmp_path / f"a.{suffix}"
    stored = ocean(values)
    stored.to_netcdf(path) if suffix == "nc" else stored.to_zarr(path, zarr_format=2, consolidated=False)
    assert refused(path).startswith(f"{path}: {words}")


@pytest.mark.parametrize("change", [each[1] for each in STRANGE], ids=[each[0] for each in STRANGE])
def test_a_field_that_is_truly_so_is_accepted_where_that_is_stated(
    tmp_path: Path, change: Callable[[np.ndarray], object]
) -> None:
    values = TRUTH.copy()
    change(values)
    path = tmp_path / "a.nc"
    ocean(values).to_netcdf(path)
    assert "or, if the field is truly so, state simulation.unusual: accept" in refused(path)
    np.testing.assert_array_equal(everything(path, unusual="accept"), values.astype(np.float32))


def test_what_is_said_to_be_missing_is_refused_whatever_else_is_accepted(tmp_path: Path) -> None:
    values = with_one(np.nan)
    values[5] = 0
    path = tmp_path / "a.nc"
    ocean(values).to_netcdf(path)
    with pytest.raises(UserError, match="q is NaN at"):
        everything(path, unusual="accept")


def test_a_field_that_single_precision_cannot_tell_is_told_how(tmp_path: Path) -> None:
    ocean(101325 + 1e-4 * TRUTH).to_netcdf(tmp_path / "a.nc")
    assert "vary by less than single precision tells" in refused(tmp_path / "a.nc")
    ocean(1e300 * TRUTH).to_netcdf(tmp_path / "b.nc")
    assert "or divide the field by a scale" in refused(tmp_path / "b.nc")


def test_fields_that_flows_have_are_read(tmp_path: Path) -> None:
    """Rare strong values, single ones also far away, steps, two phases and large means are no marks."""
    x = np.linspace(-np.pi, np.pi, 64, endpoint=False)
    time = 0.1 * np.arange(FRAMES)[:, None]
    burst = np.exp(-((x - time) ** 2) / 0.01) + 1e-3 * np.sin(x + time)
    phases = np.where(np.sin(x + time) > 0, 1.0, 0.0) + 1e-3 * np.sin(3 * x - time)
    mean = 101325 + np.sin(x + time)
    lonely = np.sin(x + time)
    lonely[5, 9] = 1e4
    dims = {"time": DIMS["time"], "x": DIMS["x"]}
    for number, values in enumerate((burst, phases, mean, lonely)):
        data = ocean(np.tile(values[:, None, None], (1, 1, 64, 1))).isel(zl=0, yh=0, drop=True)
        path = tmp_path / f"{number}.nc"
        data.to_netcdf(path)
        found = survey(ImportConfig.model_validate(section(path, dims=dims)))
        np.testing.assert_array_equal(found.frames(Row(0, 0, FRAMES), 0, FRAMES)[:, 0], values.astype(np.float32))


def store(
    path: Path, form: int, values: np.ndarray = TRUTH, fill: Any = 0, dtype: str = "f4", frames: int = FRAMES,
    attributes: dict[str, Any] | None = None, shards: bool = False,
) -> Path:  # fmt: skip
    """The store of `ocean`, as somebody writes it who knows Zarr and not xarray; only `frames` frames are written."""
    group = zarr.open_group(path, mode="w", zarr_format=form)  # type: ignore[arg-type]
    axes = ocean(TRUTH)

    def create(
        name: str, dims: tuple[str, ...], shape: tuple[int, ...], chunks: tuple[int, ...], **options: Any
    ) -> Any:
        named = {"dimension_names": dims} if form == 3 else {}
        array = group.create_array(name, shape=shape, chunks=chunks, **options, **named)
        if form == 2:
            array.attrs["_ARRAY_DIMENSIONS"] = list(dims)
        return array

    with zarr.config.set({"array.write_empty_chunks": False}):
        for dim in SHAPE:
            array = create(dim, (dim,), axes[dim].shape, axes[dim].shape, dtype="f8", fill_value=0)
            array[:] = axes[dim].values
            array.attrs.update(axes[dim].attrs)
        whole = {"shards": (4, *TRUTH.shape[1:])} if shards else {}
        array = create("q", SHAPE, TRUTH.shape, (1, *TRUTH.shape[1:]), dtype=dtype, fill_value=fill, **whole)
        array.attrs.update({"units": "s-1", **(attributes or {})})
        array[:frames] = values[:frames].astype(dtype)
    return path


WAYS = [(2, False), (3, False), (3, True)]


@pytest.mark.parametrize(("form", "shards"), WAYS)
@pytest.mark.parametrize("fill", [0, None, np.nan, -9999.0])
def test_a_zero_in_a_zarr_store_is_a_zero(tmp_path: Path, form: int, shards: bool, fill: Any) -> None:
    path = store(tmp_path / "a.zarr", form, with_one(0.0), fill, shards=shards)
    np.testing.assert_array_equal(everything(path), with_one(0.0).astype(np.float32))


@pytest.mark.parametrize(("form", "shards"), WAYS)
@pytest.mark.parametrize("fill", [0, None, np.nan, -9999.0, 1.0])
@pytest.mark.parametrize("dtype", ["f4", "i2"])
def test_a_chunk_that_is_not_there_was_never_written(
    tmp_path: Path, form: int, shards: bool, fill: Any, dtype: str
) -> None:
    fill = 7 if dtype == "i2" and isinstance(fill, float) and np.isnan(fill) else fill
    values = np.round(1e3 * TRUTH) if dtype == "i2" else TRUTH
    said = refused(store(tmp_path / "a.zarr", form, values, fill, dtype, frames=9, shards=shards))
    assert "q was never written at .isel(ocean_time=9, zl=0, yh=0, xh=0), where its chunk is missing" in said


@pytest.mark.parametrize(("form", "shards"), WAYS)
def test_zeros_that_were_left_out_are_told_how_to_write(tmp_path: Path, form: int, shards: bool) -> None:
    """The advice works: the same store with its empty chunks is read as far as a frame of zeros can be."""
    values = TRUTH.copy()
    values[4] = 0.0
    path = store(tmp_path / "a.zarr", form, values, 0, shards=shards)
    said = refused(path)
    assert "q was never written at .isel(ocean_time=4, zl=0, yh=0, xh=0)" in said
    assert "write_empty_chunks=True" in said
    with xr.open_zarr(path, consolidated=False, decode_times=False, mask_and_scale=False) as dataset:
        whole = dataset.load()
    whole.to_zarr(tmp_path / "b.zarr", zarr_format=form, consolidated=False, write_empty_chunks=True)  # type: ignore[arg-type]
    assert "q has the value 0 at all points of .isel(ocean_time=4, zl=0)" in refused(tmp_path / "b.zarr")


@pytest.mark.parametrize("form", [2, 3])
def test_a_lost_chunk_is_noticed(tmp_path: Path, form: int) -> None:
    path = store(tmp_path / "a.zarr", form)
    np.testing.assert_array_equal(everything(path), TRUTH.astype(np.float32))
    next(each for each in (path / "q").rglob("*") if each.is_file() and each.name.split(".")[0] == "0").unlink()
    (tmp_path / "b.zarr").mkdir()
    lost = path / "q" / ("5.0.0.0" if form == 2 else "c/5/0/0/0")
    lost.unlink(missing_ok=True)
    assert "q was never written at .isel(ocean_time=" in refused(path)


@pytest.mark.parametrize("form", [2, 3])
@pytest.mark.parametrize("mark", [-9999.0, 1e20])
def test_marks_of_zarr_are_known(tmp_path: Path, form: int, mark: float) -> None:
    said = refused(store(tmp_path / "a.zarr", form, with_one(mark), mark))
    assert f"q is missing or was never written (the fill value of the file, {mark:.6g}) at {PLACE}" in said
    said = refused(store(tmp_path / "b.zarr", form, with_one(mark), attributes={"_FillValue": mark}))
    assert f"q is missing or was never written (_FillValue, {mark:.6g}) at {PLACE}" in said
    said = refused(store(tmp_path / "c.zarr", form, with_one(mark), attributes={"missing_value": mark}))
    assert f"(missing_value, {mark:.6g}) at {PLACE}" in said


@pytest.mark.parametrize("form", [2, 3])
@pytest.mark.parametrize("encoding", [{"_FillValue": -9999.0}, {"dtype": "i2", "scale_factor": 0.01, "_FillValue": 0}])
def test_marks_that_xarray_writes_are_known(tmp_path: Path, form: int, encoding: dict[str, Any]) -> None:
    data = ocean(with_one(np.nan))
    data["q"].encoding = encoding
    data.to_zarr(tmp_path / "a.zarr", zarr_format=form, consolidated=False)  # type: ignore[arg-type]
    if encoding["_FillValue"]:
        assert f"q is missing or was never written (_FillValue, -9999) at {PLACE}" in refused(
            tmp_path / "a.zarr"
        ).replace("the fill value of the file", "_FillValue")
    else:
        assert "q is missing or was never written (" in refused(tmp_path / "a.zarr")


@pytest.mark.parametrize("form", [2, 3])
def test_the_lowest_number_of_a_type_is_a_number_where_it_was_written(tmp_path: Path, form: int) -> None:
    values = with_one(-32768, np.round(1e4 * TRUTH))
    path = store(tmp_path / "a.zarr", form, values, 0, "i2")
    np.testing.assert_array_equal(everything(path), values.astype("i2"))


def test_nothing_is_written_to_a_store_that_is_read(tmp_path: Path) -> None:
    path = store(tmp_path / "a.zarr", 3)
    before = {each: each.read_bytes() for each in path.rglob("*") if each.is_file()}
    everything(path)
    assert {each: each.read_bytes() for each in path.rglob("*") if each.is_file()} == before
    assert json.loads((path / "q" / "zarr.json").read_text())["fill_value"] == 0.0


@pytest.mark.parametrize("form", NETCDF[:3])
@pytest.mark.parametrize("part", [0.5, 0.9, 0.999])
def test_a_file_cut_short_is_not_read_as_zeros(tmp_path: Path, form: str, part: float) -> None:
    path = netcdf(tmp_path / "a.nc", TRUTH, form=form)
    size = path.stat().st_size
    data = path.read_bytes()[: int(part * size)]
    path.write_bytes(data)
    assert f"{path} has {len(data)} bytes, but {size} by its header: it was cut short" in refused(path)


@pytest.mark.parametrize("form", NETCDF[:3])
def test_a_file_cut_short_within_its_header_is_named(tmp_path: Path, form: str) -> None:
    path = netcdf(tmp_path / "a.nc", TRUTH, form=form)
    path.write_bytes(path.read_bytes()[:100])
    assert f"the header of {path} is damaged; copy or make the file again" in refused(path)


@pytest.mark.parametrize("form", FORMS)
def test_masked_times_and_coordinates_are_missing(tmp_path: Path, form: str) -> None:
    path = netcdf(tmp_path / "a.nc", TRUTH, form=form)
    with netCDF4.Dataset(path, "a") as file:
        file["ocean_time"][5] = netCDF4.default_fillvals["f8"]
    assert "frame 5 of ocean_time has no time" in refused(path)
    path = netcdf(tmp_path / "b.nc", TRUTH, form=form)
    with netCDF4.Dataset(path, "a") as file:
        file["xh"][3] = np.nan
    assert "xh is missing or not finite at .isel(xh=3)" in refused(path)


def test_a_header_that_speaks_of_more_than_any_file_holds_is_damaged(tmp_path: Path) -> None:
    path = netcdf(tmp_path / "a.nc", TRUTH, form="NETCDF3_64BIT_DATA")
    data = bytearray(path.read_bytes())
    units = data.index(b"units\0\0\0")
    data[units + 12] = 0x7F  # the highest byte of the length of its text
    path.write_bytes(data)
    assert refused(path) == f"simulation.import: the header of {path} is damaged; copy or make the file again"
