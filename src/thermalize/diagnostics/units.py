"""Units of what is computed from the field, spelled as UDUNITS does: m s-1, m2 s-2."""

from __future__ import annotations

import re

__all__ = ["NON_DIMENSIONAL", "product"]

NON_DIMENSIONAL = ("1", "length units", "time units")
FACTOR = re.compile(r"([A-Za-z]+)(-?[0-9]+)?")


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
