"""Paths of every sort: what is no data is called by its name, and nothing is waited for."""

from __future__ import annotations

import bz2
import errno
import gzip
import json
import lzma
import os
import pickle
import shutil
import socket
import zipfile
from collections.abc import Callable
from glob import glob
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr
import zarr
from import_data import DIMS, ocean, section, settings, waves, write

from thermalize.config import Experiment, ImportConfig
from thermalize.runtime.errors import UserError
from thermalize.store.results import Results
from thermalize.truth.imported import patterns
from thermalize.truth.imported.archive import Archive, survey
from thermalize.truth.imported.patterns import MOST_NAMES, matches
from thermalize.truth.imported.splits import Row
from thermalize.workflow.needs import Result
from thermalize.workflow.plan import Plan


def archive(source: Any, **changes: Any) -> Archive:
    return survey(ImportConfig.model_validate(section(source, **changes)))


def refused(source: Any, **changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        archive(source, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def zipped(path: Path) -> None:
    store = write(ocean(), path.with_name("store.zarr"))
    with zipfile.ZipFile(path, "w") as archive:
        for each in store.rglob("*"):
            archive.write(each, each.relative_to(store))
    shutil.rmtree(store)


def several(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, q=waves())


def single(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, waves())


KINDS: list[tuple[str, Callable[[Path], Any], str]] = [
    ("zipped store", zipped, "a zipped Zarr store; unpack it with unzip a.nc -d a.zarr, and name that folder"),
    ("npy", single, "an array of NumPy, without names, units and times; write it with xarray.Dataset.to_netcdf"),
    ("npz", several, "arrays of NumPy, without names, units and times; write it with xarray.Dataset.to_netcdf"),
    ("grib", lambda p: p.write_bytes(b"GRIB\x00\x00\x00\x02" + bytes(99)), "a GRIB file; convert it with cdo -f nc4"),
    ("matlab", lambda p: p.write_bytes(b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(99)), "a MATLAB file; save"),
    ("hdf4", lambda p: p.write_bytes(b"\x0e\x03\x13\x01" + bytes(99)), "an HDF4 file; convert it with h4toh5"),
    ("csv", lambda p: p.write_text("time,x,q\n0,0,1.5\n"), "text; NetCDF files and Zarr stores are read: convert"),
    ("empty", lambda p: p.write_bytes(b""), "empty; make or copy it again"),
    ("zeros", lambda p: p.write_bytes(bytes(4096)), "nothing but zeros at its beginning; copy it again"),
    ("page", lambda p: p.write_text("<!DOCTYPE html><html>404"), "a web page and no data"),
    ("pickle", lambda p: p.write_bytes(pickle.dumps({"q": 1})), "a pickle, from which nothing is read"),
    ("gzip", lambda p: p.write_bytes(gzip.compress(b"CDF\x01")), "compressed as a whole (gzip); unpack it first"),
    ("bzip2", lambda p: p.write_bytes(bz2.compress(b"CDF\x01")), "compressed as a whole (bzip2); unpack it first"),
    ("xz", lambda p: p.write_bytes(lzma.compress(b"CDF\x01")), "compressed as a whole (xz); unpack it first"),
    ("lfs", lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\n"), "a pointer of Git LFS"),
    ("noise", lambda p: p.write_bytes(b"\xff\x00\xfe" * 999), "neither a NetCDF file nor a Zarr store, or its"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "words"), [each[1:] for each in KINDS], ids=[each[0] for each in KINDS])
def test_a_file_of_another_kind_is_called_by_its_name(tmp_path: Path, make: Callable[[Path], Any], words: str) -> None:
    path = tmp_path / "a.nc"
    make(path)
    assert refused(path).startswith(f"simulation.import: {path} is {words}")


def test_a_zipped_store_is_unpacked_as_it_says(tmp_path: Path) -> None:
    path = tmp_path / "ocean.zarr.zip"
    zipped(path)
    command = refused(path).split("unpack it with ")[1].split(", and")[0].split()
    assert command == ["unzip", "ocean.zarr.zip", "-d", "ocean.zarr"]
    zipfile.ZipFile(path).extractall(tmp_path / command[-1])
    assert archive(tmp_path / command[-1]).lengths == [60]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_an_array_is_no_group(tmp_path: Path, zarr_format: int) -> None:
    zarr.create_array(tmp_path / "q.zarr", data=waves(), zarr_format=zarr_format)  # type: ignore[arg-type]
    said = refused(tmp_path / "q.zarr")
    assert said.startswith(f"simulation.import: {tmp_path / 'q.zarr'} is a single array of Zarr; name the group that")
    write(ocean(), tmp_path / "ocean.zarr")
    assert "is a single array of Zarr; name the group" in refused(tmp_path / "ocean.zarr" / "q")
    assert "is a part of a Zarr store; name its folder" in refused(tmp_path / "ocean.zarr" / ".zgroup")


def test_a_folder_of_stores_is_told_apart_from_one_of_files(tmp_path: Path) -> None:
    write(ocean(), tmp_path / "data" / "ocean.zarr")
    assert refused(tmp_path / "data").endswith("is a folder but no Zarr store; name stores in it, as data/*.zarr")
    assert archive(str(tmp_path / "data" / "*.zarr")).lengths == [60]


def test_a_link_that_leads_nowhere_says_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "a.nc").symlink_to(tmp_path / "gone.nc")
    said = refused(str(tmp_path / "*.nc"))
    assert f"{tmp_path / 'a.nc'} is a link to {tmp_path / 'gone.nc'}, which does not exist" in said
    assert f"{tmp_path / 'a.nc'} is a link to" in refused(tmp_path / "a.nc")


def bound(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


SPECIAL: list[tuple[Callable[[Path], Any], str]] = [(os.mkfifo, "a named pipe"), (bound, "a socket")]


@pytest.mark.parametrize(("make", "kind"), SPECIAL, ids=["pipe", "socket"])
def test_what_could_be_waited_for_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], Any], kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make(Path("a.nc"))
    sentence = f"simulation.import: {tmp_path / 'a.nc'} is {kind} and no file; write its contents to a file first"
    for source in ("a.nc", "*.nc"):
        assert refused(source).replace(f"{tmp_path}/", "") == sentence.replace(f"{tmp_path}/", "")
    with pytest.raises(UserError, match=f"is {kind} and no file"):
        Plan(Experiment.model_validate(settings(section("*.nc"))), Results("x")).look_at_sources()


def test_a_device_is_no_file() -> None:
    assert refused("/dev/null") == (
        "simulation.import: /dev/null is a device and no file; write its contents to a file first"
    )


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_pipe_within_a_store_is_not_waited_for(tmp_path: Path, zarr_format: int) -> None:
    path = tmp_path / "ocean.zarr"
    ocean().to_zarr(path, zarr_format=zarr_format, consolidated=False)  # type: ignore[arg-type]
    chunk = next(each for each in (path / "q").rglob("*") if each.is_file() and each.name[-1] == "0")
    chunk.unlink()
    os.mkfifo(chunk)
    assert f"{chunk} is a named pipe" in refused(path)


def test_patterns_match_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.nc", "b/c.nc", "b/d/e.nc", "b/d/f.txt", ".hidden/g.nc", "b/.h.nc", "[1].nc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for pattern in (
        "*.nc",
        "**/*.nc",
        "b/**/*.nc",
        "b/**",
        "**/d/*",
        "b/*/e.nc",
        "b/.*",
        "?.nc",
        "[ab].nc",
        "**/**/e.nc",
    ):
        found = {str(each.relative_to(tmp_path)) for each in matches(pattern)}
        expected = set(glob(pattern, recursive=True))  # noqa: PTH207 - what shells and Python mean by a pattern
        assert found - {"b", "b/d"} == expected - {"b", "b/", "b/d"}, pattern
    assert [each.name for each in matches("[1].nc")] == ["[1].nc"]
    assert matches(str(tmp_path / "b" / "*.nc")) == [tmp_path / "b" / "c.nc"]
    assert matches("nothing/*.nc") == matches("a.nc/*") == []


def test_patterns_follow_no_circles(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("one", "two", "three"):
        (tmp_path / "data" / name).symlink_to(tmp_path, target_is_directory=True)
    write(ocean(), tmp_path / "data" / "ocean.nc")
    assert matches(str(tmp_path / "**" / "*.nc")) == [tmp_path / "data" / "ocean.nc"]


def test_patterns_enter_no_store(tmp_path: Path) -> None:
    path = write(ocean(), tmp_path / "data" / "ocean.zarr")
    assert path in matches(str(tmp_path / "**" / "*"))
    assert not [each for each in matches(str(tmp_path / "**" / "*")) if path in each.parents]


def test_patterns_look_at_so_many_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "MOST_NAMES", 50)
    for number in range(60):
        (tmp_path / f"{number}.txt").touch()
    pattern = str(tmp_path / "**" / "*.nc")
    assert refused(pattern) == (
        f"simulation.import: {pattern} would look at more than 50 files; begin it with the folder that holds the "
        "data, or "
        "list the files"
    )
    assert MOST_NAMES == 100_000


@pytest.mark.parametrize("pattern", ["/**/*", "/**/*.nc"])
def test_the_whole_disk_is_not_searched(pattern: str) -> None:
    """It holds too many names, or, where it is small, files that are no data."""
    assert refused(pattern).startswith("simulation.import: ")


@pytest.mark.parametrize("name", ["a\0.nc", "~nobody-of-this-name/a.nc", "x" * 900])
def test_what_no_path_can_be_is_refused(name: str) -> None:
    assert refused(name).startswith("simulation.import: ")


def test_the_plan_of_the_workflow_names_a_pipe(tmp_path: Path) -> None:
    """Without waiting: Snakemake would digest what is in it."""
    from workflow_run import snakemake

    os.mkfifo(tmp_path / "a.nc")
    (tmp_path / "mine.yaml").write_text(json.dumps(settings(section("*.nc"))))
    done = snakemake(tmp_path, "--dry-run", check=False, config=tmp_path / "mine.yaml")
    assert done.returncode != 0
    assert "is a named pipe and no file" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_groups_are_named_with_the_way_to_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, plain = tmp_path / "grouped.nc", write(ocean(), tmp_path / "plain.nc")
    with xr.open_dataset(plain, decode_times=False) as dataset:
        dataset.to_netcdf(path, group="model/run")
    said = refused(path)
    assert said.startswith(
        f"{path} has no variable 'q'; it lies in the groups /model/run, from which nothing is imported"
    )
    assert "others lie in the groups /model/run" in refused(path, variable="Q")
    monkeypatch.chdir(tmp_path)
    call = said.split("to a file with ")[1].replace("(…)", "('single.nc')").replace("xarray", "xr")
    eval(call, {"xr": xr})
    assert archive(tmp_path / "single.nc").lengths == [60]


def test_fields_on_edges_are_told_apart_from_misspelt_dimensions(tmp_path: Path) -> None:
    edges = ocean().rename(q="u", xh="xq", yh="yq").rename_dims({})
    both = xr.merge([ocean(), edges.rename(ocean_time="ocean_time")], compat="override")
    path = write(both, tmp_path / "a.nc")
    assert refused(path, variable="u") == (
        f"{path}: u lies on ocean_time, zl, yq, xq and not along xh, which simulation.dims.x names; a field on the "
        "edges of "
        "cells is interpolated to their centres first (as xgcm does), one of a grid of its own has its own names in "
        "dims"
    )
    assert archive(path, variable="u", dims={**DIMS, "y": "yq", "x": "xq"}).lengths == [60]


def test_a_dimension_that_occurs_twice_is_named(tmp_path: Path) -> None:
    path = write(ocean(), tmp_path / "a.nc")
    with netCDF4.Dataset(path, "a") as file:
        file.createVariable("covariance", "f8", ("xh", "xh"))[:] = 1.0
        file.createVariable("twice", "f8", ("ocean_time", "xh", "xh"))[:] = 1.0
    assert archive(path).lengths == [60]
    assert refused(path, variable="twice") == (
        f"{path}: twice has the dimension 'xh' twice, along which no field varies; choose another variable, or write "
        "it with "
        "dimensions of different names"
    )


LEVELS: list[tuple[list[Any], tuple[str, ...]]] = [
    ([0.5, 1.5], ("zl=0.5", "zl=1.5")),
    ([1000000.1, 1000000.2], ("zl=1000000.1", "zl=1000000.2")),
    ([1.0, 1.0000000001], ("zl=1.0", "zl=1.0000000001")),
    ([5, 2], ("zl=5", "zl=2")),
    (["upper", "lower"], ("upper", "lower")),
]


@pytest.mark.parametrize(("levels", "names"), LEVELS)
def test_channels_have_names_of_their_own(tmp_path: Path, levels: list[Any], names: tuple[str, ...]) -> None:
    assert archive(write(ocean().assign_coords(zl=levels), tmp_path / "a.nc")).form.channels == names


@pytest.mark.parametrize("levels", [[2.5, 2.5], ["upper", "upper"], [np.nan, np.nan]])
def test_channels_of_one_name_are_refused(tmp_path: Path, levels: list[Any]) -> None:
    path = write(ocean().assign_coords(zl=levels), tmp_path / "a.nc")
    assert refused(path).startswith(f"{path}: two channels along zl are called ")


def spoken_of(path: Path, sizes: dict[str, int], coordinates: dict[str, int]) -> Path:
    """A store of some bytes that speaks of so many values, and of so many of the coordinates."""
    group = zarr.open_group(path, mode="w", zarr_format=2)
    chunks = tuple(min(size, 8) for size in sizes.values())
    field = group.create_array("q", shape=tuple(sizes.values()), chunks=chunks, dtype="f4", fill_value=0.0)
    field.attrs.update(_ARRAY_DIMENSIONS=[*sizes], units="s-1")
    for name, size in coordinates.items():
        along = group.create_array(name, shape=(size,), chunks=(min(size, 100_000),), dtype="f8", fill_value=0.0)
        along[: min(size, 100_000)] = np.arange(min(size, 100_000)) * 0.5
        units = {"time": "days since 2000-01-01", "x": "m"}.get(name, "1")
        along.attrs.update(_ARRAY_DIMENSIONS=[name], units=units)
    return path


HUGE = [10**9, 10**15]
SIZES = {"time": 60, "x": 32}


@pytest.mark.parametrize("size", HUGE)
@pytest.mark.parametrize("known", [True, False], ids=["coordinate", "none"])
@pytest.mark.parametrize("role", ["x", "run", "z", "time"])
def test_a_header_may_speak_of_any_number(tmp_path: Path, role: str, known: bool, size: int) -> None:
    """Nothing is built from it before it is held against what an import takes."""
    sizes = {**{name: 4 for name in (role,) if name in ("run", "z")}, **SIZES} | {role: size}
    coordinates = {name: sizes[name] for name in ("time", "x", role) if known or name != role}
    path = spoken_of(tmp_path / "a.zarr", sizes, coordinates)
    dims = {"time": "time", "x": "x", **{"run": {"member": "run"}, "z": {"channel": "z"}}.get(role, {})}
    said = refused(path, dims=dims, periods={"x": 16.0}, length_units="m")
    assert said.startswith(f"{path}: {role} has {size} values, more than an import takes")


def test_a_frame_has_as_many_values_as_fit_into_memory(tmp_path: Path) -> None:
    sizes = {"time": 60, "y": 10**6, "x": 10**6}
    path = spoken_of(tmp_path / "a.zarr", sizes, {"time": 60})
    periods = {"y": 1.0, "x": 1.0}
    said = refused(path, dims={name: name for name in sizes}, periods=periods, length_units="m")
    assert said.startswith(f"{path}: a frame has {10**12} values, more than an import takes (1000000000)")


def test_coordinates_of_other_variables_are_not_read(tmp_path: Path) -> None:
    path = spoken_of(tmp_path / "a.zarr", SIZES, {**SIZES, "station": 10**13})
    assert archive(path, dims={"time": "time", "x": "x"}).lengths == [60]


def test_dates_that_were_never_written_are_not_read_one_by_one(tmp_path: Path) -> None:
    path = spoken_of(tmp_path / "a.zarr", {**SIZES, "time": 5_000_000}, {**SIZES, "time": 5_000_000})
    said = refused(path, dims={"time": "time", "x": "x"})
    assert said.startswith(f"{path}: frame 100000 of time does not come after the frame before; times must increase")
    path = spoken_of(tmp_path / "a.zarr", {**SIZES, "time": 20_000_000}, {**SIZES, "time": 20_000_000})
    said = refused(path, dims={"time": "time", "x": "x"})
    assert said.startswith(f"{path}: time holds 20000000 dates, more than are read (10000000)")


def test_many_channels_are_named_at_once(tmp_path: Path) -> None:
    levels = [1e-9 * number for number in range(1000)]
    data = ocean(waves(12, levels=1)).isel(zl=0, drop=True).expand_dims(zl=levels)
    assert len(set(archive(write(data, tmp_path / "a.nc")).form.channels)) == 1000


@pytest.mark.parametrize("suffix", ["nc", "zarr"])
def test_coordinates_in_no_order_are_not_to_be_sorted(tmp_path: Path, suffix: str) -> None:
    axis = 1e4 * (0.5 + np.arange(8))
    axis[3] = 0.0
    data = ocean()
    path = write(data.assign_coords(yh=("yh", axis, data["yh"].attrs)), tmp_path / f"a.{suffix}")
    assert refused(path) == (
        f"{path}: yh goes from 25000 to 0 at .isel(yh=3) and elsewhere increases; its coordinates are wrong or "
        "damaged: copy "
        "the file again, or give it increasing ones"
    )


def test_degrees_become_metres_as_it_says(tmp_path: Path) -> None:
    data = ocean()
    data["yh"].attrs["units"], data["xh"].attrs["units"] = "degrees_north", "degrees_east"
    said = refused(write(data, tmp_path / "a.nc"))
    assert "write coordinates in metres along both into the file, with units = m" in said
    for dim in ("yh", "xh"):
        data = data.assign_coords({dim: (dim, 1.1e5 * data[dim].values, {"units": "m"})})
    assert archive(write(data, tmp_path / "b.nc")).form.axis_units == "m"


def test_units_of_another_type_are_compared_as_text(tmp_path: Path) -> None:
    data = ocean()
    data["xh"].attrs["units"] = 1.5
    assert "y is in 'm' and x in '1.5'; both sides need" in refused(write(data, tmp_path / "a.nc"))


def test_the_remedy_for_a_grid_of_odd_points_works() -> None:
    said = settings(section("a.nc", points={"y": 8, "x": 151}, periods={"y": 1.0, "x": 1.0}))
    with pytest.raises(ValueError, match="the 151 points along x are not divisible by 2; use 150 or 152 points"):
        Experiment.model_validate(said)
    for points in (150, 152):
        said["simulation"]["points"]["x"] = points
        Experiment.model_validate(said)


def test_hdf5_without_names_is_read_by_its_numbers_alone(tmp_path: Path) -> None:
    """The library invents names of dimensions for HDF5 that has none; they are listed."""
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w") as file:
        for size in waves().shape:
            file.createDimension(f"phony_dim_{size}", size) if f"phony_dim_{size}" not in file.dimensions else None
        file.createVariable("q", "f4", tuple(f"phony_dim_{size}" for size in (60, 2, 8)))[:] = waves()[..., 0]
    assert "q has no dimension 'ocean_time', which simulation.dims.time names; it has phony_dim_60" in refused(path)


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(ocean(), tmp_path / "a.nc")

    def deny(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", deny)  # to root nothing is forbidden
    assert refused(path) == (f"simulation.import: {path} cannot be read (Permission denied); check its permissions")


def test_sources_of_the_workflow_are_those_of_the_import(tmp_path: Path) -> None:
    write(ocean(), tmp_path / "ocean.zarr")
    config = Experiment.model_validate(settings(section(str(tmp_path / "**"))))
    assert str(tmp_path / "ocean.zarr") in Plan(config, Results("x")).inputs(Result("simulate", ("train",)))
    assert archive(tmp_path / "ocean.zarr").frames(Row(0, 0, 2), 0, 2).shape == (2, 2, 8, 8)
