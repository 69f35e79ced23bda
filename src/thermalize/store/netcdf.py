"""Datasets as NetCDF files with a digest beside them.

The library makes and parses them in memory: so the disk meets whole files alone, with its own words where it refuses
one, and the library never sees bytes that were not compared.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import netCDF4
import xarray as xr
from xarray.backends import NetCDF4DataStore

from thermalize.store import sealed
from thermalize.store.references import refuse_references

__all__ = ["read_dataset", "write_dataset"]

GROWING = 1
"""First size in bytes of a file in memory; anything does."""

_store: Any = NetCDF4DataStore


def write_dataset(path: Path, dataset: xr.Dataset) -> None:
    """Replace the file `path` by the dataset."""
    file = netCDF4.Dataset(path.name, "w", memory=GROWING)
    dataset.dump_to_store(_store(file))
    sealed.write(path, bytes(file.close()))


def read_dataset(path: Path) -> xr.Dataset:
    """The dataset of a file, in memory.

    Raises:
        UserError: it is missing, not as it was written, or names other files of this machine.
    """
    data = sealed.read(path)
    refuse_references(path)
    return xr.load_dataset(_store(netCDF4.Dataset(path.name, memory=data)))
