"""ETDRK4: coefficients, exactness on linear problems, declared order."""

from __future__ import annotations

import cmath
from itertools import pairwise
from math import factorial, log2, pi

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from thermalize.systems.etdrk4 import ETDRK4, coefficients


def phi(order: int, z: complex) -> complex:
    """φ_k(z) = Σ_j z^j/(j+k)! near the origin, [e^z − Σ_{j<k} z^j/j!]/z^k far from it."""
    if abs(z) < 3:
        return sum((z**j / factorial(j + order) for j in range(60)), start=0j)
    return (cmath.exp(z) - sum(z**j / factorial(j) for j in range(order))) / z**order


def exact_coefficients(z: complex) -> list[complex]:
    """Q, f₁, f₂, f₃ from their Taylor series near the origin, as they are defined far from it."""
    half = phi(1, z / 2) / 2
    if abs(z) < 3:
        one, two, three = (phi(order, z) for order in (1, 2, 3))
        return [half, one - 3 * two + 4 * three, two - 2 * three, 4 * three - two]
    e = cmath.exp(z)
    numerators = -4 - z + e * (4 - 3 * z + z**2), 2 + z + e * (z - 2), -4 - 3 * z - z**2 + e * (4 - z)
    return [half, *(numerator / z**3 for numerator in numerators)]


def assert_coefficients(z: complex, tolerance: float = 2e-14) -> None:
    values = coefficients(torch.tensor([z], dtype=torch.complex128))
    for value, exact in zip(values, exact_coefficients(z), strict=True):
        assert abs(complex(value) - exact) <= tolerance * abs(exact)


@pytest.mark.parametrize("z", [0, 1e-14, -1e-8, 1e-3, -0.1, 0.99, -1, 1, -1.01, -3, 4, -30, -1e3, -1e7])
def test_coefficients_on_the_real_axis(z: float) -> None:
    assert_coefficients(complex(z))


@given(radius=st.floats(0, 20), angle=st.floats(0, 2 * pi))
@settings(max_examples=60, deadline=None)
def test_coefficients_in_the_left_half_plane(radius: float, angle: float) -> None:
    z = cmath.rect(radius, angle)
    assert_coefficients(complex(-abs(z.real), z.imag), tolerance=1e-12)


@pytest.mark.parametrize("node", range(0, 64, 5))
def test_coefficients_where_the_unit_circle_would_meet_the_origin(node: int) -> None:
    assert_coefficients(-cmath.rect(1, 2 * pi * (node + 0.5) / 64))


def test_at_zero_the_weights_are_those_of_classical_runge_kutta() -> None:
    values = coefficients(torch.zeros(3, dtype=torch.float64))
    for value, exact in zip(values, (1 / 2, 1 / 6, 1 / 6, 1 / 6), strict=True):
        assert value.dtype == torch.float64
        torch.testing.assert_close(value, torch.full((3,), exact, dtype=torch.float64), rtol=1e-15, atol=0)


rates = st.one_of(st.floats(-1e4, 2), st.floats(-1e-6, 1e-6))


@given(rate=rates, frequency=st.floats(-30, 30), dt=st.floats(1e-3, 1))
@settings(max_examples=60, deadline=None)
def test_exact_for_linear_problems_with_constant_forcing(rate: float, frequency: float, dt: float) -> None:
    sigma, forcing, start = complex(rate, frequency), complex(0.3, -0.7), complex(1, 0.5)
    stepper = ETDRK4(torch.tensor([sigma], dtype=torch.complex128), lambda u: torch.full_like(u, forcing), dt)
    step = complex(stepper.step(torch.tensor([start], dtype=torch.complex128)))
    exact = cmath.exp(sigma * dt) * start + dt * phi(1, sigma * dt) * forcing
    assert abs(step - exact) <= 1e-12 * (abs(exact) + abs(dt * forcing))


def test_linear_steps_do_not_depend_on_their_length() -> None:
    sigma = torch.tensor([-40.0, -1.0, 0.0, 0.2], dtype=torch.float64)
    u = torch.ones(4, dtype=torch.complex128)
    whole = ETDRK4(sigma, torch.zeros_like, 1.0).step(u)
    stepper = ETDRK4(sigma, torch.zeros_like, 0.125)
    for _ in range(8):
        u = stepper.step(u)
    torch.testing.assert_close(u, whole, rtol=1e-14, atol=0)


def oscillator(dt: float, end: float) -> float:
    """Error of u' = (1 + 2i)u − |u|²u, whose |u|² = 1/(1 + (|u₀|⁻² − 1)e^{−2t}) while the phase turns at rate 2."""
    stepper = ETDRK4(torch.tensor([1 + 2j], dtype=torch.complex128), lambda u: -u * u.abs() ** 2, dt)
    u = torch.tensor([0.3 + 0j], dtype=torch.complex128)
    for _ in range(round(end / dt)):
        u = stepper.step(u)
    exact = (1 + (0.3**-2 - 1) * cmath.exp(-2 * end)) ** -0.5 * cmath.exp(2j * end)
    return abs(complex(u) - exact)


def test_declared_order_is_observed() -> None:
    errors = [oscillator(2.0**-power, 2.0) for power in range(3, 8)]
    slopes = [log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert errors[0] < 1e-3
    assert min(slopes) >= ETDRK4.order - 0.25


@pytest.mark.parametrize("sigma", [-1e-4, 1e-3, -0.9])
def test_single_precision_tables_are_rounded_from_double(sigma: float) -> None:
    start, forcing = 0.5, 1.0
    tables = ETDRK4(
        torch.tensor([sigma], dtype=torch.float64), lambda u: torch.full_like(u, forcing), 0.1, dtype=torch.complex64
    )
    step = tables.step(torch.tensor([start], dtype=torch.complex64))
    assert step.dtype == torch.complex64
    exact = cmath.exp(0.1 * sigma) * start + 0.1 * phi(1, 0.1 * sigma) * forcing
    assert abs(complex(step) - exact) < 3e-7 * abs(exact)


def test_a_rate_in_single_precision_loses_nothing_more() -> None:
    rate = torch.tensor([-0.3], dtype=torch.float32)
    step = ETDRK4(rate, torch.zeros_like, 0.1).step(torch.ones(1, dtype=torch.complex128))
    assert abs(complex(step) - cmath.exp(0.1 * float(rate))) < 1e-15


def test_a_step_leaves_its_argument_alone() -> None:
    u = torch.tensor([1 + 1j, 2.0], dtype=torch.complex128)
    before = u.clone()
    ETDRK4(torch.tensor([-1.0, 1.0]), lambda v: -v * v, 0.1).step(u)
    assert torch.equal(u, before)
