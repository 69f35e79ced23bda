"""Kuramoto–Sivashinsky: tendency, growth rates, budgets, symmetries, reference trajectories."""

from __future__ import annotations

import platform
from itertools import pairwise
from math import log, log2, pi
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from flows import recorded
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from thermalize.config import KuramotoSivashinskyConfig
from thermalize.systems import System, Timing, build, frames, stepper
from thermalize.systems.etdrk4 import ETDRK4
from thermalize.systems.spectral import cutoff, derivative

if TYPE_CHECKING:
    from verification import Verify

pytest_plugins = ["verification"]

seeds = st.integers(0, 2**32 - 1)
even = st.integers(20, 60).map(lambda half: 2 * half)


def ks(length: float = 22.0, points: int = 64, dtype: torch.dtype = torch.float64) -> System:
    return build(KuramotoSivashinskyConfig(kind="ks", length=length, points=points), dtype)


def coordinate(system: System) -> Tensor:
    return torch.from_numpy(system.axes["x"])


def two_waves(system: System) -> Tensor:
    """u = cos qx + 0.1 sin 2qx, q = 2π/L, [1, x]."""
    qx = 2 * pi / system.lengths[0] * coordinate(system)
    return (torch.cos(qx) + 0.1 * torch.sin(2 * qx)).unsqueeze(0)


def noise(system: System, seed: int, members: int = 1) -> Tensor:
    """White noise on every mode the grid carries, also those above the de-aliasing cut-off, [member, 1, x]."""
    shape = (members, 1, len(system.axes["x"]))
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def integrate(system: System, u0: Tensor, dt: float, time: float) -> Tensor:
    """State [1, x] at the given time from u0 [1, x]."""
    return list(frames(system, u0.unsqueeze(0), Timing(dt, round(time / dt), 2, 0)))[1][0]


def rms(u: Tensor) -> float:
    return float(u.square().mean().sqrt())


def largest(u: Tensor) -> float:
    return float(u.abs().max())


def test_description_of_the_system() -> None:
    system = ks(22.0, 64)
    assert (system.variable, system.units, system.channels, system.lengths) == ("velocity", "1", ("u",), (22.0,))
    assert system.equation == "u_t = -1/2 (u^2)_x - u_xx - u_xxxx"
    assert list(system.axes) == ["x"]
    np.testing.assert_allclose(system.axes["x"], np.arange(64) * 22 / 64, rtol=1e-15)
    assert ETDRK4.order == 4


@given(points=even, seed=seeds)
@settings(max_examples=20, deadline=None)
def test_transforms_are_inverse_to_each_other(points: int, seed: int) -> None:
    system = ks(points / 4, points)
    u = noise(system, seed, members=2)
    assert system.to_spectral(u).shape == (2, 1, points // 2 + 1)
    torch.testing.assert_close(system.to_physical(system.to_spectral(u)), u, rtol=0, atol=1e-13)


def test_tendency_of_two_waves_in_closed_form(verify: Verify) -> None:
    """u_t = −u u_x − u_xx − u_xxxx of cos qx + 0.1 sin 2qx, differentiated by hand."""
    system = ks(22.0, 64)
    q, x = 2 * pi / 22, coordinate(ks(22.0, 64))
    c1, s1, c2, s2 = torch.cos(q * x), torch.sin(q * x), torch.cos(2 * q * x), torch.sin(2 * q * x)
    by_hand = -(c1 + 0.1 * s2) * (-q * s1 + 0.2 * q * c2) + q**2 * (c1 + 0.4 * s2) - q**4 * (c1 + 1.6 * s2)
    tendency = system.tendency(two_waves(system))[0]
    what = "tendency of cos qx + 0.1 sin 2qx, L = 22, N = 64"
    verify("ks", f"{what}: largest error", largest(tendency - by_hand), 0, 5e-12, "differentiated by hand")
    verify("ks", f"{what}: rms", rms(tendency), 0.12781388855, 1e-11, "exponax, jax-cfd")


@pytest.mark.parametrize("mode", [1, 2, 3, 4, 8])
def test_growth_rates_of_small_waves(mode: int, verify: Verify) -> None:
    system = ks(22.0, 64)
    k = 2 * pi * mode / 22
    u0 = 1e-8 * torch.cos(k * coordinate(system)).reshape(1, 1, -1)
    time = 10.0 if mode < 8 else 0.2
    first, last = (
        float(system.to_spectral(u)[0, 0, mode].abs()) for u in frames(system, u0, Timing(0.1, round(time / 0.1), 2, 0))
    )
    rate = log(last / first) / time
    verify("ks", f"growth rate of mode {mode}, L = 22, amplitude 1e−8", rate, k**2 - k**4, 1e-9, "k² − k⁴")


def test_growth_rates_at_length_22_are_the_published_ones() -> None:
    np.testing.assert_allclose(ks().linear[1:5], [0.0749, 0.2198, 0.1952, -0.3981], atol=5e-5)


@given(points=even, seed=seeds)
@recorded
def test_advection_neither_creates_nor_destroys_energy(verify: Verify, points: int, seed: int) -> None:
    system = ks(points / 4, points)
    u = noise(system, seed)
    n = system.to_physical(system.nonlinear(system.to_spectral(u)))
    assert rms(n) > 0.01
    transfer = float((u * n).mean()) / (rms(u) * rms(n))
    verify("ks", "⟨u 𝓝(u)⟩ / (rms u · rms 𝓝), white noise", transfer, 0, 1e-14, "exact")


@given(seed=seeds, length=st.floats(10, 40))
@recorded
def test_energy_budget(verify: Verify, seed: int, length: float) -> None:
    """d/dt ½⟨u²⟩ = ⟨u u_t⟩ = ⟨u_x²⟩ − ⟨u_xx²⟩."""
    system = ks(length, 64)
    u = system.initial_condition(np.random.default_rng(seed))
    ik = derivative(64, length)
    u_x, u_xx = (system.to_physical(ik**order * system.to_spectral(u)) for order in (1, 2))
    production, dissipation = float(u_x.square().mean()), float(u_xx.square().mean())
    residual = (float((u * system.tendency(u)).mean()) - production + dissipation) / (production + dissipation)
    verify("ks", "⟨u u_t⟩ = ⟨u_x²⟩ − ⟨u_xx²⟩, relative residual", residual, 0, 1e-13, "exact")


@given(points=even, seed=seeds)
@recorded
def test_product_is_free_of_aliasing(verify: Verify, points: int, seed: int) -> None:
    """𝓝(û)_n = −½ ik_n Σ_{p+q=n} û_p û_q over the retained p and q, and zero for n > ⌊(N−1)/3⌋."""
    system, top = ks(points / 4, points), cutoff(points)
    u_hat = system.to_spectral(noise(system, seed))[0, 0]
    retained = torch.cat([u_hat[1 : top + 1].flip(0).conj(), u_hat[: top + 1]]).numpy()
    convolution = np.convolve(retained, retained)[2 * top : 3 * top + 1] / points
    k = 2 * pi * np.arange(top + 1) / (points / 4)
    advection = system.nonlinear(u_hat)
    error = np.abs(advection[: top + 1].numpy() + 0.5j * k * convolution).max() / points
    verify("ks", "𝓝 against its convolution sum, white noise, error per mode / N", error, 0, 1e-13, "exact")
    assert largest(advection[top + 1 :]) == 0


@pytest.mark.parametrize("points", [48, 62, 64])
def test_square_of_the_highest_retained_wave_is_lost_not_folded(points: int) -> None:
    system = ks(points / 4, points)
    wave = torch.cos(2 * pi * cutoff(points) * torch.arange(points, dtype=torch.float64) / points)
    assert largest(system.nonlinear(system.to_spectral(wave))) < 1e-10


def test_nyquist_wave_only_decays() -> None:
    system = ks(22.0, 64)
    saw = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(32).unsqueeze(0)
    k = 2 * pi * 32 / 22
    torch.testing.assert_close(system.tendency(saw), (k**2 - k**4) * saw, rtol=1e-12, atol=0)


@given(seed=seeds, shift=st.floats(0, 1))
@recorded
def test_translation_by_any_fraction_of_a_cell(verify: Verify, seed: int, shift: float) -> None:
    """û_n → û_n e^{−ik_n s} commutes with the tendency; aliasing would break it between grid points."""
    system = ks(22.0, 64)
    turn = torch.exp(-derivative(64, 22.0) * shift * 22 / 64)
    u_hat = system.to_spectral(noise(system, seed))
    u_hat[..., 32] = 0
    error = largest(system.nonlinear(turn * u_hat) - turn * system.nonlinear(u_hat)) / 64
    verify("ks", "translation by a fraction of a cell, error of 𝓝 / N", error, 0, 1e-13, "exact")


@pytest.mark.parametrize("cells", [1, 17])
def test_translated_start_gives_translated_run(cells: int, verify: Verify) -> None:
    system = ks(22.0, 64)
    u0 = system.initial_condition(np.random.default_rng(0))
    shifted = integrate(system, u0.roll(cells, -1), 0.05, 5.0)
    error = largest(shifted - integrate(system, u0, 0.05, 5.0).roll(cells, -1))
    verify("ks", "translated start, T = 5", error, 0, 1e-12, "exact")


def reflect(u: Tensor) -> Tensor:
    """u(x) → −u(−x)."""
    return -u.flip(-1).roll(1, -1)


def test_reflected_start_gives_reflected_run(verify: Verify) -> None:
    system = ks(22.0, 64)
    u0 = system.initial_condition(np.random.default_rng(1))
    mirrored = integrate(system, reflect(u0), 0.05, 5.0)
    error = largest(mirrored - reflect(integrate(system, u0, 0.05, 5.0)))
    verify("ks", "reflected start, T = 5", error, 0, 1e-12, "exact")


def test_odd_states_stay_odd(verify: Verify) -> None:
    system = ks(22.0, 64)
    x = 2 * pi / 22 * coordinate(system)
    u0 = (torch.sin(x) - 0.5 * torch.sin(2 * x) + 0.2 * torch.sin(3 * x)).unsqueeze(0)
    u = integrate(system, u0, 0.05, 10.0)
    assert rms(u - u0) > 0.1
    verify("ks", "odd states stay odd, T = 10", largest(u - reflect(u)), 0, 1e-12, "exact")


@pytest.mark.parametrize("mean", [0.0, 0.75])
def test_mean_is_conserved(mean: float, verify: Verify) -> None:
    system = ks(22.0, 64)
    u0 = system.initial_condition(np.random.default_rng(2)) + mean
    drift = [abs(float(u.mean()) - mean) for u in frames(system, u0.unsqueeze(0), Timing(0.1, 100, 11, 0))]
    verify("ks", "drift of the mean, T = 100", max(drift), 0, 1e-13, "exact")


def test_moving_frame(verify: Verify) -> None:
    """u(x, t) + c, seen in the frame that moves with c, solves the equation too."""
    system, speed, time = ks(22.0, 64), 0.5, 4.0
    u0 = system.initial_condition(np.random.default_rng(3))
    moving = integrate(system, u0 + speed, 0.01, time)
    carried = torch.exp(-derivative(64, 22.0) * speed * time)
    expected = speed + system.to_physical(carried * system.to_spectral(integrate(system, u0, 0.01, time)))
    verify("ks", "frame moving with 0.5, T = 4, dt = 0.01", largest(moving - expected), 0, 1e-7, "exact")


REFERENCE = [(5.0, 0.933188417350, 0.293599484915), (20.0, 1.120949750825, -0.123063936909)]


@pytest.mark.parametrize(("time", "amplitude", "value"), REFERENCE)
def test_reference_trajectory(time: float, amplitude: float, value: float, verify: Verify) -> None:
    system = ks(22.0, 128)
    u = integrate(system, two_waves(system), 0.005, time)
    what = f"two waves, L = 22, N = 128, dt = 0.005, T = {time:g}: rms, u(0)"
    verify("ks", what, [rms(u), float(u[0, 0])], [amplitude, value], 2e-9, "independent ETDRK4, dt = 0.001")


@pytest.mark.slow
@pytest.mark.parametrize(("time", "amplitude", "value"), REFERENCE)
def test_reference_trajectory_with_the_step_of_the_reference(
    time: float, amplitude: float, value: float, verify: Verify
) -> None:
    system = ks(22.0, 128)
    u = integrate(system, two_waves(system), 0.001, time)
    what = f"the same, dt = 0.001, T = {time:g}: rms, u(0)"
    verify("ks", what, [rms(u), float(u[0, 0])], [amplitude, value], 5e-12, "independent ETDRK4, dt = 0.001")


@pytest.fixture(scope="module")
def converged() -> Tensor:
    """The two waves at T = 20 on 128 points with dt = 1/128, [1, x]."""
    system = ks(22.0, 128)
    return integrate(system, two_waves(system), 1 / 128, 20.0)


@pytest.mark.parametrize(("dt", "error"), [(0.25, 8e-4), (0.0625, 1e-5)])
def test_error_of_a_step(dt: float, error: float, converged: Tensor, verify: Verify) -> None:
    system = ks(22.0, 128)
    found = largest(integrate(system, two_waves(system), dt, 20.0) - converged)
    what = f"largest error at T = 20, L = 22, dt = {dt:g}"
    verify("ks", what, found, error, 0.2, "independent ETDRK4", relative=True)


@pytest.mark.parametrize(("points", "error", "dt"), [(32, 2e-3, 1 / 128), (64, 7e-9, 1 / 128)])
def test_error_of_a_grid(points: int, error: float, dt: float, converged: Tensor, verify: Verify) -> None:
    system = ks(22.0, points)
    found = largest(integrate(system, two_waves(system), dt, 20.0) - converged[:, :: 128 // points])
    what = f"largest error at T = 20, L = 22, N = {points}"
    verify("ks", what, found, error, 0.5, "independent ETDRK4", relative=True)


@pytest.mark.slow
def test_reference_trajectory_of_kassam_and_trefethen(verify: Verify) -> None:
    """u₀ = cos(x/16)(1 + sin(x/16)) on L = 32π."""
    source = "independent ETDRK4, N = 512"
    system, coarse = ks(32 * pi, 256), ks(32 * pi, 128)
    x = coordinate(system) / 16
    u0 = (torch.cos(x) * (1 + torch.sin(x))).unsqueeze(0)
    for time, amplitude, value in ((10.0, 0.846265572, 0.587967873), (30.0, 0.498136257, 0.311198597)):
        u, what = integrate(system, u0, 0.0025, time), f"cos ξ (1 + sin ξ), ξ = x/16, L = 32π, N = 256, T = {time:g}"
        verify("ks", f"{what}: rms", rms(u), amplitude, 2e-9, source)
        verify("ks", f"{what}: u(0)", float(u[0, 0]), value, 2e-7, source)
    error = largest(integrate(coarse, u0[:, ::2], 0.0025, 30.0) - u[:, ::2])
    verify("ks", "the same, N = 128: largest error", error, 2e-3, 0.5, source, relative=True)


@pytest.mark.parametrize("time", [5.0, 20.0])
def test_observed_order_rises_towards_four(time: float, verify: Verify) -> None:
    """Stiffness holds the order near 3 at practical steps."""
    system = ks(22.0, 64)
    reference = integrate(system, two_waves(system), 1 / 128, time)
    errors = [
        largest(integrate(system, two_waves(system), h, time) - reference) for h in (1 / 4, 1 / 8, 1 / 16, 1 / 32)
    ]
    slopes = [log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert errors[0] < 1.2e-3
    what = f"observed order of ETDRK4, T = {time:g}, h = ¼ … 1/32: the lowest"
    verify("ks", what, slopes[0], 2.8, 0, "stiff order reduction, independent ETDRK4", bound="least")
    assert all(later > earlier for earlier, later in pairwise(slopes))


def test_members_of_a_block_do_not_see_each_other() -> None:
    """Together or alone a member takes the same path; where rows are vectorised otherwise, up to round-off."""
    system = ks(22.0, 64)
    u0 = torch.stack([system.initial_condition(np.random.default_rng(member)) for member in range(5)])
    together = torch.stack(list(frames(system, u0, Timing(0.1, 10, 4, 7))))
    alone = [torch.stack(list(frames(system, u0[m : m + 1], Timing(0.1, 10, 4, 7)))) for m in range(5)]
    tolerance = 0.0 if platform.machine() == "x86_64" else 1e-11
    torch.testing.assert_close(together, torch.cat(alone, dim=1), rtol=0, atol=tolerance)


def test_further_leading_axes_are_a_batch_too() -> None:
    system = ks(22.0, 64)
    u = noise(system, 5, members=6)
    shaped = system.tendency(u.reshape(2, 3, 1, 64))
    torch.testing.assert_close(shaped.reshape(6, 1, 64), system.tendency(u), rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_everything_a_step_needs_is_on_the_device_of_the_system(dtype: torch.dtype) -> None:
    """The meta device computes shapes only, and refuses operands from anywhere else."""
    system = build(KuramotoSivashinskyConfig(kind="ks", length=22.0, points=64), dtype, "meta")
    u = system.initial_condition(np.random.default_rng(0))
    stepped = system.to_physical(stepper("etdrk4", system, 0.1).step(system.to_spectral(u)))
    for state in (u, stepped, system.tendency(u)):
        assert (state.device.type, state.dtype, state.shape) == ("meta", dtype, (1, 64))


def test_single_precision_follows_double(verify: Verify) -> None:
    double, single = ks(22.0, 64), ks(22.0, 64, torch.float32)
    u = integrate(single, two_waves(double).float(), 0.1, 5.0)
    assert u.dtype == torch.float32
    error = largest(u.double() - integrate(double, two_waves(double), 0.1, 5.0))
    assert error > 1e-9
    verify("ks", "float32 against float64, T = 5", error, 0, 2e-5, "round-off, amplified")


def test_initial_condition_is_smooth_noise_of_unit_size() -> None:
    system = ks(22.0, 64)
    u = system.initial_condition(np.random.default_rng(0))
    assert u.shape == (1, 64)
    assert float(u.mean()) == pytest.approx(0, abs=1e-15)
    assert rms(u) == pytest.approx(1, abs=1e-14)
    spectrum = system.to_spectral(u)[0].abs()
    below = 2 * pi * torch.arange(33) / 22 < 2
    assert largest(spectrum[~below]) < 1e-13
    assert float(spectrum[below][1:].min()) > 1e-3


def test_initial_condition_depends_on_its_stream_alone() -> None:
    coarse, fine = ks(22.0, 64), ks(22.0, 128)
    first, again = (coarse.initial_condition(np.random.default_rng(7)) for _ in range(2))
    assert torch.equal(first, again)
    torch.testing.assert_close(fine.initial_condition(np.random.default_rng(7))[:, ::2], first, rtol=0, atol=1e-13)
    assert rms(coarse.initial_condition(np.random.default_rng(8)) - first) > 0.1


def test_courant_number_counts_cells_per_step() -> None:
    u = torch.zeros(2, 1, 64, dtype=torch.float64)
    u[1, 0, 5] = -3.0
    system = ks(22.0, 64)
    assert system.courant(system.to_spectral(u), 0.1) == pytest.approx(3 * 0.1 * 64 / 22)


def test_grid_without_dissipation_range_is_refused_with_one_that_has() -> None:
    with pytest.raises(ValidationError, match=r"points = 32 is too coarse for length = 60.*try points: 74"):
        ks(60.0, 32)
    assert ks(60.0, 74).lengths == (60.0,)
