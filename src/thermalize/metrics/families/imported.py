"""Metrics of the user's own: `diagnostics.metrics: {name: {kind: import, target: "package.module:function"}}`.

    function(truth, rollout, **options) → xarray.Dataset, xarray.DataArray, a number, or numbers by name

`truth` and `rollout` are arrays (member, time, channel, *grid) in physical units, read lazily. Frame 0 of the rollout
is its initial condition, and states are NaN once a member is lost. `truth` has the attribute `reference_half`, the
positions of the members that all other distances are measured from. Arrays that are returned name themselves with the
attributes `long_name` and `units`.

What is returned begins with the name of the metric in the diagnostics file: a number or DataArray *is* called so,
others are `{name}_{own name}`, as are dimensions other than member and channel. Scalars are columns of the tables, with
the mean over seeds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
import xarray as xr

from thermalize.config import ImportedMetricConfig
from thermalize.metrics.pooling import mean
from thermalize.metrics.registry import Case, Numbers, Seeds, coordinates, family, variables
from thermalize.runtime.errors import UserError
from thermalize.runtime.targets import RAISED, factory, said

__all__ = ["imported", "imported_metric"]

METRIC = "metric"
"""Attribute of every variable of an imported metric, its name."""
SHARED = ("member", "channel")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
"""Of a variable, dimension or attribute, as CF has it."""
NOT_THEIRS = {
    *("add_offset", "coordinates", "dtype", "missing_value", "scale_factor"),
    *("CLASS", "DIMENSION_LABELS", "DIMENSION_LIST", "NAME", "REFERENCE_LIST"),
}
"""Attributes that make other numbers of what is read, or that the library keeps for itself."""


def columns(seeds: Seeds) -> Numbers:
    """The mean over seeds of every scalar that an imported metric returned."""
    first = seeds.datasets[0]
    names = [str(name) for name in first.data_vars if METRIC in first[name].attrs and not first[name].dims]
    return {name: mean(seeds.datasets, name) for name in names}


@family({}, columns=columns, place=1000)
def imported(case: Case) -> Numbers:
    """The variables of all imported metrics, as arrays that describe themselves."""
    truth = case.truth.assign_attrs(reference_half=case.reference.reference_half)
    found: Numbers = {}
    for name, config in case.config.metrics.items():
        made = imported_metric(name, config, truth, case.states)
        if twice := sorted({*map(str, made.variables)} & {*variables(), *coordinates(), *found}):
            raise UserError(f"diagnostics.metrics.{name} returns {twice[0]!r}, as another metric is called; rename one")
        found |= {str(each): made[each].variable for each in made.variables}
    return found


def imported_metric(name: str, config: ImportedMetricConfig, truth: xr.DataArray, rollout: xr.DataArray) -> xr.Dataset:
    """What the function of a metric returns, with the names that it has in the file.

    Raises:
        UserError: the function fails, or returns something else.
    """
    where, function = f"diagnostics.metrics.{name}: {config.target}", factory(config.target)
    try:
        returned = function(truth, rollout, **config.options)
        if isinstance(returned, xr.Dataset | xr.DataArray):
            returned = returned.load()
    except UserError:
        raise
    except RAISED as error:
        raise UserError(f"{where} raises {said(error)}") from error
    made = _renamed(name, _dataset(where, name, returned), dict(rollout.sizes)).drop_encoding()
    if fault := _fault(made):
        raise UserError(f"{where} returns {fault}")
    for each in made.data_vars.values():
        for attribute in ("long_name", "units"):
            if not isinstance(each.attrs.get(attribute), str):
                raise UserError(f"{where} returns {each.name!r} without the attribute {attribute!r}; set it to a text")
        each.attrs[METRIC] = name
    return made


def _dataset(where: str, name: str, returned: Any) -> xr.Dataset:
    if isinstance(returned, xr.Dataset):
        return returned
    if isinstance(returned, xr.DataArray):
        return returned.to_dataset(name="")
    numbers = returned if isinstance(returned, Mapping) else {"": returned}
    if not numbers or not all(isinstance(each, Real | np.number) for each in numbers.values()):
        found = type(returned).__name__
        raise UserError(f"{where} returns {found}; return a Dataset or DataArray, a number, or numbers by name")
    told = {key: {"long_name": f"{name} {key}".strip(), "units": "1"} for key in numbers}
    return xr.Dataset({str(key): ((), float(value), told[key]) for key, value in numbers.items()})


def _renamed(name: str, made: xr.Dataset, sizes: Mapping[Any, int]) -> xr.Dataset:
    """Everything begins with the name of the metric, but for members and channels of the rollout itself."""
    shared = [dim for dim in SHARED if made.sizes.get(dim) == sizes[dim]]
    kept = made.drop_vars([dim for dim in shared if dim in made.coords])
    own = {*kept.variables, *kept.dims} - {*shared}
    return kept.rename({each: f"{name}_{each}" if each else name for each in own})


def _fault(made: xr.Dataset) -> str | None:
    """What NetCDF would not keep as it is, in words."""
    if wrong := sorted(name for name in {*map(str, made.variables), *map(str, made.dims)} if not NAME.fullmatch(name)):
        return f"{wrong[0]!r}; names are made of letters of the alphabet, digits and _"
    for name, each in made.variables.items():
        if not (_is_kept(each.dtype) or (name in made.coords and _is_text(each))):
            kind = "float32 or float64 are" if each.dtype.kind == "f" else "only numbers are"
            return f"{name!r} of type {each.dtype}; {kind} kept"
        for key, value in each.attrs.items():
            if not NAME.fullmatch(str(key)) or key in NOT_THEIRS:
                return f"{name!r} with the attribute {key!r}, which a file cannot keep or reads otherwise; leave it out"
            if fault := _attribute_fault(value):
                return (
                    f"{name!r} with the attribute {key!r}, which {fault}; make it a text, a number or a list of these"
                )
        if " since " in str(each.attrs.get("units", "")):
            return (
                f"{name!r} in {each.attrs['units']!r}, which is read as a date; count from the beginning of the rollout"
            )
    return None


def _is_kept(kind: np.dtype[Any]) -> bool:
    return kind.kind in "iub" or (kind.kind == "f" and kind.itemsize in (4, 8))


def _is_text(variable: xr.Variable) -> bool:
    return variable.dtype.kind in "US" or all(isinstance(each, str) for each in variable.values.flat)


def _attribute_fault(value: Any) -> str | None:
    try:
        values = np.asarray(value)
        str(value).encode()
    except ValueError as error:  # ragged lists, half characters
        return str(error)
    if values.ndim > 1:
        return f"has {values.ndim} dimensions"
    return (
        None
        if values.dtype.kind in "US" or (values.dtype != bool and _is_kept(values.dtype))
        else (f"is of type {type(value).__name__}")
    )
