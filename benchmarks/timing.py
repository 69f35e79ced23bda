"""Time per step, interleaved: every round lets each solver take a few steps, and the median of the rounds counts.

Processor time of the process on its one core is measured, which other users of the machine disturb less than the clock
on the wall; both are kept.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

__all__ = ["Cost", "interleaved"]


@dataclass(frozen=True)
class Cost:
    """Median over the rounds, in seconds per unit of work: processor time, and time on the wall."""

    processor: float
    wall: float


def interleaved(work: Mapping[Any, tuple[Callable[[], object], int]], rounds: int) -> dict[Any, Cost]:
    """What a unit of each piece of work costs; the first call of each is a warm-up that does not count.

    Args:
        work: name → function and the units of work (steps × members, say) that one call of it does.
        rounds: calls of each that count.
    """
    found: dict[Any, list[tuple[float, float]]] = {name: [] for name in work}
    gc.disable()
    try:
        for function, _ in work.values():
            function()
        for _ in range(rounds):
            for name, (function, units) in work.items():
                found[name].append(_spent(function, units))
    finally:
        gc.enable()
    return {name: Cost(*(median(column) for column in zip(*spent, strict=True))) for name, spent in found.items()}


def _spent(function: Callable[[], object], units: int) -> tuple[float, float]:
    processor, wall = time.process_time(), time.perf_counter()
    function()
    return (time.process_time() - processor) / units, (time.perf_counter() - wall) / units
