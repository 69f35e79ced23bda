"""Small files of every format that can be imported, and ways to damage them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import zarr
from import_data import DIMS, ocean, section, waves

from thermalize.config import ImportConfig
from thermalize.runtime.errors import UserError
from thermalize.truth.imported.archive import survey
from thermalize.truth.imported.splits import Row

FRAMES = 12
TRUTH = waves(FRAMES).astype(np.float32)
SHAPE = tuple(DIMS[role] for role in ("time", "channel", "y", "x"))
Rng = np.random.Generator
JUNK: list[Any] = [
    *(None, True, 0, -1, 3, 10**30, 1.5, float("nan"), float("inf"), -999.0, 1e20),
    *("", "-999", "none", "ä\u2028ø", "x" * 999, "days since 2000-01-01", "0x7fc00000", "AAAAAAAA+H8="),
    *([], [1, 2, 3], ["a", "b"], [[1]], {}, {"a": 1}),
]
"""For the description of a store."""
NUMBERS: list[Any] = [
    *(np.int8(-1), np.uint8(255), np.int16([1, 2]), np.int64(2**62), np.float32(np.nan), np.float64([0.0, 1.0, 2.0])),
    *(np.inf, 1e20, -1e300, np.array([], "f8"), "-999", "none", "", "ä", ["a", "b"]),
]
"""For attributes of a file."""
OF_CLASSIC = ("i1", "i2", "i4", "f4", "f8")
ATTRIBUTES = (
    *(
        "missing_value",
        "valid_min",
        "valid_max",
        "valid_range",
        "actual_range",
        "scale_factor",
        "add_offset",
        "_Unsigned",
    ),
    *("units", "calendar", "cell_methods", "long_name", "coordinates", "bounds", "dtype", "grid_mapping"),
)


def netcdf(path: Path, form: str, **options: Any) -> None:
    axes = ocean(TRUTH)
    with netCDF4.Dataset(path, "w", format=form) as file:
        file.createDimension(SHAPE[0], None)
        for dim in SHAPE[1:]:
            file.createDimension(dim, axes.sizes[dim])
        for dim in SHAPE:
            file.createVariable(dim, "f8", (dim,)).setncatts(axes[dim].attrs)
            file[dim][:] = axes[dim].values
        field = file.createVariable("q", "f4", SHAPE, **options)
        field.units = "s-1"
        field[:] = TRUTH


def store(path: Path, form: int, **options: Any) -> None:
    axes = ocean(TRUTH)
    group = zarr.open_group(path, mode="w", zarr_format=form)  # type: ignore[arg-type]
    for name in (*SHAPE, "q"):
        values = TRUTH if name == "q" else axes[name].values
        dims = SHAPE if name == "q" else (name,)
        named = {"dimension_names": dims} if form == 3 else {}
        array = group.create_array(name, data=values, **named, **(options if name == "q" else {}))
        array.attrs.update({**axes[name].attrs, **({"_ARRAY_DIMENSIONS": list(dims)} if form == 2 else {})})


FORMATS: dict[str, Callable[[Path], None]] = {
    "classic.nc": lambda path: netcdf(path, "NETCDF3_CLASSIC"),
    "offset.nc": lambda path: netcdf(path, "NETCDF3_64BIT_OFFSET"),
    "data.nc": lambda path: netcdf(path, "NETCDF3_64BIT_DATA"),
    "four.nc": lambda path: netcdf(path, "NETCDF4"),
    "checked.nc": lambda path: netcdf(path, "NETCDF4", zlib=True, fletcher32=True, chunksizes=(2, 2, 8, 8)),
    "two.zarr": lambda path: store(path, 2, chunks=(3, 2, 8, 8)),
    "three.zarr": lambda path: store(path, 3, chunks=(3, 2, 8, 8)),
    "sharded.zarr": lambda path: store(path, 3, chunks=(1, 2, 8, 8), shards=(4, 2, 8, 8)),
}


def _file(path: Path, rng: Rng) -> Path:
    return path if path.is_file() else rng.choice(sorted(each for each in path.rglob("*") if each.is_file()))


def flip(path: Path, rng: Rng) -> None:
    file = _file(path, rng)
    data = bytearray(file.read_bytes())
    for _ in range(int(rng.choice([1, 1, 4, 64]))):
        where = int(rng.integers(min(len(data), int(rng.choice([64, 2048, len(data)])))))
        data[where] ^= 1 << int(rng.integers(8))
    file.write_bytes(data)


def cut(path: Path, rng: Rng) -> None:
    file = _file(path, rng)
    file.write_bytes(file.read_bytes()[: int(rng.integers(1, file.stat().st_size))])


def empty(path: Path, rng: Rng) -> None:
    _file(path, rng).write_bytes(b"")


def append(path: Path, rng: Rng) -> None:
    file = _file(path, rng)
    file.write_bytes(file.read_bytes() + rng.bytes(int(rng.integers(1, 999))))


def lose(path: Path, rng: Rng) -> None:
    """One file of a store; all of a file."""
    _file(path, rng).unlink()


def rename(path: Path, rng: Rng) -> None:
    """A dimension or a variable, or something within the description of a store."""
    if path.is_file():
        with netCDF4.Dataset(path, "a") as file:
            name = str(rng.choice([*SHAPE, "q"]))
            new = str(rng.choice(["other", "ä", "x" * 200]))
            file.renameVariable(name, new) if name == "q" or rng.random() < 0.5 else file.renameDimension(name, new)
        return
    folder = path / str(rng.choice([*SHAPE, "q"]))
    shutil.move(folder, folder.with_name(str(rng.choice(["other", "ä", "x" * 200]))))


def attribute(path: Path, rng: Rng) -> None:
    """One attribute of a variable or coordinate becomes something else."""
    name, key = str(rng.choice([*SHAPE, "q"])), str(rng.choice(ATTRIBUTES))
    if path.is_file():
        value = NUMBERS[rng.integers(len(NUMBERS))]
        if path.name in ("classic.nc", "offset.nc", "data.nc") and np.asarray(value).dtype.str[1:] not in OF_CLASSIC:
            value = str(value)
        with netCDF4.Dataset(path, "a") as file:
            file[name].setncattr(key, value)
        return
    document = path / name / (".zattrs" if (path / name / ".zattrs").exists() else "zarr.json")
    described = json.loads(document.read_text())
    target = described if document.name == ".zattrs" else described["attributes"]
    target[str(rng.choice([key, "_FillValue", "_ARRAY_DIMENSIONS"]))] = JUNK[rng.integers(len(JUNK))]
    document.write_text(json.dumps(described))


def description(path: Path, rng: Rng) -> None:
    """One entry of the description of an array of a store; in a file, an attribute."""
    if path.is_file():
        attribute(path, rng)
        return
    documents = [each for each in sorted(path.rglob("*")) if each.name in ("zarr.json", ".zarray", ".zgroup")]
    document = rng.choice(np.array(documents, dtype=object))
    described = json.loads(document.read_text())
    inner = described
    while True:
        keys = [*inner] if isinstance(inner, dict) else [*range(len(inner))]
        key = keys[rng.integers(len(keys))]
        if not (isinstance(inner[key], dict | list) and inner[key]) or rng.random() < 0.3:
            break
        inner = inner[key]
    inner[key] = JUNK[rng.integers(len(JUNK))]
    document.write_text(json.dumps(described))


DTYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", ">f4", "f8", ">f8", "S1")


def dtype(path: Path, rng: Rng) -> None:
    """The field in another type, which may hold other numbers."""
    if path.is_dir():
        form = 2 if (path / ".zgroup").exists() else 3
        kind = str(rng.choice([*DTYPES[:-1], "f2", "c8", "bool", "U5" if form == 2 else "f8"]))
        shutil.rmtree(path / "q")
        values = TRUTH.astype(kind)
        named = {"dimension_names": SHAPE} if form == 3 else {}
        array = zarr.open_group(path, mode="a").create_array("q", data=values, chunks=(3, 2, 8, 8), **named)
        array.attrs.update({"units": "s-1", **({"_ARRAY_DIMENSIONS": list(SHAPE)} if form == 2 else {})})
        return
    classic = path.name in ("classic.nc", "offset.nc")
    kinds = ["i1", "i2", "i4", "f4", "f8", "S1"] if classic else [*DTYPES, "vlen", "compound", "enum", str, "c8"]
    if path.name == "data.nc":
        kinds = [each for each in DTYPES if each[0] != ">"]
    kind: Any = kinds[rng.integers(len(kinds))]
    with netCDF4.Dataset(path, "a") as file:
        file.renameVariable("q", "old")
        made: Any = {
            "vlen": lambda: file.createVLType("f4", "rows"),
            "compound": lambda: file.createCompoundType(np.dtype([("a", "f4"), ("b", "i4")]), "pair"),
            "enum": lambda: file.createEnumType("i1", "kind", {"one": 1, "two": 2}),
            "c8": lambda: file.createCompoundType(np.dtype([("real", "f4"), ("imag", "f4")]), "complex"),
        }.get(kind, lambda: kind)()
        big = isinstance(kind, str) and kind[0] == ">"
        field = file.createVariable("q", made, SHAPE, endian="big" if big else "native")
        field.units = "s-1"
        if isinstance(kind, str) and kind in DTYPES[:-1]:
            field[:] = TRUTH.astype(kind)


DAMAGES: dict[str, Callable[[Path, Rng], None]] = {
    each.__name__: each for each in (flip, cut, empty, append, lose, rename, attribute, description, dtype)
}


def outcome(path: Path) -> np.ndarray | str:
    """All frames, or what is said."""
    try:
        found = survey(ImportConfig.model_validate(section(path)))
        frames = found.lengths[0]
        return found.frames(Row(0, 0, frames), 0, frames)
    except UserError as error:
        return str(error)
