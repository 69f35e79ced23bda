"""Datasets as NetCDF files with digests, and files of others that would read more than themselves.

The library parses our files in memory, and so never sees bytes that were not compared. It writes them to the disk: what
it makes in memory ends in bytes that differ from run to run.

NetCDF 4 is HDF5, in which a file may say that a variable, or its numbers, lie in another file of any path: external
links, external storage, virtual datasets. The library opens what they name without a word, so that a file from somebody
else could bring private files among the results. NetCDF itself writes none of them, so that they are refused. HDF5 is
asked itself, through the library that netCDF4 has loaded.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import netCDF4
import xarray as xr
from xarray.backends import NetCDF4DataStore
from xarray.backends.netCDF4_ import NETCDF4_PYTHON_LOCK

from thermalize.runtime.errors import UserError
from thermalize.runtime.files import replacing
from thermalize.store import sealed

__all__ = ["read_dataset", "refuse_references", "write_dataset"]

NETCDF4 = "netCDF4._netCDF4"
ID, STATUS = ctypes.c_int64, ctypes.c_int
HARD_LINK, SOFT_LINK = 0, 1
DATASET = 5
"""Of H5I_type_t."""
VIRTUAL = 3
"""Of H5D_layout_t."""
BY_NAME, ANY_ORDER, STOP = 0, 0, 1
FUNCTIONS: dict[str, tuple[type[ctypes._SimpleCData[int]], list[type]]] = {
    "H5Fopen": (ID, [ctypes.c_char_p, ctypes.c_uint, ID]),
    "H5Fclose": (STATUS, [ID]),
    "H5Oopen": (ID, [ID, ctypes.c_char_p, ID]),
    "H5Oclose": (STATUS, [ID]),
    "H5Iget_type": (STATUS, [ID]),
    "H5Dget_create_plist": (ID, [ID]),
    "H5Pget_layout": (STATUS, [ID]),
    "H5Pget_external_count": (STATUS, [ID]),
    "H5Pclose": (STATUS, [ID]),
    "H5Eset_auto2": (STATUS, [ID, ctypes.c_void_p, ctypes.c_void_p]),
    "H5Lvisit2": (STATUS, [ID, ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]),
}
# herr_t (*)(hid_t group, const char *name, const H5L_info2_t *info, void *data); info begins with the type of the link.
Visitor = ctypes.CFUNCTYPE(STATUS, ID, ctypes.c_char_p, ctypes.POINTER(ctypes.c_int), ctypes.c_void_p)


def refuse_references(path: Path) -> None:
    """Raises UserError where the NetCDF file names another file; files of other kinds are left to their readers."""
    with NETCDF4_PYTHON_LOCK:
        found = _reference(path)
    if found:
        name, what = found
        raise UserError(f"{path}: {name} is {what}, which would read another file of this machine; copy its numbers in")


def _reference(path: Path) -> tuple[str, str] | None:
    """Name and kind of the first reference to another file."""
    found: list[tuple[str, str]] = []
    hdf5 = _library()

    def look(group: int, name: bytes, info: ctypes._Pointer[ctypes.c_int], _: object) -> int:
        what = _kind(hdf5, group, name, info[0])
        if what:
            found.append((name.decode(errors="replace"), what))
        return STOP if what else 0

    file = hdf5.H5Fopen(bytes(path), 0, 0)
    if file < 0:
        return None
    try:
        hdf5.H5Lvisit2(file, BY_NAME, ANY_ORDER, Visitor(look), None)
    finally:
        hdf5.H5Fclose(file)
    return found[0] if found else None


def _kind(hdf5: ctypes.CDLL, group: int, name: bytes, link: int) -> str:
    """What names another file; empty where nothing does."""
    if link not in (HARD_LINK, SOFT_LINK):
        return "an external link"
    if link == SOFT_LINK:
        return ""  # leads to something in this file, which is visited by its own name
    with _opened(hdf5.H5Oopen(group, name, 0), hdf5.H5Oclose) as thing:
        if hdf5.H5Iget_type(thing) != DATASET:
            return ""
        with _opened(hdf5.H5Dget_create_plist(thing), hdf5.H5Pclose) as how:
            if hdf5.H5Pget_layout(how) == VIRTUAL:
                return "a virtual dataset"
            return "stored externally" if hdf5.H5Pget_external_count(how) else ""


@contextmanager
def _opened(thing: int, close: ctypes._NamedFuncPointer) -> Iterator[int]:
    try:
        yield thing
    finally:
        if thing >= 0:
            close(thing)


@cache
def _library() -> ctypes.CDLL:
    hdf5 = ctypes.CDLL(sys.modules[NETCDF4].__file__)
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(hdf5, name)
        function.restype, function.argtypes = result, arguments
    hdf5.H5Eset_auto2(0, None, None)  # says what it thinks of other files to nobody
    return hdf5


_store: Any = NetCDF4DataStore


def write_dataset(path: Path, dataset: xr.Dataset) -> None:
    """Replace the file `path` by the dataset."""
    with replacing(path) as temporary:
        try:
            dataset.to_netcdf(temporary, engine="netcdf4")
        except (OSError, RuntimeError) as error:
            # the library does not repeat what the disk says, which says it once more
            temporary.write_bytes(bytes(dataset.nbytes + 1))
            raise UserError(f"Cannot write {path}: {error}") from error
        data = temporary.read_bytes()
    sealed.write_digest(path, data)


def read_dataset(path: Path) -> xr.Dataset:
    """The dataset of a file, in memory.

    Raises:
        UserError: it is missing, not as it was written, or names other files of this machine.
    """
    data = sealed.read(path)
    refuse_references(path)
    return xr.load_dataset(_store(netCDF4.Dataset(path.name, memory=data)))
