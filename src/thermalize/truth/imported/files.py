"""One file of the user's, under the user's names: open it, find the variables, put their dimensions in order.

Numbers are read as they are stored, and decoded here: what is missing, or was never written, must be told apart from
what is zero. Whatever is read is a slice, so a file may be larger than memory.

Libraries raise errors of any class on a damaged file. All of them are its fault, and said in one sentence.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from upath import UPath

from thermalize.config import ImportConfig
from thermalize.config.imported import MOST_CHANNELS
from thermalize.config.simulation import MOST_FRAMES, MOST_MEMBERS
from thermalize.config.systems import MOST_POINTS
from thermalize.runtime.errors import UserError
from thermalize.store.location import Place
from thermalize.store.netcdf import refuse_references
from thermalize.truth.imported.finding import field_of, first_line, repeating
from thermalize.truth.imported.missing import coordinate, fault, marks, of_netcdf, of_zarr, unpacked
from thermalize.truth.imported.plausible import first_strange
from thermalize.truth.imported.written import FILL, Stated, lowest_and_highest, substituting

__all__ = ["fields", "opened", "read"]

MOST = {"time": MOST_FRAMES, "member": 3 * MOST_MEMBERS, "channel": MOST_CHANNELS, "y": MOST_POINTS, "x": MOST_POINTS}
"""Values along the dimensions, in as many splits as there are; a header of a few bytes may speak of any number."""
MOST_VALUES = 1_000_000_000
"""Of a frame, which is held in memory."""
MOST_LETTERS = 100_000
"""Bytes of a text in a coordinate."""
ADVICE = "fill or cut out missing values and land before the import"


@contextmanager
def opened(path: Place, config: ImportConfig, highest: bool = False) -> Iterator[xr.Dataset]:
    """A NetCDF file or Zarr store, at a URL a Zarr store, lazily.

    Times stay the numbers that they are, and variables those that are stored; coordinates along dimensions are decoded.
    Of the variables, what was never written to a Zarr store is the lowest number of its type, or the highest.
    """
    names = [config.variable] if config.channels is None else [*config.channels.values()]
    kind = "a Zarr store" if _is_zarr(path) else "a NetCDF file"
    try:
        # said of a variable that may not be asked for, or that is refused
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset, stated = _open(path, names, highest)
            usable = dataset.drop_vars({*repeating(dataset, names, path), *_foreign(dataset, config)})
            _state(usable, stated, path)
    except UserError:
        raise
    except Exception as error:
        words = f"{path} cannot be opened as {kind} ({first_line(error)}); make or copy it again"
        raise UserError(words) from None
    with dataset:
        _refuse_huge(usable, config, path)
        yield _with_coordinates(usable, config, path)


def fields(dataset: xr.Dataset, config: ImportConfig, path: Place) -> list[xr.DataArray]:
    """The variables of the channels, lazily, each with those of [member, time, channel, y, x] that `dims` names.

    Raises:
        UserError: a variable or dimension is not there, is not named, or holds no numbers; or it is not clear which.
    """
    names = [config.variable] if config.channels is None else [*config.channels.values()]
    found = [field_of(dataset, name, config, path) for name in names]
    for field in found:
        if words := fault(field.attrs):
            raise UserError(f"{path}: {field.name}: {words}")
    return found


def read(path: Place, config: ImportConfig, member: int, part: slice) -> np.ndarray:
    """Frames [frame, channel, *grid] of a member in float32.

    Raises:
        UserError: the file is damaged, or a value is missing, not finite, or like no field; names the file, the
            variable and the place.
    """
    with opened(path, config) as dataset:
        parts = [_values(field, config, member, part, path) for field in fields(dataset, config, path)]
    return np.concatenate(parts, axis=1)


def _open(path: Place, names: list[str], highest: bool) -> tuple[xr.Dataset, dict[str, Stated] | None]:
    """The dataset as it is stored, and what a Zarr store states of its arrays."""
    plain: dict[str, Any] = {"chunks": None, "cache": False, "decode_times": False, "mask_and_scale": False}
    plain["create_default_indexes"] = False  # they would be read here, however long
    if not _is_zarr(path):
        assert isinstance(path, Path)
        refuse_references(path)
        return xr.open_dataset(str(path), engine="netcdf4", **plain), None
    store = substituting(path, names, highest)
    source: Any = store
    return xr.open_dataset(source, engine="zarr", consolidated=False, **plain), store.stated


def _state(dataset: xr.Dataset, stated: dict[str, Stated] | None, path: Place) -> None:
    """What its file says of missing numbers, among the attributes of each variable: nothing is read for it."""
    variables = {str(name): each for name, each in dataset.variables.items() if each.dtype.kind in "fiu"}
    if stated is None:
        said = of_netcdf(str(path), variables)
    else:
        said = {name: of_zarr(stated.get(name, Stated()), each) for name, each in variables.items()}
    for name, variable in variables.items():
        kept = {key: each for key, each in variable.attrs.items() if stated is None or key != FILL}
        dataset[name].attrs = {**kept, **said.get(name, {})}


def _is_zarr(path: Place) -> bool:
    return isinstance(path, UPath) or path.is_dir()


def _foreign(dataset: xr.Dataset, config: ImportConfig) -> set[str]:
    """Coordinates along dimensions that are none of ours, which would be read as a whole."""
    ours = {*config.dims.model_dump(exclude_none=True).values()}
    return {str(dim) for dim in dataset.sizes if dim in dataset.variables} - ours


def _refuse_huge(dataset: xr.Dataset, config: ImportConfig, path: Place) -> None:
    """Raise a `UserError` where more is spoken of than an import takes, before anything is built from it."""
    dims = config.dims.model_dump(exclude_none=True)
    sizes = {role: dataset.sizes.get(dim, 1) for role, dim in dims.items()}
    for role, size in sizes.items():
        if size > MOST[role]:
            raise UserError(
                f"{path}: {dims[role]} has {size} values, more than an import takes ({MOST[role]} along {role}); cut "
                "out a part, or, where there are not so many, make or copy it again"
            )
    frame = prod(sizes.get(role, 1) for role in ("channel", "y", "x")) * len(config.channels or "1")
    if frame > MOST_VALUES:
        raise UserError(
            f"{path}: a frame has {frame} values, more than an import takes ({MOST_VALUES}); import fewer channels, or "
            "a coarser grid"
        )


def _with_coordinates(dataset: xr.Dataset, config: ImportConfig, path: Place) -> xr.Dataset:
    """The dataset with its coordinates along named dimensions in memory and decoded."""
    decoded = {}
    for dim in config.dims.model_dump(exclude_none=True).values():
        if dim not in dataset.coords or dataset[dim].dims != (dim,):
            continue
        if dataset[dim].dtype.kind in "SUV" and dataset[dim].dtype.itemsize > MOST_LETTERS:
            raise UserError(f"{path}: {dim} holds texts of {dataset[dim].dtype.itemsize} bytes; write shorter ones")
        if words := fault(dataset[dim].attrs):
            raise UserError(f"{path}: {dim}: {words}")
        try:
            decoded[dim] = coordinate(dataset[dim])
        except Exception as error:
            words = f"{path}: {dim} cannot be read ({first_line(error)}); make or copy the file again"
            raise UserError(words) from None
    return dataset.assign_coords(decoded)


def _values(field: xr.DataArray, config: ImportConfig, member: int, part: slice, path: Place) -> np.ndarray:
    """[frame, channel, *grid] of one variable."""
    dims = config.dims
    chosen: dict[str, Any] = {dims.member: member} if dims.member else {}
    found = field.isel({**chosen, dims.time: part})

    def place(index: tuple[int, ...]) -> str:
        indices = dict(zip(map(str, found.dims), index, strict=False))
        indices[dims.time] = part.start + indices[dims.time] * part.step
        return f".isel({', '.join(f'{dim}={number}' for dim, number in {**chosen, **indices}.items())})"

    stored = _stored(found, path)
    if stored.dtype.kind not in "fiu":
        raise UserError(f"{path}: {field.name} holds {stored.dtype} and no real numbers; choose another variable")
    never = _never_written(stored, field, chosen, config, part, path)
    if never is not None:
        raise UserError(
            f"{path}: {field.name} was never written at {place(never)}, where its chunk is missing; make or copy it "
            "again, "
            "or, where zeros were left out, write the store with write_empty_chunks=True"
        )
    meant = unpacked(stored, field.attrs)
    for words, there in marks(stored, meant, field.attrs):
        if there.any():
            raise UserError(f"{path}: {field.name} is {words} at {place(_first(there))}; {ADVICE}")
    with np.errstate(over="ignore"):
        values = meant.astype(np.float32)
    if not np.isfinite(values).all():
        where = _first(~np.isfinite(values))
        words = f"is infinite in single precision ({meant[where]:.6g}) at {place(where)}"
        scale = ", or divide the field by a scale" if np.isfinite(meant[where]) else ""
        raise UserError(f"{path}: {field.name} {words}; {ADVICE}{scale}")
    whole = values if dims.channel else values[:, None]
    if config.unusual == "refuse" and (strange := first_strange(whole)):
        words, index = strange
        point = place(index if dims.channel else (index[0], *index[2:]))
        raise UserError(f"{path}: {field.name} {words.format(place=point)}")
    return whole


def _stored(found: xr.DataArray, path: Place) -> np.ndarray:
    try:
        return found.to_numpy()
    except UserError:
        raise
    except Exception as error:
        words = f"{path}: {found.name} cannot be read ({first_line(error)}); make or copy the file again"
        raise UserError(words) from None


def _never_written(
    stored: np.ndarray, field: xr.DataArray, chosen: dict[str, Any], config: ImportConfig, part: slice, path: Place
) -> tuple[int, ...] | None:
    """The first number that was never written to a Zarr store, if any."""
    lowest, highest = lowest_and_highest(stored.dtype)
    there = stored == lowest
    if not (_is_zarr(path) and there.any()):
        return None
    with opened(path, config, highest=True) as dataset:
        again = field_of(dataset, str(field.name), config, path).isel({**chosen, config.dims.time: part})
        there &= _stored(again, path) == highest
    return _first(there) if there.any() else None


def _first(there: np.ndarray) -> tuple[int, ...]:
    return tuple(int(index) for index in np.unravel_index(int(there.argmax()), there.shape))
