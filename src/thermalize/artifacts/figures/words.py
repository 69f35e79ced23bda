"""Numbers as a reader of a figure wants them: few digits, an interval beside the value, a bound called a bound."""

from __future__ import annotations

from math import isfinite

from thermalize.artifacts.pooling import Estimate

__all__ = ["interval_text", "number"]


def number(value: float, digits: int = 2) -> str:
    """`value` with that many significant digits, without an exponent between 1e−4 and 1e6; an en dash for NaN."""
    if not isfinite(value):
        return "–"
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}"
    rounded = float(f"{value:.{digits - 1}e}")
    places = max(0, digits - 1 - int(f"{rounded:e}".split("e")[1]))
    return f"{rounded:.{places}f}" if places else f"{value:.0f}"


def interval_text(estimate: Estimate) -> str:
    """``0.016 [0.012, 0.021]``; without an interval the value alone."""
    value = number(estimate.value)
    if not isfinite(estimate.value):
        return "no finite states"
    if not (isfinite(estimate.low) and isfinite(estimate.high)):
        return value
    return f"{value} [{number(estimate.low)}, {number(estimate.high)}]"
