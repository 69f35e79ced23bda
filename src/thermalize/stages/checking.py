"""NetCDF files of results that are held against their declarations when they are read.

A digest says that a file is as it was written, not who wrote it or which version: a variable that is missing, or lies
along other dimensions, is named here and not wherever it is first used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path

import numpy as np
import xarray as xr

from thermalize.metrics.declared import Variable
from thermalize.metrics.stability import Envelope
from thermalize.runtime.errors import UserError
from thermalize.store.netcdf import read_dataset

__all__ = ["LARGEST", "attribute_faults", "entry_faults", "is_envelope", "read_checked", "refused", "size_faults"]

NUMBERS, TEXT = "iuf", "UO"
LARGEST = 1e30


def read_checked(
    path: Path,
    entries: Mapping[str, Variable],
    faults: Callable[[xr.Dataset], Iterator[str]],
) -> xr.Dataset:
    dataset = read_dataset(path)
    # one after the other: what looks into the variables counts on them
    for fault in chain(entry_faults(dataset, entries), faults(dataset)):
        raise refused(path, fault)
    return dataset


def refused(path: Path, fault: str) -> UserError:
    return UserError(f"{path} is not what this version writes for this configuration: {fault}; run its stage again")


def entry_faults(dataset: xr.Dataset, entries: Mapping[str, Variable]) -> Iterator[str]:
    for name, declared in entries.items():
        if name in dataset.variables:
            found = dataset[name]
            if found.dims != declared.dims:
                yield f"its variable {name!r} lies along ({', '.join(map(str, found.dims))})"
            if found.dtype.kind not in (NUMBERS if declared.units else TEXT):
                yield f"its variable {name!r} holds {found.dtype}"
            elif declared.units and (declared.known or name in dataset.coords) and not usable(found.to_numpy()):
                yield f"its variable {name!r} holds values that are no numbers of any use"
            if not found.size:
                yield f"its variable {name!r} is empty"
            if declared.flags and not flags_have_meanings(found):
                yield f"its variable {name!r} has values without a meaning"
        elif not declared.optional:
            yield f"it lacks the variable {name!r}"


def usable(values: np.ndarray) -> bool:
    return bool((np.abs(values.astype(np.float64)) <= LARGEST).all())


def size_faults(dataset: xr.Dataset, sizes: Mapping[str, int]) -> Iterator[str]:
    for name, size in sizes.items():
        if dataset.sizes[name] != size:
            yield f"{dataset.sizes[name]} along {name!r} in place of {size}"


def attribute_faults(dataset: xr.Dataset, names: tuple[str, ...], kind: type) -> Iterator[str]:
    for name in names:
        if not isinstance(dataset.attrs.get(name), kind):
            yield f"its attribute {name!r} is missing or no {'text' if kind is str else 'number'}"


def is_envelope(text: str) -> bool:
    try:
        low, high = Envelope.from_json(text).energy
    except (KeyError, TypeError, ValueError, RecursionError):
        return False
    return -LARGEST < low < high < LARGEST


def flags_have_meanings(variable: xr.DataArray) -> bool:
    """Whether every value of a variable of flags has a meaning."""
    values, meanings = np.atleast_1d(variable.attrs.get("flag_values", ())), variable.attrs.get("flag_meanings")
    if not isinstance(meanings, str) or len(values) != len(meanings.split()):
        return False
    return bool(np.isin(variable.to_numpy(), values).all())
