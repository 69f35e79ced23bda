"""Our solvers as the benchmark runs them, and the integration that everyone's error is measured against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.cases import Case, system
from benchmarks.running import Run
from thermalize.systems.etdrk4 import ETDRK4

__all__ = ["OURS", "Ours", "extrapolated", "precisely", "transforms"]


class Ours:
    """One time stepper of ours."""

    package = "thermalize"

    def __init__(self, scheme: str) -> None:
        self.scheme = scheme
        self.name = f"thermalize {scheme.upper()}"
        self.fewest_steps = 1 if scheme == "etdrk4" else 12  # most of them not Runge–Kutta steps of the start

    def start(self, case: Case, fields: np.ndarray, dt: float, dtype: str) -> Run:
        return Run(system(case, getattr(torch, dtype)), self.scheme, fields, dt)

    def reference(self, case: Case, field: np.ndarray, steps: int) -> np.ndarray:
        """The field after the window in float64."""
        solver = system(case)
        u_hat = solver.to_spectral(torch.from_numpy(field))
        return solver.to_physical(precisely(solver.linear, solver.nonlinear, u_hat, case.window, steps)).numpy()


OURS = tuple(Ours(scheme) for scheme in ("etdrk4", "etdab3", "etdab4"))


FIELDS = {"kolmogorov": (2, 2), "qg": (6, 4)}
"""Fields that one tendency transforms back and forth."""


def transforms(case: Case, batch: int, dtype: str) -> tuple[Callable[[], None], int]:
    """The transforms of some tendencies and nothing else, and how many tendencies times members that is."""
    plane, (back, forth) = system(case, getattr(torch, dtype)).plane, FIELDS[case.config.kind]
    fields = torch.randn(batch, max(back, forth), plane.points, plane.points, dtype=getattr(torch, dtype))
    spectra, fields = plane.kept_to_spectral(fields)[:, :back], fields[:, :forth]
    times = max(2, 200_000 // (plane.points**2 * batch))

    def run() -> None:
        for _ in range(times):
            plane.kept_to_physical(spectra)
            plane.kept_to_spectral(fields)

    return run, times * batch


def extrapolated(after: Callable[[int], Any], steps: int) -> Any:
    """Results of a fourth-order scheme with `steps` and half as many steps, extrapolated to none (Richardson)."""
    fine, coarse = after(steps), after(steps // 2)
    return fine + (fine - coarse) / 15


@torch.no_grad()
def precisely(linear: Tensor, nonlinear: Callable[[Tensor], Tensor], u_hat: Tensor, time: float, steps: int) -> Tensor:
    """û after `time` from û' = linear·û + nonlinear(û), whoever wrote the terms, by ETDRK4 in float64."""

    def after(number: int) -> Tensor:
        advance, end = ETDRK4(linear, nonlinear, time / number), u_hat
        for _ in range(number):
            end = advance.step(end)
        return end

    return extrapolated(after, steps)
