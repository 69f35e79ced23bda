"""Systems on the plane for tests: built in one line, on named grids, with what is compared between solvers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from math import pi
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, settings
from torch import Tensor

from thermalize.config import KolmogorovConfig, QuasiGeostrophicConfig
from thermalize.systems import System, Timing, frames
from thermalize.systems.kolmogorov import KolmogorovFlow
from thermalize.systems.qg import QuasiGeostrophic

recorded = settings(
    max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
"""For properties that are recorded: of all examples of a test the table keeps the worst."""


def kolmogorov(viscosity: float, points: int = 64, dtype: torch.dtype = torch.float64, **more: Any) -> KolmogorovFlow:
    """Kolmogorov flow with the drag 0.1 unless it is given."""
    return KolmogorovFlow(KolmogorovConfig(kind="kolmogorov", points=points, viscosity=viscosity, **more), dtype)


def qg(
    preset: str | None = "eddy", points: int = 64, dtype: torch.dtype = torch.float64, **more: Any
) -> QuasiGeostrophic:
    """Two-layer quasi-geostrophy with the parameters of a preset unless they are given."""
    return QuasiGeostrophic(QuasiGeostrophicConfig(kind="qg", preset=preset, points=points, **more), dtype)


def phases(points: int, offset: float = 0.0) -> tuple[Tensor, Tensor]:
    """2πx/L as [1, N] and 2πy/L as [N, 1], at points that are moved by a fraction of a cell."""
    phase = (torch.arange(points, dtype=torch.float64) + offset) * (2 * pi / points)
    return phase[None, :], phase[:, None]


def noise(system: System, seed: int, members: int = 1) -> Tensor:
    """White noise on every mode of the solver's grid, [member, channel, *grid]."""
    points = system.linear.shape[-2]
    shape = (members, len(system.channels), points, points)
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape)).to(system.dtype)


def starts(system: System, members: int, seed: int = 0) -> Tensor:
    """Initial conditions, [member, channel, *grid]."""
    return torch.stack([system.initial_condition(np.random.default_rng([seed, m])) for m in range(members)])


def integrate(system: System, u0: Tensor, dt: float, steps: int, stepper: str = "etdrk4") -> Tensor:
    """The state [channel, y, x] some steps after u0 [channel, y, x]."""
    return list(frames(system, u0[None], Timing(dt, steps, 2, stepper=stepper)))[1][0]


def adams_bashforth(system: System, u_hat: Tensor, dt: float) -> Iterator[Tensor]:
    """States after 1, 2, … steps of the plain explicit scheme of order three, which begins with an Euler step.

    That is how pyqg steps: Euler, second order, then (23, −16, 5)/12, and the filter after every step.
    """
    past: list[Tensor] = []
    weights = {1: [1.0], 2: [1.5, -0.5], 3: [23 / 12, -16 / 12, 5 / 12]}
    while True:
        past = [system.linear * u_hat + system.nonlinear(u_hat), *past[:2]]
        u_hat = u_hat + dt * sum(w * rate for w, rate in zip(weights[len(past)], past, strict=True))
        u_hat = u_hat if system.filter is None else u_hat * system.filter
        yield u_hat


def after(states: Iterator[Tensor], steps: int) -> Tensor:
    """The state of a run after some more steps."""
    return next(islice(states, steps - 1, None))


def rms(u: Tensor) -> np.ndarray:
    """Root mean square over the plane, of every channel."""
    return u.square().mean((-2, -1)).sqrt().numpy()


def largest(u: Tensor) -> float:
    return float(u.abs().max())


def relative(found: Tensor, exact: Tensor) -> float:
    """Largest difference over the largest value."""
    return float((found - exact).abs().max() / exact.abs().max())
