"""One file of the user's, under the user's names: open it, find the variables, put their dimensions in order.

Nothing is decoded but fill values, scale and offset; whatever is read is a slice, so a file may be larger than memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from upath import UPath

from thermalize.config import ImportConfig
from thermalize.errors import UserError
from thermalize.store.place import Place
from thermalize.store.reading import for_zarr
from thermalize.store.references import refuse_references

__all__ = ["fields", "opened", "read"]

MOST_NAMES = 12


@contextmanager
def opened(path: Place) -> Iterator[xr.Dataset]:
    """A NetCDF file or Zarr store, at a URL a Zarr store, lazily; times stay the numbers that they are."""
    try:
        dataset = _open(path)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        kind = "a Zarr store" if _is_zarr(path) else "a NetCDF file"
        raise UserError(f"{path} cannot be opened as {kind} ({_first_line(error)}); check that it is whole") from None
    with dataset:
        yield dataset


def fields(dataset: xr.Dataset, config: ImportConfig, path: Place) -> list[xr.DataArray]:
    """The variables of the channels, lazily, each with those of [member, time, channel, y, x] that `dims` names.

    Raises:
        UserError: a variable or dimension is not there, is not named, or holds no numbers.
    """
    names = [config.variable] if config.channels is None else [*config.channels.values()]
    return [_field(dataset, name, config, path) for name in names]


def read(path: Place, config: ImportConfig, member: int, part: slice) -> np.ndarray:
    """Frames [frame, channel, *grid] of a member in float32.

    Raises:
        UserError: the file is damaged, or a value is not finite; names the file, the variable and the place.
    """
    with opened(path) as dataset:
        parts = [_values(field, config, member, part, path) for field in fields(dataset, config, path)]
    return np.concatenate(parts, axis=1)


def _open(path: Place) -> xr.Dataset:
    if isinstance(path, Path) and not _is_zarr(path):
        refuse_references(path)
    options: dict[str, Any] = {"engine": "zarr", "consolidated": False} if _is_zarr(path) else {"engine": "netcdf4"}
    source: Any = for_zarr(path)
    return xr.open_dataset(source, chunks=None, cache=False, decode_times=False, **options)


def _is_zarr(path: Place) -> bool:
    return isinstance(path, UPath) or path.is_dir()


def _field(dataset: xr.Dataset, name: str, config: ImportConfig, path: Place) -> xr.DataArray:
    if name not in dataset.data_vars:
        raise UserError(f"{path} has no variable {name!r}; {_known(name, [str(each) for each in dataset.data_vars])}")
    field = dataset[name]
    if field.dtype.kind not in "fiu":
        raise UserError(f"{path}: {name} holds {field.dtype} and no real numbers; choose another variable")
    order = [(role, dim) for role in ("member", "time", "channel", "y", "x") if (dim := getattr(config.dims, role))]
    for role, dim in order:
        if dim not in field.dims:
            known = _known(dim, [str(each) for each in field.dims])
            raise UserError(f"{path}: {name} has no dimension {dim!r}, which simulation.dims.{role} names; {known}")
    named = [dim for _, dim in order]
    for dim in field.dims:
        if dim not in named and field.sizes[dim] > 1:
            raise UserError(
                f"{path}: {name} has the dimension {str(dim)!r} with {field.sizes[dim]} values, which simulation.dims "
                "does not name; name it there as member or channel, or choose one value before the import"
            )
    return field.isel({dim: 0 for dim in field.dims if dim not in named}).transpose(*named)


def _values(field: xr.DataArray, config: ImportConfig, member: int, part: slice, path: Place) -> np.ndarray:
    """[frame, channel, *grid] of one variable."""
    dims = config.dims
    chosen: dict[str, Any] = {dims.member: member} if dims.member else {}
    try:
        with np.errstate(over="ignore"):
            values = field.isel({**chosen, dims.time: part}).to_numpy().astype(np.float32)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise UserError(f"{path}: {field.name} cannot be read ({_first_line(error)}); check that it is whole") from None
    bad = ~np.isfinite(values)
    if bad.any():
        first = np.unravel_index(int(bad.argmax()), bad.shape)
        place = dict(zip((str(dim) for dim in field.dims if dim not in chosen), map(int, first), strict=True))
        place[dims.time] = part.start + place[dims.time] * part.step
        words = ", ".join(f"{dim}={index}" for dim, index in {**chosen, **place}.items())
        what = "NaN or a fill value" if np.isnan(values[first]) else "infinite in single precision"
        raise UserError(
            f"{path}: {field.name} is {what} at .isel({words}); fill or cut out missing values and "
            "land before the import"
        )
    return values if dims.channel else values[:, None]


def _known(name: str, known: Collection[str]) -> str:
    close = get_close_matches(name, known, n=1)
    shown = [*known][:MOST_NAMES]
    listed = ", ".join(shown) + (", …" if len(known) > len(shown) else "")
    hint = f"did you mean {close[0]!r}? It has" if close else "it has"
    return f"{hint} {listed or 'none'}"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
