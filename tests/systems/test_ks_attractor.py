"""Kuramoto–Sivashinsky on its attractor: mean energies, Lyapunov exponents, dimension."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from lyapunov import exponents, kaplan_yorke
from torch import Tensor

from thermalize.config import KuramotoSivashinskyConfig
from thermalize.systems import System, Timing, build, frames
from thermalize.systems.spectral import derivative

if TYPE_CHECKING:
    from verification import Verify

pytest_plugins = ["verification"]
pytestmark = pytest.mark.slow

MEMBERS, UNITS = 96, 1000


def ks(length: float, points: int) -> System:
    return build(KuramotoSivashinskyConfig(kind="ks", length=length, points=points))


def starts(system: System, members: int, seed: int) -> Tensor:
    return torch.stack([system.initial_condition(np.random.default_rng([seed, m])) for m in range(members)])


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Mean over members and its standard error."""
    return float(values.mean()), float(values.std(ddof=1) / sqrt(len(values)))


def moments(length: float, points: int) -> np.ndarray:
    """Time means of ⟨u²⟩, ⟨u_x²⟩, ⟨u_xx²⟩ and ⟨u⁴⟩ of each member, [4, member]."""
    system, ik = ks(length, points), derivative(points, length)
    sums = torch.zeros(4, MEMBERS, dtype=torch.float64)
    for u in frames(system, starts(system, MEMBERS, 11), Timing(0.1, 20, UNITS // 2, 2000)):
        squares = [system.to_physical(ik**n * system.to_spectral(u)).square().mean((1, 2)) for n in range(3)]
        sums += torch.stack([*squares, u.pow(4).mean((1, 2))])
    return (sums / (UNITS // 2)).numpy()


@pytest.mark.parametrize(
    ("length", "points", "energy", "gradient"),
    [(22, 64, 1.409, 0.918), (36, 96, 1.650, 1.050), (60, 128, 1.713, 1.105), (100, 192, 1.729, 1.111)],
)
def test_mean_energies(length: int, points: int, energy: float, gradient: float, verify: Verify) -> None:
    """Energies within 1 %, which is at least twice their standard error; production balances dissipation."""
    u2, u_x2, u_xx2, u4 = moments(length, points)
    for name, values, known in (("⟨u²⟩", u2, energy), ("⟨u_x²⟩", u_x2, gradient), ("⟨u_xx²⟩", u_xx2, gradient)):
        mean, error = mean_and_error(values)
        assert error < 0.005 * known
        verify("ks", f"{name}, L = {length}", mean, known, 0.01, "independent ETDRK4", relative=True, error=error)
    ratio = float(u_x2.mean() / u_xx2.mean())
    verify("ks", f"⟨u_x²⟩ / ⟨u_xx²⟩ in the time mean, L = {length}", ratio, 1, 5e-4, "energy budget")
    if length >= 36:
        kurtosis = float(u4.mean() / u2.mean() ** 2)
        verify("ks", f"kurtosis of u, L = {length}", kurtosis, 2.09, 0.02, "independent ETDRK4")


INDEPENDENT = "independent code"


@pytest.mark.parametrize(
    ("length", "points", "members", "time", "known", "tolerance", "source"),
    [
        (22, 64, 128, 1500, [0.0485], 0.002, f"{INDEPENDENT}; 0.048, Cvitanović et al. 2010"),
        (36, 64, 48, 600, [0.076, 0.046, 0.014], 0.006, INDEPENDENT),
        (60, 96, 64, 600, [0.0863, 0.068, 0.053, 0.039], 0.003, f"{INDEPENDENT}; 0.083, fit of Edson et al. 2019"),
        (100, 160, 24, 400, [0.090, 0.076, 0.067, 0.058], 0.008, f"{INDEPENDENT}; 0.087, fit of Edson et al. 2019"),
    ],
)
def test_positive_lyapunov_exponents(
    length: int,
    points: int,
    members: int,
    time: int,
    known: list[float],
    tolerance: float,
    source: str,
    verify: Verify,
) -> None:
    system = ks(float(length), points)
    found = exponents(system, starts(system, members, 12), len(known), 0.2, time)
    largest, error = mean_and_error(found[:, 0])
    verify("ks", f"λ₁, L = {length}", largest, known[0], tolerance, source, error=error)
    if known[1:]:
        verify("ks", f"λ₂ … λ{'₀₁₂₃₄'[len(known)]}, L = {length}", found.mean(0)[1:], known[1:], 0.008, INDEPENDENT)


@pytest.mark.parametrize(
    ("length", "points", "members", "time", "count", "known", "tolerance", "source"),
    [
        (22, 40, 12, 1000, 10, 5.24, 0.06, INDEPENDENT),
        (36, 64, 8, 500, 10, 8.19, 0.15, INDEPENDENT),
        (60, 96, 8, 500, 15, 13.55, 0.25, f"{INDEPENDENT}; 13.4, Edson et al. 2019"),
        (100, 160, 8, 250, 25, 22.46, 0.45, f"{INDEPENDENT}; 22.4, Edson et al. 2019"),
    ],
)
def test_dimension(
    length: int,
    points: int,
    members: int,
    time: int,
    count: int,
    known: float,
    tolerance: float,
    source: str,
    verify: Verify,
) -> None:
    """Differences may have a mean, which is neutral: the spectrum has three zeros, and the dimension counts them."""
    system = ks(float(length), points)
    found = exponents(system, starts(system, members, 13), count, 0.2, time)
    means = found.mean(0)
    _, error = mean_and_error(np.array([kaplan_yorke(spectrum) for spectrum in found]))
    what = f"Kaplan–Yorke dimension, L = {length}"
    verify("ks", what, kaplan_yorke(means), known, tolerance, source, error=error)
    if length == 22:
        spectrum = [-0.189, -0.257, -0.291, -0.311, -1.964]
        verify("ks", "λ₂ + λ₃ + λ₄, L = 22", means[1:4].sum(), 0, 0.01, "three symmetries")
        verify("ks", "λ₆ … λ₁₀, L = 22", means[5:], spectrum, 0.01, f"{INDEPENDENT}; Cvitanović et al. 2010")
