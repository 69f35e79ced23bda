"""Units as a reader wants them: seconds as days, metres as kilometres, small numbers with their power of ten.

What is stored keeps its units; a scale says by what it is multiplied where it is shown, and what the result is called.
"""

from __future__ import annotations

import re
from math import floor, isfinite, log10
from typing import NamedTuple

__all__ = ["SUPERSCRIPTS", "Scale", "length_scale", "number_scale", "time_scale", "typeset", "wavenumber_scale"]

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
GROUP = re.compile(r"\(([^()]+)\)(-?\d+)")
POWER = re.compile(r"([A-Za-z]+)(-?\d+)")
FACTOR = re.compile(r"([A-Za-z]+)(-?\d+)?")
SPANS_OF_TIME = (("days", 86400.0), ("hours", 3600.0), ("min", 60.0))
ENOUGH = 2.0
"""A larger unit is taken where what is shown is at least so many of it."""


class Scale(NamedTuple):
    """What stored numbers are multiplied by where they are shown, and the units of the product."""

    factor: float
    units: str


def typeset(units: str) -> str:
    """Units in UDUNITS' spelling with superscripts: ``(m s-1)2`` becomes m² s⁻²; words stay as they are."""

    def distributed(match: re.Match[str]) -> str:
        outer = int(match[2])
        return FACTOR.sub(lambda part: f"{part[1]}{int(part[2] or 1) * outer}", match[1])

    return POWER.sub(lambda part: part[1] + _superscript(int(part[2])), GROUP.sub(distributed, units))


def _superscript(power: int) -> str:
    return "" if power == 1 else str(power).translate(SUPERSCRIPTS)


def time_scale(units: str, span: float) -> Scale:
    """Seconds as minutes, hours or days where a `span` in `units` has two of them."""
    if units in {"s", "second", "seconds"}:
        for name, length in SPANS_OF_TIME:
            if span >= ENOUGH * length:
                return Scale(1 / length, name)
    return Scale(1.0, typeset(units))


def length_scale(units: str, span: float) -> Scale:
    """Metres as kilometres where a `span` in `units` has two of them."""
    if units in {"m", "metre", "metres"} and span >= ENOUGH * 1000:
        return Scale(1e-3, "km")
    return Scale(1.0, typeset(units))


def wavenumber_scale(units: str, length: Scale) -> Scale:
    """Wavenumbers in radians per unit of length as it is shown: rad km⁻¹ beside kilometres."""
    text = "rad per length unit" if units == "1" else typeset(units)
    if length.units != "km":
        return Scale(1.0, text)
    return Scale(1 / length.factor, re.sub(r"\bm⁻¹", "km⁻¹", text))


def number_scale(units: str, largest: float) -> Scale:
    """Numbers up to `largest` without long strings of zeros: beyond 1e−2 … 1e4 a power of ten goes to the units."""
    power = floor(log10(largest)) if isfinite(largest) and largest > 0 else 0
    text = typeset(units)
    if -3 < power < 4:
        return Scale(1.0, text)
    return Scale(10.0**-power, f"10{_superscript(power)}" + ("" if text == "1" else f" {text}"))
