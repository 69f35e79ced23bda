"""The largest step that holds an error tolerance, for every solver against its own converged solution.

Solvers cut their products at slightly different wavenumbers, so each converges to a solution of its own. Only the error
of time stepping counts here: the relative L2 distance, at the end of the window, from what the same spatial
discretisation gives in float64 with a fourth-order scheme at small steps, extrapolated to none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from typing import Any

import numpy as np

from benchmarks.cases import Case, initial, stable_dt

__all__ = ["REFINEMENT", "TOLERANCES", "Accuracy", "accuracies", "steps_within"]

TOLERANCES = {"float64": (1e-3, 1e-5), "float32": (1e-3, 1e-4)}
REFINEMENT = 2**0.5
FINEST = 12
"""Refinements tried after the first step length, 64 times the number of steps."""
SMALL_STEPS = 100
"""Steps of a reference at least."""
STEPS_OF_A_STABLE_RUN = 100
"""Steps after the window through which a solution must stay bounded, since a short window hides slow blow-ups."""


@dataclass
class Accuracy:
    """Errors of one solver in one precision: number of steps in the window → error."""

    errors: dict[int, float] = field(default_factory=dict)

    def steps(self, tolerance: float) -> int | None:
        """The fewest steps tried that hold the tolerance; None where none does."""
        return min((number for number, error in self.errors.items() if error <= tolerance), default=None)


def accuracies(case: Case, solvers: tuple[Any, ...], dtypes: tuple[str, ...]) -> dict[tuple[str, str], Accuracy]:
    """Errors of each solver (by name) and type, from above the stability limit down to the tightest tolerance.

    A type after the first starts where the first holds the loosest tolerance, because fewer digits help nobody.
    """
    limit = stable_dt(case, initial(case), "etdrk4")
    references: dict[str, np.ndarray] = {}
    found: dict[tuple[str, str], Accuracy] = {}
    for solver in solvers:
        if solver.package not in references:
            steps = max(SMALL_STEPS, 4 * ceil(case.window / limit))
            references[solver.package] = solver.reference(case, initial(case), steps)
        first = max(solver.fewest_steps, ceil(case.window / (1.5 * limit)))
        for dtype in dtypes:
            error = partial(_error, case, solver, dtype, references[solver.package])
            found[solver.name, dtype] = steps_within(error, first, min(TOLERANCES[dtype]))
            first = found[solver.name, dtype].steps(max(TOLERANCES[dtype])) or first
    return found


def _error(case: Case, solver: Any, dtype: str, reference: np.ndarray, steps: int) -> float:
    run = solver.start(case, initial(case)[None], case.window / steps, dtype)
    run.advance(steps)
    error = distance(run.fields()[0], reference)
    if error > max(TOLERANCES[dtype]):
        return error
    run.advance(STEPS_OF_A_STABLE_RUN)
    return error if np.abs(run.fields()).max() < 3 * np.abs(reference).max() else float("inf")


def steps_within(error: Callable[[int], float], first: int, tolerance: float) -> Accuracy:
    """Errors with first · √2^j steps, until one is within the tolerance or round-off stops the fall."""
    found, last = Accuracy(), float("inf")
    for refinement in range(FINEST + 1):
        steps = ceil(first * REFINEMENT**refinement)
        found.errors[steps] = now = error(steps)
        if now <= tolerance or (refinement > 2 and last < 0.1 and now > 0.98 * last):
            break
        last = now
    return found


def distance(field: np.ndarray, reference: np.ndarray) -> float:
    """Relative L2 distance, infinite where the field is not finite; layers weigh by their own size."""
    axes = tuple(range(1, field.ndim))
    with np.errstate(over="ignore", invalid="ignore"):
        ratios = np.sqrt(((field - reference) ** 2).sum(axes) / (reference**2).sum(axes))
    worst = float(ratios.max())
    return worst if np.isfinite(worst) else float("inf")
