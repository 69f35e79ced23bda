"""What is timed: a developed flow, its grid and the window over which errors count.

A case is one configuration of ours; every peer integrates the same initial field of the same equation. Fields have
shape [channel, (y,) x] and our signs and shifts. The flows are developed in float64 on 64 points per side and then for
a shorter while on finer grids.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch

from thermalize.config import KolmogorovConfig, KuramotoSivashinskyConfig, QuasiGeostrophicConfig
from thermalize.systems import System, build, stepper

__all__ = ["CASES", "DAY", "Case", "initial", "members", "stable_dt", "system"]

DAY = 86400.0
RADIUS = {"etdrk4": 2.83, "etdab3": 0.72, "etdab4": 0.43}
"""Stability intervals on the imaginary axis."""

Config = KolmogorovConfig | KuramotoSivashinskyConfig | QuasiGeostrophicConfig


@dataclass(frozen=True)
class Case:
    """One configuration.

    Attributes:
        name: as in the table.
        config: equation and grid.
        window: time over which the error is measured, in time units of the system.
        develop: time before the window, from the initial condition or from the case `before`.
        before: a coarser case whose initial field this one starts from.
        unit: name and length of the time unit of the table.
        batches: numbers of members.
    """

    name: str
    config: Config
    window: float
    develop: float
    before: str | None = None
    unit: tuple[str, float] = ("time unit", 1.0)
    batches: tuple[int, ...] = (1, 8)

    @property
    def points(self) -> int:
        return self.config.points


def _kolmogorov(points: int, viscosity: float, **rest: Any) -> Case:
    config = KolmogorovConfig(kind="kolmogorov", points=points, viscosity=viscosity)
    return Case(f"kolmogorov-{points}", config, **rest)


def _qg(points: int, **rest: Any) -> Case:
    config = QuasiGeostrophicConfig(kind="qg", preset="eddy", points=points)
    return Case(f"qg-{points}", config, unit=("day", DAY), **rest)


def _ks(points: int, length: float) -> Case:
    config = KuramotoSivashinskyConfig(kind="ks", points=points, length=length)
    return Case(f"ks-{length:g}", config, window=2.0, develop=100.0, batches=(1, 64))


CASES = {
    case.name: case
    for case in (
        _kolmogorov(64, 1e-2, window=1.0, develop=15.0),
        _kolmogorov(128, 1e-3, window=0.5, develop=4.0, before="kolmogorov-64"),
        _kolmogorov(256, 1e-3, window=0.25, develop=0.5, before="kolmogorov-128"),
        _qg(64, window=4 * DAY, develop=900 * DAY),
        _qg(128, window=2 * DAY, develop=40 * DAY, before="qg-64"),
        _qg(256, window=DAY, develop=10 * DAY, before="qg-128"),
        _ks(64, 22.0),
        _ks(128, 60.0),
    )
}


def system(case: Case, dtype: torch.dtype = torch.float64, filtered: bool = False) -> System:
    """Our solver of a case; the per-step filter of QG only where it is asked for."""
    built = build(case.config, dtype)
    if built.filter is not None and not filtered:
        built.filter = torch.ones_like(built.filter)
    return built


def stable_dt(case: Case, field: np.ndarray, scheme: str) -> float:
    """Largest step at which `scheme` advects the field stably."""
    solver = system(case)
    if not solver.advective:
        return {"etdrk4": 0.5, "etdab3": 0.2, "etdab4": 0.1}[scheme]
    u_hat = solver.to_spectral(torch.from_numpy(field)[None])
    return RADIUS[scheme] / (2 * np.pi / 3) / solver.courant(u_hat, 1.0)


@cache
def initial(case: Case) -> np.ndarray:
    """The developed field at the start of the window, float64 [channel, (y,) x]."""
    solver = system(case, filtered=True)
    if case.before is None:
        field = solver.initial_condition(np.random.default_rng(1)).numpy()
    else:
        field = _refined(initial(CASES[case.before]), case.points)
    left = case.develop
    while left > 1e-9 * case.develop:  # in pieces, because the flow speeds up
        piece = min(left, case.develop / 10)
        field = _developed(case, solver, field, piece)
        left -= piece
    return field


def _developed(case: Case, solver: System, field: np.ndarray, time: float) -> np.ndarray:
    steps = int(np.ceil(time / (0.7 * stable_dt(case, field, "etdab3"))))
    if not solver.advective:
        steps = int(np.ceil(time / 0.1))
    advance = stepper("etdab3", solver, time / steps)
    u_hat = solver.to_spectral(torch.from_numpy(field)[None])
    with torch.no_grad():
        for _ in range(steps):
            u_hat = advance.step(u_hat)
            u_hat = u_hat if solver.filter is None else u_hat * solver.filter
    return solver.to_physical(u_hat)[0].numpy()


def _refined(field: np.ndarray, points: int) -> np.ndarray:
    """The same trigonometric polynomial on more points, [..., y, x]."""
    old = field.shape[-1]
    spectrum = np.fft.fftshift(np.fft.fft2(field), axes=(-2, -1))
    margin = (points - old) // 2
    padded = np.pad(spectrum, [(0, 0)] * (field.ndim - 2) + [(margin, margin)] * 2)
    return np.fft.ifft2(np.fft.ifftshift(padded, axes=(-2, -1))).real * (points / old) ** 2


def members(field: np.ndarray, number: int) -> np.ndarray:
    """Shifted copies of the field, each a solution of its own, [member, channel, (y,) x]."""
    shift = field.shape[-1] // number if number > 1 else 0
    return np.stack([np.roll(field, member * max(shift, 1), axis=-1) for member in range(number)])


def with_points(case: Case, points: int) -> Case:
    """The case on another grid, for the table of times per step."""
    return replace(case, config=case.config.model_copy(update={"points": points}))
