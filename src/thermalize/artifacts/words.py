"""Numbers as a reader of a figure wants them: few digits, an interval beside the value."""

from __future__ import annotations

from math import floor, isfinite, log10

from thermalize.artifacts.pooling import Estimate

__all__ = ["interval_text", "number"]

MISSING = "–"


def number(value: float, digits: int = 2) -> str:
    """`value` with that many significant digits, without an exponent between 1e−4 and 1e6; a dash for NaN."""
    if not isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    if not 1e-4 <= abs(rounded) < 1e6:
        return f"{rounded:.{digits - 1}e}"
    return f"{rounded:.{max(0, digits - 1 - floor(log10(abs(rounded))))}f}"


def interval_text(estimate: Estimate, digits: int = 2) -> str:
    """``0.016 [0.012, 0.021]``; without an interval the value alone."""
    value, low, high = (number(part, digits) for part in estimate)
    return value if MISSING in (value, low, high) else f"{value} [{low}, {high}]"
