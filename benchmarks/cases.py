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

from benchmarks.running import Run
from thermalize.config import KolmogorovConfig, KuramotoSivashinskyConfig, QuasiGeostrophicConfig
from thermalize.systems import System, build

__all__ = [
    "CASES",
    "DAY",
    "Case",
    "dealiased",
    "initial",
    "members",
    "quick",
    "stable_dt",
    "system",
    "with_points",
]

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
        strength: factor on the initial condition, for less time to develop.
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
    strength: float = 1.0
    unit: tuple[str, float] = ("time unit", 1.0)
    batches: tuple[int, ...] = (1, 8)

    @property
    def points(self) -> int:
        return self.config.points


def _kolmogorov(points: int, viscosity: float, **rest: Any) -> Case:
    config = KolmogorovConfig(kind="kolmogorov", points=points, viscosity=viscosity)
    return Case(f"kolmogorov-{points}", config, **rest)


def _qg(points: int, **rest: Any) -> Case:
    config = QuasiGeostrophicConfig(kind="qg", preset="eddy", points=points, dealias=False)
    return Case(f"qg-{points}", config, unit=("day", DAY), **rest)


def _ks(points: int, length: float) -> Case:
    config = KuramotoSivashinskyConfig(kind="ks", points=points, length=length)
    return Case(f"ks-{length:g}", config, window=2.0, develop=100.0, batches=(1, 64))


CASES = {
    case.name: case
    for case in (
        _kolmogorov(64, 1e-2, window=1.0, develop=15.0),
        _kolmogorov(128, 1e-3, window=0.5, develop=4.0, before="kolmogorov-64"),
        _kolmogorov(256, 1e-3, window=0.125, develop=0.25, before="kolmogorov-128"),
        _qg(64, window=8 * DAY, develop=1500 * DAY, strength=8.0),
        _qg(128, window=4 * DAY, develop=30 * DAY, before="qg-64"),
        _qg(256, window=2 * DAY, develop=10 * DAY, before="qg-128"),
        _ks(64, 22.0),
        _ks(128, 60.0),
    )
}


def system(case: Case, dtype: torch.dtype = torch.float64, *, filtered: bool = False) -> System:
    """Our solver of a case.

    A filter that acts once per step, whatever the step, leaves nothing to converge to: unless it is asked for, the
    state is multiplied by ones in its place.
    """
    built = build(case.config, dtype)
    if built.filter is not None and not filtered:
        built.filter = torch.ones_like(built.filter)
    return built


def stable_dt(case: Case, field: np.ndarray, scheme: str) -> float:
    """Largest step at which `scheme` advects the field stably."""
    solver = system(case)
    if not solver.advective:
        return {"etdrk4": 0.5, "etdab3": 0.15, "etdab4": 0.1}[scheme]
    u_hat = solver.to_spectral(torch.from_numpy(field)[None])
    return RADIUS[scheme] / (2 * np.pi / 3) / solver.courant(u_hat, 1.0)


@cache
def initial(case: Case) -> np.ndarray:
    """The developed field at the start of the window, float64 [channel, (y,) x]."""
    solver = system(case)
    if case.before is None:
        field = case.strength * solver.initial_condition(np.random.default_rng(1)).numpy()
    else:
        field = _refined(initial(CASES[case.before]), case.points)
    left = case.develop
    while left > 1e-9 * case.develop:  # in pieces, because the flow speeds up
        piece = min(left, case.develop / 10)
        field = _developed(case, field, piece)
        left -= piece
    return field


def _developed(case: Case, field: np.ndarray, time: float) -> np.ndarray:
    longest = 0.7 * stable_dt(case, field, "etdab3")
    steps = int(np.ceil(time / longest))
    run = Run(system(case, filtered=True), "etdab3", field[None], time / steps)
    run.advance(steps)
    return run.fields()[0]


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
    """The case on another grid."""
    return replace(case, config=case.config.model_copy(update={"points": points}))


def dealiased(case: Case) -> Case:
    """The case as its configuration is by default."""
    return replace(case, config=case.config.model_copy(update={"dealias": True}))


def quick(case: Case) -> Case:
    """A case so small that its numbers mean nothing: a check that every part runs."""
    small = with_points(case, 32 if case.config.kind == "ks" else 16)
    return replace(small, before=None, develop=case.develop / 100, window=case.window / 4)
