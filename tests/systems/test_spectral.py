"""Fourier axis: grid, wavenumbers, derivative, de-aliasing cut-off."""

from __future__ import annotations

from math import pi

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from thermalize.systems.spectral import cutoff, derivative, grid, retained, wavenumbers


def test_axis_of_eight_points() -> None:
    torch.testing.assert_close(grid(8, 4.0), torch.arange(8, dtype=torch.float64) / 2)
    torch.testing.assert_close(wavenumbers(8, 4.0), torch.arange(5, dtype=torch.float64) * pi / 2)


@pytest.mark.parametrize(("points", "highest"), [(16, 5), (32, 10), (48, 15), (64, 21), (100, 33), (128, 42)])
def test_cutoff_of_common_grids(points: int, highest: int) -> None:
    assert cutoff(points) == highest
    assert retained(points).nonzero().flatten().tolist() == list(range(highest + 1))


@given(points=st.integers(2, 500).map(lambda half: 2 * half))
def test_cutoff_is_the_highest_without_aliasing(points: int) -> None:
    """The sum 2n of two retained indices folds back to N − 2n, which must lie above n."""
    n = cutoff(points)
    assert points - 2 * n > n
    assert points - 2 * (n + 1) <= n + 1


def test_derivative_is_exact_below_the_nyquist_wave_and_zero_there() -> None:
    points, length = 16, 5.0
    phase = 2 * pi / length * grid(points, length)
    u = sum(torch.sin(n * phase + n) for n in range(1, 8)) + torch.cos(8 * phase)
    u_x = sum(2 * pi * n / length * torch.cos(n * phase + n) for n in range(1, 8))
    result = torch.fft.irfft(derivative(points, length) * torch.fft.rfft(u), n=points)
    torch.testing.assert_close(result, u_x, rtol=0, atol=1e-12)
    assert derivative(points, length)[-1] == 0
