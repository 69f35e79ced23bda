"""What a path is, told by its first bytes: a file of another kind is named with the way to convert it.

Libraries say of all of them that they cannot be opened; whoever then looks for damage looks in vain.
"""

from __future__ import annotations

import json
import zipfile
from contextlib import suppress
from pathlib import Path

from thermalize.runtime.errors import UserError
from thermalize.truth.imported.lengths import refuse_cut

__all__ = ["MARKS", "is_store", "refuse_foreign"]

MARKS = ("zarr.json", ".zgroup", ".zmetadata")
"""Files of which a Zarr store, of format 3 or 2, has one."""
ARRAY = ".zarray"
"""Marks a single array of Zarr format 2."""

GRIB = "a GRIB file; convert it with cdo -f nc4 copy FILE NEW.nc"
MATLAB = "a MATLAB file; save its arrays from MATLAB with nccreate and ncwrite, or read them and write them with xarray"
PACKED = "compressed as a whole ({}); unpack it first"
NUMPY = "an array of NumPy, without names, units and times; write it with xarray.Dataset.to_netcdf, which holds them"
KINDS: dict[bytes, str] = {
    b"GRIB": GRIB,
    b"MATLAB ": MATLAB,
    b"\x93NUMPY": NUMPY,
    b"\x0e\x03\x13\x01": "an HDF4 file; convert it with h4toh5 or ncl_convert2nc",
    b"\x1f\x8b": PACKED.format("gzip"),
    b"BZh": PACKED.format("bzip2"),
    b"\xfd7zXZ\x00": PACKED.format("xz"),
    b"\x28\xb5\x2f\xfd": PACKED.format("zstd"),
    b"PAR1": "a Parquet table; convert it with pandas.read_parquet and xarray",
    b"II*\x00": "a TIFF image; convert it with gdal_translate -of netCDF",
    b"MM\x00*": "a TIFF image; convert it with gdal_translate -of netCDF",
    b"\x80\x04": "a pickle, from which nothing is read because it may run code; save it again with to_netcdf",
    b"\x80\x05": "a pickle, from which nothing is read because it may run code; save it again with to_netcdf",
    b"%PDF": "a PDF document; name the data",
    b"version https://git-lfs": "a pointer of Git LFS and not the data; fetch them with git lfs pull",
}
NETCDF3 = (b"CDF\x01", b"CDF\x02", b"CDF\x05")
HDF5 = b"\x89HDF\r\n\x1a\n"
USER_BLOCK = 1 << 16
"""HDF5 may begin at 512, 1024, 2048, … bytes; nobody puts more than this before it."""
BEGINNING = 512


def is_store(path: Path) -> bool:
    """Whether a folder is a Zarr store."""
    return path.is_dir() and any((path / mark).is_file() for mark in MARKS)


def refuse_foreign(path: Path) -> None:
    """Raise a `UserError` that says what a path is unless it is a whole NetCDF file or may be a Zarr store."""
    if path.is_dir():
        if not is_store(path) or _is_array(path):
            raise UserError(f"simulation.import: {_folder(path)}")
        return
    try:
        with path.open("rb") as file:
            first = file.read(BEGINNING)
    except OSError as error:
        raise UserError(f"simulation.import: {path} cannot be read ({error.strerror}); check its permissions") from None
    if first[:4] in NETCDF3:
        refuse_cut(path)
    elif first.startswith(HDF5) or _is_behind(path):
        if first.startswith(b"MATLAB"):
            raise UserError(f"simulation.import: {path} is {MATLAB}")
    else:
        raise UserError(f"simulation.import: {path} is {_kind(path, first)}")


def _is_array(path: Path) -> bool:
    with suppress(OSError, ValueError, AttributeError):
        described = json.loads((path / "zarr.json").read_text(encoding="utf-8"))
        return described.get("node_type") == "array"
    return (path / ARRAY).is_file()


def _folder(path: Path) -> str:
    if _is_array(path):
        return f"{path} is a single array of Zarr; name the group that it lies in, with coordinates and times"
    stored = next((each for each in sorted(path.iterdir())[:1000] if is_store(each)), None)
    names = f"stores in it, as {path.name}/*{stored.suffix}" if stored else f"files in it, as {path.name}/*.nc"
    return f"{path} is a folder but no Zarr store; name {names}"


def _is_behind(path: Path) -> bool:
    """Whether HDF5 begins behind a block of the user's own."""
    with path.open("rb") as file:
        place = BEGINNING
        while place <= USER_BLOCK:
            file.seek(place)
            if file.read(len(HDF5)) == HDF5:
                return True
            place *= 2
    return False


def _kind(path: Path, first: bytes) -> str:
    known = next((words for magic, words in KINDS.items() if first.startswith(magic)), None)
    if known is not None:
        return known
    if zipfile.is_zipfile(path):
        return _zipped(path)
    if not first.strip(b"\x00"):
        return "empty; make or copy it again" if not first else "nothing but zeros at its beginning; copy it again"
    return _text(path, first)


def _text(path: Path, first: bytes) -> str:
    if path.name in (*MARKS, ARRAY, ".zattrs"):
        return f"a part of a Zarr store; name its folder {path.parent}"
    if first.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "a web page and no data, as a download leaves where it failed; fetch it again"
    if _is_text(first):
        return "text; NetCDF files and Zarr stores are read: convert tables with pandas.read_csv and xarray"
    return "neither a NetCDF file nor a Zarr store, or its beginning is damaged; copy it again, or convert it"


def _zipped(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [Path(name).name for name in archive.namelist()[:1000]]
    # NotImplementedError is what zipfile raises where a damaged header asks for a version of zip that it does not know
    except (OSError, zipfile.BadZipFile, NotImplementedError):
        return "a damaged zip file; copy it again, and unpack it"
    if names and all(name.endswith(".npy") for name in names):
        return NUMPY.replace("an array", "arrays", 1)
    if any(name in (*MARKS, ARRAY) for name in names):
        folder = f"{path.stem.removesuffix('.zarr')}.zarr"
        return f"a zipped Zarr store; unpack it with unzip {path.name} -d {folder}, and name that folder"
    return "a zip file; unpack it first"


def _is_text(first: bytes) -> bool:
    try:
        text = first[: first.rfind(b"\n") + 1 or None].decode("utf-8")
    except UnicodeDecodeError:
        return False
    return all(sign.isprintable() or sign in "\r\n\t" for sign in text)
