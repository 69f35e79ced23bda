"""Time steppers: declared order, exact linear part, first steps, weights, stability on the imaginary axis."""

from __future__ import annotations

import cmath
from collections.abc import Callable
from itertools import pairwise
from math import factorial, log2, pi
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest
import torch
from flows import integrate, kolmogorov, noise, phases, qg, starts
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import bisect
from torch import Tensor

from thermalize.config.systems import COURANT_LIMITS, StepperName
from thermalize.systems import STEPPERS, Timing, frames, stepper
from thermalize.systems.adams_bashforth import weights
from thermalize.systems.etdrk4 import phi

if TYPE_CHECKING:
    from verification import Verify

pytest_plugins = ["verification"]

names = pytest.mark.parametrize("name", sorted(STEPPERS))
multistep = pytest.mark.parametrize(("name", "order"), [("etdab3", 3), ("etdab4", 4)])


def run(
    name: str, sigma: complex, rate: Callable[[Tensor], Tensor], dt: float, steps: int, start: complex = 1.0
) -> complex:
    """u after some steps of u' = σu + rate(u)."""
    advance = STEPPERS[name](torch.tensor([sigma], dtype=torch.complex128), rate, dt)
    u = torch.tensor([start], dtype=torch.complex128)
    for _ in range(steps):
        u = advance.step(u)
    return complex(u)


def test_every_configurable_stepper_is_there_with_a_limit() -> None:
    assert set(get_args(StepperName)) == set(STEPPERS) == set(COURANT_LIMITS)
    assert {name: scheme.order for name, scheme in STEPPERS.items()} == {"etdrk4": 4, "etdab3": 3, "etdab4": 4}


def rotating_logistic(name: str, dt: float, end: float = 2.0) -> float:
    """Error of u' = (1 + 2i)u − |u|²u, whose |u|² = 1/(1 + (|u₀|⁻² − 1)e^{−2t}) while the phase turns at rate 2."""
    u = run(name, 1 + 2j, lambda v: -v * v.abs() ** 2, dt, round(end / dt), 0.3)
    return abs(u - (1 + (0.3**-2 - 1) * cmath.exp(-2 * end)) ** -0.5 * cmath.exp(2j * end))


@names
def test_declared_order_where_the_solution_is_known(name: str, verify: Verify) -> None:
    errors = [rotating_logistic(name, 2.0**-power) for power in range(4, 9)]
    slopes = [log2(coarse / fine) for coarse, fine in pairwise(errors)]
    order = STEPPERS[name].order
    what = f"order of {name}, u' = (1 + 2i)u − |u|²u, h = 1/16 … 1/256: the lowest"
    assert errors[0] < 1e-2
    verify("steppers", what, min(slopes), order, 0.25, "declared", bound="least")


@names
def test_declared_order_on_a_flow(name: str, verify: Verify) -> None:
    """Decaying two-dimensional turbulence against the finest step of the fourth-order scheme."""
    system = kolmogorov(0.01, 32, initial_speed=0.7)
    u0, time = starts(system, 1)[0], 0.5
    exact = integrate(system, u0, 2.0**-11, round(time * 2**11))
    errors = [
        float((integrate(system, u0, 2.0**-p, round(time * 2**p), name) - exact).square().mean().sqrt())
        for p in (6, 7, 8, 9)
    ]
    slope = -float(np.polyfit([6, 7, 8, 9], np.log2(errors), 1)[0])
    what = f"order of {name}, Kolmogorov flow, ν = 0.01, N = 32, h = 1/64 … 1/512: regression"
    verify("steppers", what, slope, STEPPERS[name].order, 0.25, "declared", bound="least")


@multistep
def test_first_steps_keep_the_order(name: str, order: int, verify: Verify) -> None:
    """One step beyond the start, where an Euler start would err like h²."""
    errors = [
        abs(run(name, 0, lambda u: -u * u, dt, order) - 1 / (1 + order * dt)) for dt in (2.0**-p for p in range(6, 10))
    ]
    lowest = min(log2(coarse / fine) for coarse, fine in pairwise(errors))
    what = f"order of the local error of {name} in its first own step, u' = −u²"
    verify("steppers", what, lowest, order + 1, 0.25, "start by Runge–Kutta", bound="least")


@names
@given(rate=st.floats(-1e4, 1), frequency=st.floats(-30, 30), dt=st.floats(1e-3, 0.5))
def test_linear_part_and_constant_forcing_are_exact(name: str, rate: float, frequency: float, dt: float) -> None:
    sigma, forcing, steps = complex(rate, frequency), 0.3 - 0.7j, 6
    found = run(name, sigma, lambda u: torch.full_like(u, forcing), dt, steps, 1 + 0.5j)
    (phi_1,) = phi(torch.tensor([steps * dt * sigma], dtype=torch.complex128), 1)
    exact = cmath.exp(sigma * steps * dt) * (1 + 0.5j) + steps * dt * forcing * complex(phi_1)
    assert abs(found - exact) <= 1e-11 * (abs(exact) + steps * dt)


@multistep
def test_forcing_of_degree_below_the_order_is_integrated_exactly(name: str, order: int) -> None:
    """û_{n+1} = e^z û_n + h Σ g_j N(t_{n−j}) holds for u' = σu + t^{p−1} to round-off."""
    sigma, dt, power = -0.7 + 0.4j, 0.2, order - 1
    z = dt * sigma
    g = [complex(value) for value in weights(torch.tensor([z], dtype=torch.complex128), order)]
    for n in range(power, 11):
        extrapolated = sum(g[j] * ((n - j) * dt) ** power for j in range(order))
        step = cmath.exp(z) * _polynomially_forced(sigma, power, n * dt) + dt * extrapolated
        assert step == pytest.approx(_polynomially_forced(sigma, power, (n + 1) * dt), rel=1e-11)


def _polynomially_forced(sigma: complex, power: int, t: float) -> complex:
    """Solution of u' = σu + t^m from 0: m!/σ^{m+1} (e^{σt} − Σ_{j≤m} (σt)^j/j!)."""
    series = sum((sigma * t) ** j / factorial(j) for j in range(power + 1))
    return factorial(power) / sigma ** (power + 1) * (cmath.exp(sigma * t) - series)


@pytest.mark.parametrize(
    ("order", "classical"),
    [(2, [3 / 2, -1 / 2]), (3, [23 / 12, -16 / 12, 5 / 12]), (4, [55 / 24, -59 / 24, 37 / 24, -9 / 24])],
)
def test_weights_at_zero_are_the_classical_ones(order: int, classical: list[float], verify: Verify) -> None:
    found = [float(g) for g in weights(torch.zeros(1, dtype=torch.float64), order)]
    verify("steppers", f"weights of order {order} at z = 0", found, classical, 1e-14, "Adams–Bashforth")


@given(z=st.floats(-1e5, 1), order=st.integers(2, 4))
def test_weights_sum_to_the_weight_of_a_constant(z: float, order: int) -> None:
    point = torch.tensor([z], dtype=torch.float64)
    assert float(torch.stack(weights(point, order)).sum()) == pytest.approx(float(phi(point, 1)[0]), rel=1e-12)


def amplification(name: str, frequency: float) -> float:
    """Largest growth per step of u' = iyu with h = 1, treated explicitly."""
    if name == "etdrk4":
        return abs(run(name, 0, lambda u: 1j * frequency * u, 1.0, 1))
    g = [complex(value) for value in weights(torch.zeros(1, dtype=torch.complex128), STEPPERS[name].order)]
    companion = np.eye(len(g), k=-1, dtype=complex)
    companion[0] = [1j * frequency * value for value in g]
    companion[0, 0] += 1
    return float(np.abs(np.linalg.eigvals(companion)).max())


@pytest.mark.parametrize(("name", "known"), [("etdrk4", 2 * 2**0.5), ("etdab3", 0.7236), ("etdab4", 0.4300)])
def test_stability_interval_on_the_imaginary_axis(name: str, known: float, verify: Verify) -> None:
    """The scheme damps below the end and amplifies above; the Courant limits are its end over 2π/3."""
    end = bisect(lambda y: amplification(name, y) - 1 - 1e-10, 0.5 * known, 1.5 * known, xtol=1e-6)
    source = "2√2" if name == "etdrk4" else "roots of the characteristic polynomial"
    verify("steppers", f"end of the stability interval of {name} on the imaginary axis", end, known, 3e-3, source)
    assert all(amplification(name, y) <= 1 + 1e-9 for y in np.linspace(0, 0.99 * end, 50))
    assert 0.97 * end < COURANT_LIMITS[name] * 2 * pi / 3 <= end


@names
@pytest.mark.parametrize(("factor", "grows"), [(1.0, False), (2.5, True)])
def test_courant_limit_of_a_flow_without_dissipation(name: str, factor: float, grows: bool) -> None:
    """A steady vortex carries weak noise of every retained wavelength, which must not grow at the limit."""
    system = kolmogorov(1e-12, 32, drag=0.0, forcing_amplitude=0.0)
    x, y = phases(32)
    vortex = system.to_spectral((torch.cos(x) + torch.cos(y))[None])
    dt = factor * COURANT_LIMITS[name] / system.courant(vortex, 1.0)
    advance, weak = stepper(name, system, dt), 1e-9 * system.plane.retained * system.to_spectral(noise(system, 0)[0])
    u_hat = vortex + weak
    for _ in range(1000):
        u_hat = advance.step(u_hat)
        if not (growth := float((u_hat - vortex).norm() / weak.norm())) < 1e6:
            break
    assert (growth > 30) == grows


@names
def test_a_step_leaves_its_argument_alone(name: str) -> None:
    system = qg(points=16)
    advance, u_hat = stepper(name, system, 3600.0), system.to_spectral(starts(system, 2))
    for _ in range(6):
        before = u_hat.clone()
        following = advance.step(u_hat)
        assert torch.equal(u_hat, before)
        u_hat = following


@names
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_flows_step_on_the_device_and_in_the_type_of_the_system(name: str, dtype: torch.dtype) -> None:
    system = kolmogorov(0.01, 16, dtype, forcing_wavenumber=2)
    advance = stepper(name, system, 0.01)
    state: Tensor = system.to_spectral(starts(system, 1))
    for _ in range(5):
        state = advance.step(state)
    assert state.dtype == dtype.to_complex()


@pytest.mark.parametrize(("name", "tolerance"), [("etdab3", 1e-4), ("etdab4", 5e-6)])
def test_every_stepper_reaches_the_same_state(name: str, tolerance: float) -> None:
    """Frames of one flow agree between the schemes to what their steps resolve."""
    system = kolmogorov(0.02, 32, initial_speed=0.7)
    u0 = starts(system, 2)
    ours, exact = (list(frames(system, u0, Timing(0.004, 50, 4, 10, stepper=s))) for s in (name, "etdrk4"))
    for found, frame in zip(ours, exact, strict=True):
        torch.testing.assert_close(found, frame, rtol=0, atol=tolerance)
