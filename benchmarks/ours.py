"""Our solvers as the benchmark runs them, and the reference that errors are measured against."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from benchmarks.cases import Case, system
from thermalize.systems import System, stepper
from thermalize.systems.etdrk4 import ETDRK4

__all__ = ["OURS", "Ours", "Run", "precisely"]


class Run:
    """Our ensemble under way.

    Args:
        solver: the system.
        scheme: name of the time stepper.
        fields: states, [member, channel, (y,) x].
        dt: step.
    """

    def __init__(self, solver: System, scheme: str, fields: np.ndarray, dt: float) -> None:
        self.solver = solver
        self._advance = stepper(scheme, solver, dt)
        self._state = solver.to_spectral(torch.from_numpy(fields).to(solver.dtype))

    @torch.no_grad()
    def advance(self, steps: int) -> None:
        for _ in range(steps):
            self._state = self._advance.step(self._state)
            if self.solver.filter is not None:
                self._state = self._state * self.solver.filter

    def fields(self) -> np.ndarray:
        """The states in float64."""
        return self.solver.to_physical(self._state).double().numpy()


class Ours:
    """One time stepper of ours."""

    package = "thermalize"

    def __init__(self, scheme: str) -> None:
        self.scheme = scheme
        self.name = f"thermalize {scheme.upper()}"

    def start(self, case: Case, fields: np.ndarray, dt: float, dtype: str) -> Run:
        return Run(system(case, getattr(torch, dtype)), self.scheme, fields, dt)

    def reference(self, case: Case, field: np.ndarray, steps: int) -> np.ndarray:
        """The field after the window in float64, for errors of time stepping."""

        def after(number: int) -> np.ndarray:
            run = Run(system(case), "etdrk4", field[None], case.window / number)
            run.advance(number)
            return run.fields()[0]

        return extrapolated(after, steps)


OURS = tuple(Ours(scheme) for scheme in ("etdrk4", "etdab3", "etdab4"))


def extrapolated(after: Callable[[int], np.ndarray], steps: int) -> np.ndarray:
    """Fourth-order results with `steps` and half as many steps, extrapolated to none (Richardson)."""
    fine, coarse = after(steps), after(steps // 2)
    return fine + (fine - coarse) / 15


def precisely(
    linear: np.ndarray, nonlinear: Callable[[np.ndarray], np.ndarray], state: np.ndarray, time: float, steps: int
) -> np.ndarray:
    """û after `time` from û' = linear·û + nonlinear(û), whoever wrote its terms, by ETDRK4 in float64."""

    def terms(u_hat: Tensor) -> Tensor:
        return torch.from_numpy(np.array(nonlinear(u_hat.numpy())))

    def after(number: int) -> np.ndarray:
        advance = ETDRK4(torch.from_numpy(np.array(linear)), terms, time / number)
        u_hat = torch.from_numpy(np.array(state))
        for _ in range(number):
            u_hat = advance.step(u_hat)
        return u_hat.numpy()

    return extrapolated(after, steps)
