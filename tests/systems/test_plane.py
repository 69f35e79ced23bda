"""The periodic square: transforms, derivatives, de-aliasing mask, truncation to the stored points, random fields."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import pi
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from flows import kolmogorov, largest, phases, qg, recorded, starts
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from thermalize.systems import System, Timing, frames
from thermalize.systems.plane import Plane, random_spectrum
from thermalize.systems.spectral import cutoff

if TYPE_CHECKING:
    from verification import Verify

pytest_plugins = ["verification"]

LENGTH = 5.0
seeds = st.integers(0, 2**32 - 1)
grids = st.tuples(st.integers(4, 12), st.integers(4, 24)).map(lambda halves: (2 * min(halves), 2 * max(halves)))
"""Stored points and solver points, M ≤ N."""


def waves(points: int, below: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Sum of three waves with indices below a limit, evaluated by its formula: f, f_x and f_y at the grid points."""
    rng, (x, y) = np.random.default_rng(seed), phases(points)
    found = torch.zeros(3, points, points, dtype=torch.float64)
    for k, l in rng.integers(-below + 1, below, (3, 2)):  # noqa: E741
        angle, scale = int(k) * x + int(l) * y + rng.uniform(0, 2 * pi), 2 * pi / LENGTH
        found += torch.stack([torch.cos(angle), -scale * k * torch.sin(angle), -scale * l * torch.sin(angle)])
    return found[0], found[1], found[2]


def white(points: int, seed: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((points, points)))


@given(points=st.integers(4, 30).map(lambda half: 2 * half), seed=seeds)
def test_transforms_are_inverse_to_each_other(points: int, seed: int) -> None:
    plane, u = Plane(points, LENGTH), white(points, seed)
    assert plane.to_spectral(u).shape == (points, points // 2 + 1)
    torch.testing.assert_close(plane.to_physical(plane.to_spectral(u)), u, rtol=0, atol=1e-13)


@given(points=st.integers(4, 30).map(lambda half: 2 * half), seed=seeds)
def test_derivatives_of_waves(points: int, seed: int) -> None:
    plane = Plane(points, LENGTH)
    f, f_x, f_y = waves(points, points // 2, seed)
    f_hat, size = plane.to_spectral(f), 2 * pi / LENGTH * points
    assert largest(plane.to_physical(plane.dx * f_hat) - f_x) < 1e-13 * size
    assert largest(plane.to_physical(plane.dy * f_hat) - f_y) < 1e-13 * size
    laplacian = plane.to_physical(-plane.k2 * f_hat)
    twice = plane.to_physical((plane.dx**2 + plane.dy**2) * f_hat)
    assert largest(laplacian - twice) < 1e-12 * size**2
    mean = f.mean()
    assert largest(plane.to_physical(plane.inverse_k2 * plane.k2 * f_hat) - (f - mean)) < 1e-13 * points


@pytest.mark.parametrize("points", [16, 18, 48, 64])
def test_derivatives_are_zero_at_the_highest_wave(points: int) -> None:
    plane = Plane(points, LENGTH)
    assert largest(plane.dx[:, -1]) == 0
    assert largest(plane.dy[points // 2]) == 0
    assert float(plane.inverse_k2[0, 0]) == 0


@pytest.mark.parametrize("points", [16, 48, 62, 64])
def test_mask_keeps_both_signs_alike(points: int) -> None:
    """A mask that is lopsided by one index would make a product of real fields complex."""
    kept, top = Plane(points, LENGTH).retained, cutoff(points)
    assert kept.sum() == (2 * top + 1) * (top + 1)
    assert torch.equal(kept[1:].flip(0), kept[1:])
    assert kept[top, top]
    assert not kept[top + 1].any()
    assert not kept[:, top + 1].any()


@given(sizes=grids, seed=seeds)
@recorded
def test_truncation_is_exact_for_waves_that_the_coarse_grid_holds(
    verify: Verify, sizes: tuple[int, int], seed: int
) -> None:
    coarse, fine = sizes
    plane = Plane(fine, LENGTH, coarse)
    exact = waves(coarse, coarse // 2, seed)[0]
    error = largest(plane.coarse(plane.to_spectral(waves(fine, coarse // 2, seed)[0])) - exact)
    verify("plane", "truncation N → M of waves with indices below M/2: largest error", error, 0, 1e-12, "exact")


@given(sizes=grids, seed=seeds)
@recorded
def test_truncation_commutes_with_derivatives(verify: Verify, sizes: tuple[int, int], seed: int) -> None:
    coarse, fine = sizes
    plane, small = Plane(fine, LENGTH, coarse), Plane(coarse, LENGTH)
    u_hat = plane.to_spectral(white(fine, seed))
    stored = small.to_spectral(plane.coarse(u_hat))
    errors = [
        largest(plane.coarse(table * u_hat) - small.to_physical(own * stored))
        for table, own in ((plane.dx, small.dx), (plane.dy, small.dy))
    ]
    error = max(errors) / (2 * pi / LENGTH * coarse)
    verify("plane", "truncation and differentiation of white noise commute, relative", error, 0, 1e-12, "exact")


@given(sizes=grids, seed=seeds)
def test_truncation_removes_what_the_coarse_grid_cannot_hold(sizes: tuple[int, int], seed: int) -> None:
    """Energy is that of the kept modes: nothing is folded back, and the mean stays."""
    coarse, fine = sizes
    plane = Plane(fine, LENGTH, coarse)
    u = white(fine, seed)
    u_hat, half = plane.to_spectral(u), coarse // 2
    kept = (plane.l.abs() * LENGTH / (2 * pi) < half - 0.5) & (plane.k * LENGTH / (2 * pi) < half - 0.5)
    low = plane.to_physical(u_hat * (kept if coarse < fine else torch.ones_like(kept)))
    found = plane.coarse(u_hat)
    assert float(found.mean()) == pytest.approx(float(u.mean()), abs=1e-14)
    assert float(found.square().mean()) == pytest.approx(float(low.square().mean()), rel=1e-12)


def test_axes_are_those_of_the_stored_points() -> None:
    plane = Plane(64, LENGTH, 16)
    assert list(plane.axes()) == ["y", "x"]
    for axis in plane.axes().values():
        np.testing.assert_allclose(axis, np.arange(16) * LENGTH / 16, rtol=1e-15)
    values = plane.coarse(plane.to_spectral(torch.sin(phases(64)[0] + 2 * phases(64)[1])))
    x, y = (torch.from_numpy(plane.axes()[name]) * 2 * pi / LENGTH for name in ("x", "y"))
    assert largest(values - torch.sin(x[None, :] + 2 * y[:, None])) < 1e-14


@pytest.mark.parametrize(("build", "dt"), [(partial(kolmogorov, 0.02), 0.002), (qg, 3600.0)], ids=["kolmogorov", "qg"])
def test_truncating_during_the_run_is_truncating_afterwards(
    build: Callable[..., System], dt: float, verify: Verify
) -> None:
    """What is stored is the solver's state without its short waves; the solver goes on with all of them."""
    system, whole = build(points=48, stored_points=16), build(points=48)
    u0, plane = starts(system, 2), Plane(48, system.lengths[0], 16)
    timing = Timing(dt, 20, 3, 10)
    errors = []
    for stored, state in zip(frames(system, u0, timing), frames(whole, u0, timing), strict=True):
        assert stored.shape[-2:] == (16, 16)
        exact = plane.coarse(plane.to_spectral(state))
        errors.append(largest(stored - exact) / largest(exact))
    what = f"{system.variable}: truncation during the run and afterwards, relative difference"
    verify("plane", what, max(errors), 0, 1e-12, "exact")


@given(points=st.integers(8, 24).map(lambda half: 2 * half), seed=seeds)
def test_random_fields_are_real_without_a_mean_and_the_same_on_finer_grids(points: int, seed: int) -> None:
    coarse, fine = (random_spectrum(np.random.default_rng(seed), n, 5) for n in (points, 2 * points))
    plane = Plane(points, LENGTH)
    u = plane.to_physical(coarse)
    assert largest(plane.to_spectral(u) - coarse) < 1e-12 * points**2
    assert abs(float(u.mean())) < 1e-14
    finer = Plane(2 * points, LENGTH).to_physical(fine)
    torch.testing.assert_close(finer[::2, ::2], u, rtol=0, atol=1e-12)
    outside = (plane.k * LENGTH / (2 * pi) > 5.5) | (plane.l.abs() * LENGTH / (2 * pi) > 5.5)
    assert largest(coarse[outside]) == 0
    assert float(u.square().mean()) > 1
