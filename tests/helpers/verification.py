"""Checks against known values that also keep what they found: a fixture that asserts and, where asked to, records.

    |measured − reference| ≤ tolerance

A test module takes it by `pytest_plugins = ["verification"]`. With the environment variable VERIFICATION_RECORDS=FILE
each check appends one line of JSON to FILE, from which docs/verification.py makes docs/verification.md.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pytest

__all__ = ["Check", "Verify", "verify"]

RECORDS = "VERIFICATION_RECORDS"


@dataclass(frozen=True)
class Check:
    """One row of the table.

    Attributes:
        system: section of the table: "ks", "kolmogorov", "qg", "steppers", "plane" or "peers".
        quantity: what was measured, with the parameters it depends on.
        measured: our value, or values.
        reference: the value, or values, it should have; 0 for a residual.
        tolerance: largest accepted difference, in units of the quantity, or relative to the reference.
        source: where the reference comes from.
        relative: whether the tolerance is relative.
        error: standard error of a statistical mean.
        bound: "within" the tolerance on both sides, or "least": measured ≥ reference − tolerance.
    """

    system: str
    quantity: str
    measured: tuple[float, ...]
    reference: tuple[float, ...]
    tolerance: float
    source: str
    relative: bool = False
    error: float | None = None
    bound: str = "within"

    def holds(self) -> bool:
        difference = np.subtract(self.measured, self.reference)
        allowed = self.tolerance * (np.abs(self.reference) if self.relative else 1.0)
        return bool(np.all(-difference <= allowed if self.bound == "least" else np.abs(difference) <= allowed))


class Verify:
    """The fixture's value: call it with what was measured and what is known."""

    def __init__(self, test: str, line: int, slow: bool) -> None:
        self._place = {"test": test, "line": line, "slow": slow}

    def __call__(
        self,
        system: str,
        quantity: str,
        measured: float | Sequence[float] | np.ndarray,
        reference: float | Sequence[float],
        tolerance: float,
        source: str,
        *,
        relative: bool = False,
        error: float | None = None,
        bound: str = "within",
    ) -> None:
        """Record the check, then assert it; the arguments are those of `Check`."""
        values, known = (tuple(np.atleast_1d(np.asarray(v, dtype=float)).tolist()) for v in (measured, reference))
        check = Check(system, quantity, values, known, tolerance, source, relative, error, bound)
        assert len(values) == len(known), f"{quantity}: {len(values)} values for {len(known)} references"
        if path := os.environ.get(RECORDS):
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(json.dumps({**self._place, **asdict(check)}, ensure_ascii=False) + "\n")
        assert check.holds(), f"{quantity}: measured {values}, reference {known} ± {tolerance:g} ({source})"


@pytest.fixture
def verify(request: pytest.FixtureRequest) -> Verify:
    """Asserts that a measured value is the known one, and records both."""
    file, line, _ = request.node.location
    name = f"{Path(file).name}::{request.node.originalname}"
    return Verify(name, line or 0, request.node.get_closest_marker("slow") is not None)
