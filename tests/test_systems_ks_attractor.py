"""Kuramoto–Sivashinsky on its attractor: mean energies, Lyapunov exponents, dimension."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Spectrum:
    """What is known of a domain, and how it is measured: members × time units, tolerances of λ₁ … and of D_KY."""

    length: int
    points: int
    members: int
    time: int
    count: int
    known: tuple[float, ...]
    tolerance: float
    dimension: float
    dimension_tolerance: float


SPECTRA = [
    Spectrum(22, 40, 32, 1000, 7, (0.0485, 0, 0, 0, -0.0025, -0.189, -0.257), 0.002, 5.24, 0.04),
    Spectrum(36, 64, 24, 500, 10, (0.076, 0.046, 0.014), 0.004, 8.19, 0.08),
    Spectrum(60, 96, 24, 500, 15, (0.0863, 0.068, 0.053, 0.039), 0.003, 13.55, 0.12),
    Spectrum(100, 160, 8, 250, 25, (0.090, 0.076, 0.067, 0.058), 0.008, 22.46, 0.35),
]


@pytest.mark.parametrize("case", SPECTRA, ids=lambda case: f"L{case.length}")
def test_lyapunov_exponents_and_dimension(case: Spectrum, verify: Verify) -> None:
    """Differences may have a mean, which is neutral: there are three zeros, and D_KY counts them."""
    system, what = ks(float(case.length), case.points), f"L = {case.length}"
    found = exponents(system, starts(system, case.members, 12), case.count, 0.2, case.time)
    means = found.mean(0)
    largest, error = mean_and_error(found[:, 0])
    source = "independent code" + {22: "; 0.048, Cvitanović et al. 2010", 60: "; 0.083, fit of Edson et al. 2019"}.get(
        case.length, ""
    )
    print(case.length, means, found.std(0) / sqrt(case.members), kaplan_yorke(means), [kaplan_yorke(m) for m in found])
    verify("ks", f"λ₁, {what}", largest, case.known[0], case.tolerance, source, error=error)
    positive = [value for value in case.known[1:] if value > 0]
    if positive:
        verify("ks", f"next exponents, {what}", means[1 : len(positive) + 1], positive, 0.008, "independent code")
    if case.length == 22:
        verify("ks", f"sum of the three neutral ones, {what}", means[1:4].sum(), 0, 0.006, "symmetries")
        verify(
            "ks", f"λ₅, λ₆, λ₇, {what}", means[4:], case.known[4:], 0.008, "independent code; Cvitanović et al. 2010"
        )
    source = "independent code" + {60: "; 13.4, Edson et al.", 100: "; 22.4, Edson et al."}.get(case.length, "")
    what = f"Kaplan–Yorke dimension, {what}"
    verify("ks", what, kaplan_yorke(means), case.dimension, case.dimension_tolerance, source)
