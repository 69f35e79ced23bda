"""Datasets as NetCDF files with a digest beside them.

The library parses them in memory, and so never sees bytes that were not compared. It writes them to the disk: what it
makes in memory ends in bytes that differ from run to run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import netCDF4
import xarray as xr
from xarray.backends import NetCDF4DataStore

from thermalize.errors import UserError
from thermalize.store import sealed
from thermalize.store.atomic import replacing
from thermalize.store.references import refuse_references

__all__ = ["read_dataset", "write_dataset"]

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
