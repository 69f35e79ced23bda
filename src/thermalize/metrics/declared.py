"""Variables of a file, each declared once: dimensions, name in words, unit, meanings of flags.

CF attributes, the check of a file that is read, and documentation follow from the declarations. Times count emulator
steps, whose CF unit is 1; units in braces depend on the data and are spelled as UDUNITS does, m s-1, m2 s-2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from thermalize.metrics.invariants import Invariants

__all__ = [
    "CHANNEL",
    "NON_DIMENSIONAL",
    "Variable",
    "dataset_of",
    "definitions",
    "product",
    "units_of",
    "with_floor",
    "with_interval",
]

NON_DIMENSIONAL = ("1", "length units", "time units")
FACTOR = re.compile(r"([A-Za-z]+)(-?[0-9]+)?")
ENDS = {"_low": ": lower end of the interval", "_high": ": upper end of the interval"}
FLOORS = {
    "_floor": ": noise floor, median between random halves of the truth",
    "_floor_low": ": lower end of the noise floor's interval",
    "_floor_high": ": upper end of the noise floor's interval",
}


@dataclass(frozen=True)
class Variable:
    """One variable of a file.

    Attributes:
        dims: dimensions.
        long_name: what it is, in words.
        units: of its numbers, in braces where they depend on the data; none for names.
        flags: meanings of the numbers 0, 1, … where they are flags.
        known: whether every value is a number, whatever was lost.
        optional: whether a file may be without it.
        ends: names of its interval's ends; `_low` and `_high` after its own name unless said otherwise.
    """

    dims: tuple[str, ...]
    long_name: str
    units: str = "1"
    flags: tuple[str, ...] = ()
    known: bool = False
    optional: bool = False
    ends: tuple[str, ...] | None = None


CHANNEL = Variable(("channel",), "channel of the field", "")
Variables = Mapping[str, Variable]


def with_interval(name: str, variable: Variable) -> dict[str, Variable]:
    """A variable and the ends of its interval, `…_low` and `…_high`."""
    return {name: variable} | {
        name + end: replace(variable, long_name=variable.long_name + text) for end, text in ENDS.items()
    }


def with_floor(name: str, variable: Variable) -> dict[str, Variable]:
    """A distance with its interval, and its noise floor with the interval of that."""
    floors = {name + end: replace(variable, long_name=variable.long_name + text) for end, text in FLOORS.items()}
    return with_interval(name, variable) | floors


def dataset_of(
    variables: Variables,
    coordinates: Variables,
    numbers: Mapping[str, Any],
    units: Mapping[str, str],
    attributes: Mapping[str, Any],
    words: Mapping[str, str] | None = None,
) -> xr.Dataset:
    """The numbers of declared variables as a CF dataset.

    Args:
        variables: by name; optional ones may have no numbers.
        coordinates: likewise.
        numbers: by the names of both.
        units: what stands for the units in braces.
        attributes: of the dataset, beside its Conventions.
        words: what some meanings of flags are called in this data.
    """
    known = {**variables, **coordinates}

    def entry(name: str) -> tuple[tuple[str, ...], Any, dict[str, Any]]:
        return known[name].dims, numbers[name], _described(name, known, units, words or {})

    return xr.Dataset(
        {name: entry(name) for name, each in variables.items() if name in numbers or not each.optional},
        {name: entry(name) for name in coordinates},
        {"Conventions": "CF-1.11", **attributes},
    )


def _described(name: str, known: Variables, units: Mapping[str, str], words: Mapping[str, str]) -> dict[str, Any]:
    """Name, units, flags and interval of a variable."""
    own = known[name]
    result: dict[str, Any] = {"long_name": own.long_name}
    if own.units:  # names have none
        result["units"] = units[own.units[1:-1]] if own.units.startswith("{") else own.units
    ends = [f"{name}{end}" for end in ENDS] if own.ends is None else own.ends
    if found := [end for end in ends if end in known]:
        result["ancillary_variables"] = " ".join(found)
    if own.flags:
        result["standard_name"] = "status_flag"
        result["flag_values"] = np.arange(len(own.flags), dtype=np.int8)
        result["flag_meanings"] = " ".join(words.get(flag, flag) for flag in own.flags)
    return result


def units_of(field: xr.DataArray, invariants: Invariants) -> dict[str, str]:
    """Units of the field, its variance, energy and enstrophy, and of wavenumbers."""
    unit, length = (str(array.attrs.get("units", "1")) for array in (field, field[field.dims[-1]]))
    energy, enstrophy = (
        product((length, quantity.length), (unit, quantity.field))
        for quantity in (invariants.energy, invariants.enstrophy)
    )
    wavenumber = "1" if length in NON_DIMENSIONAL else f"rad ({length})-1"
    variance = product((unit, 2))
    return {"field": unit, "variance": variance, "energy": energy, "enstrophy": enstrophy, "wavenumber": wavenumber}


def definitions(invariants: Invariants, units: Mapping[str, str]) -> dict[str, str]:
    """What energy and enstrophy are, and their units, as attributes of a file."""
    return {
        "energy": invariants.energy.definition,
        "energy_units": units["energy"],
        "enstrophy": invariants.enstrophy.definition,
        "enstrophy_units": units["enstrophy"],
    }


def product(*terms: tuple[str, int]) -> str:
    """Product of powers of units: ("m", 2), ("s-1", 2) gives m2 s-2; 1 where nothing is left."""
    powers: dict[str, int] = {}
    for units, power in terms:
        for name, exponent in _factors(units):
            powers[name] = powers.get(name, 0) + exponent * power
    words = (name if power == 1 else f"{name}{power}" for name, power in powers.items() if power)
    return " ".join(words) or "1"


def _factors(units: str) -> list[tuple[str, int]]:
    """Names with their exponents; what is spelled in another way stays together in brackets."""
    if units in NON_DIMENSIONAL:
        return []
    found = [FACTOR.fullmatch(word) for word in units.split()]
    factors = [(match[1], int(match[2] or 1)) for match in found if match]
    return factors if len(factors) == len(found) else [(f"({units})", 1)]
