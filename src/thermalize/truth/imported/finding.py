"""The variables that a configuration names, in a file: found, or refused with the names that are there."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path

import netCDF4
import xarray as xr

from thermalize.config import ImportConfig
from thermalize.runtime.errors import UserError
from thermalize.store.location import Place

__all__ = ["field_of", "first_line", "repeating"]

MOST_NAMES = 12


def field_of(dataset: xr.Dataset, name: str, config: ImportConfig, path: Place) -> xr.DataArray:
    """A variable with those of [member, time, channel, y, x] that `dims` names, in this order.

    Raises:
        UserError: it is not there, or holds no real numbers, or has other dimensions.
    """
    if name not in dataset.data_vars:
        known = _known(name, [str(each) for each in dataset.data_vars])
        raise UserError(f"{path} has no variable {name!r}; {_groups(path, name) or known}")
    variable = dataset.variables[name]
    if variable.dtype.kind not in "fiu":
        raise UserError(f"{path}: {name} holds {variable.dtype} and no real numbers; choose another variable")
    field = dataset[name]
    order = [dim for role in ("member", "time", "channel", "y", "x") if (dim := getattr(config.dims, role))]
    for role, dim in config.dims.model_dump(exclude_none=True).items():
        if dim not in field.dims:
            raise UserError(_other_dims(dataset, field, role, dim, path))
    for dim in field.dims:
        if dim not in order and field.sizes[dim] > 1:
            raise UserError(
                f"{path}: {name} has the dimension {str(dim)!r} with {field.sizes[dim]} values, which simulation.dims "
                "does not name; name it there as member or channel, or choose one value before the import"
            )
    for dim in field.dims:
        if not field.sizes[dim] and dim != config.dims.time:
            raise UserError(f"{path}: {name} has no values along {dim}; make or copy the file again")
    return field.isel({dim: 0 for dim in field.dims if dim not in order}).transpose(*order)


def repeating(dataset: xr.Dataset, names: Collection[str], path: Place) -> list[str]:
    """Variables that have a dimension twice, such as a covariance, with which xarray cannot go on.

    Raises:
        UserError: one of those in `names` does.
    """
    twice = {
        str(name): [str(dim) for dim in variable.dims if variable.dims.count(dim) > 1]
        for name, variable in dataset.variables.items()
        if len({*variable.dims}) < len(variable.dims)
    }
    for name in names:
        if name in twice:
            raise UserError(
                f"{path}: {name} has the dimension {twice[name][0]!r} twice, along which no field varies; choose "
                "another "
                "variable, or write it with dimensions of different names"
            )
    return [*twice]


def _other_dims(dataset: xr.Dataset, field: xr.DataArray, role: str, dim: str, path: Place) -> str:
    names = [str(each) for each in field.dims]
    if role in ("x", "y") and dim in dataset.sizes:
        return (
            f"{path}: {field.name} lies on {', '.join(names)} and not along {dim}, which simulation.dims.{role} "
            "names; a field "
            "on the edges of cells is interpolated to their centres first (as xgcm does), one of a grid of its own "
            "has its "
            "own names in dims"
        )
    return f"{path}: {field.name} has no dimension {dim!r}, which simulation.dims.{role} names; {_known(dim, names)}"


def _groups(path: Place, name: str) -> str | None:
    """Which groups of a NetCDF file hold a variable, or any, with the way to get at them."""
    if not isinstance(path, Path) or path.is_dir():
        return None
    with netCDF4.Dataset(path) as file:
        groups = list(_below(file))
        holding = [group.path for group in groups if name in group.variables]
        others = [group.path for group in groups if group.variables]
    chosen = holding or others
    if not chosen:
        return None
    listed = ", ".join(chosen[:MOST_NAMES]) + (", …" if len(chosen) > MOST_NAMES else "")
    return (
        f"{'it lies' if holding else 'others lie'} in the groups {listed}, from which nothing is imported; write one "
        "of them "
        f"to a file with xarray.open_dataset({path.name!r}, group={chosen[0]!r}).to_netcdf(…)"
    )


def _below(group: netCDF4.Dataset) -> list[netCDF4.Group]:
    return [each for child in group.groups.values() for each in (child, *_below(child))]


def _known(name: str, known: Collection[str]) -> str:
    close = get_close_matches(name, known, n=1)
    shown = [*known][:MOST_NAMES]
    listed = ", ".join(shown) + (", …" if len(known) > len(shown) else "")
    hint = f"did you mean {close[0]!r}? It has" if close else "it has"
    return f"{hint} {listed or 'none'}"


def first_line(error: Exception) -> str:
    """What a library says of an error, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
