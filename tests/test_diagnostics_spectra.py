"""Shell spectra: exact Parseval, single waves, white noise, bands and the log-spectral distance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thermalize.diagnostics.spectra import Shells, energy_containing, log_spectral_distance, octave_bands

sizes = st.integers(2, 40)
sides = st.floats(0.3, 80.0)


@settings(deadline=None, max_examples=60)
@given(n=sizes, length=sides, channels=st.integers(1, 3), seed=st.integers(0, 10**6))
def test_parseval_in_one_dimension(n, length, channels, seed):
    u = np.random.default_rng(seed).normal(1.0, 2.0, (4, channels, n))
    spectrum = Shells((n,), (length,)).spectrum(u)
    assert spectrum.shape == (4, n // 2 + 1)
    np.testing.assert_allclose(spectrum.sum(-1), (u**2).mean(-1).sum(-1), rtol=1e-12)


@settings(deadline=None, max_examples=60)
@given(shape=st.tuples(sizes, sizes), lengths=st.tuples(sides, sides), seed=st.integers(0, 10**6))
def test_parseval_in_two_dimensions(shape, lengths, seed):
    u = np.random.default_rng(seed).normal(1.0, 2.0, (3, 2, *shape))
    spectrum = Shells(shape, lengths).spectrum(u)
    np.testing.assert_allclose(spectrum.sum(-1), (u**2).mean((-1, -2)).sum(-1), rtol=1e-12)


@pytest.mark.parametrize("n", [15, 16])
@pytest.mark.parametrize("wave", [1, 3, 7])
def test_a_sine_lies_in_one_shell(n, wave):
    length = 5.0
    shells = Shells((n,), (length,))
    x = length * np.arange(n) / n
    u = 0.3 * np.sin(2 * np.pi * wave * x / length + 0.4)[None]
    spectrum = shells.spectrum(u)
    assert spectrum[wave] == pytest.approx(0.5 * 0.3**2, rel=1e-12)
    assert np.delete(spectrum, wave) == pytest.approx(0.0, abs=1e-15)
    assert shells.wavenumber[wave] == pytest.approx(2 * np.pi * wave / length)


def test_a_plane_wave_lies_in_the_shell_of_its_length():
    """k = (3, 4) has |k| = 5; on a domain half as long in x, k_x counts twice."""
    n = 24
    y, x = np.meshgrid(*[2 * np.pi * np.arange(n) / n] * 2, indexing="ij")
    u = np.cos(3 * y + 4 * x)[None]
    spectrum = Shells((n, n), (1.0, 1.0)).spectrum(u)
    assert spectrum[5] == pytest.approx(0.5, rel=1e-12)
    stretched = Shells((n, n), (1.0, 0.5)).spectrum(u)
    assert stretched[round(np.hypot(3, 8))] == pytest.approx(0.5, rel=1e-12)


@pytest.mark.parametrize("shape", [(31,), (32,), (12, 18), (15, 9)])
def test_gradient_variance_is_that_of_the_derivative(shape):
    """Against k² sin²: each mode k of variance ½ contributes k²/2."""
    lengths = tuple(2 * np.pi for _ in shape)
    grid = np.meshgrid(*[2 * np.pi * np.arange(n) / n for n in shape], indexing="ij")
    u = (np.sin(2 * grid[-1]) + np.cos(3 * grid[0] + 0.2))[None]
    shells = Shells(shape, lengths)
    assert shells.gradient_variance(shells.power(u)) == pytest.approx((4 + 9) / 2, rel=1e-12)


def test_white_noise_fills_shells_by_their_number_of_modes():
    rng = np.random.default_rng(3)
    u = rng.normal(size=(4000, 1, 16, 16))
    shells = Shells((16, 16), (1.0, 1.0))
    one_hot = np.zeros((16, 16))
    one_hot[0, 0] = 16  # flat spectrum: every one of the 256 modes holds 1/256 of the variance
    expected = shells.spectrum(one_hot[None])
    np.testing.assert_allclose(shells.spectrum(u).mean(0), expected, rtol=0.05)
    assert expected.sum() == pytest.approx(1.0)


def test_channels_are_summed():
    u = np.random.default_rng(0).normal(size=(3, 2, 20))
    shells = Shells((20,), (1.0,))
    np.testing.assert_allclose(shells.spectrum(u), shells.spectrum(u[:, :1]) + shells.spectrum(u[:, 1:]))


@pytest.mark.parametrize(
    ("shape", "lengths", "limit"), [((128,), (64.0,), 42), ((63,), (1.0,), 20), ((64, 32), (2.0, 1.0), 20)]
)
def test_dealiasing_limit(shape, lengths, limit):
    assert Shells(shape, lengths).limit == limit


def test_energy_containing_shells_leave_out_the_mean_and_stop_at_the_share():
    spectrum = np.array([50.0, 4.0, 3.0, 2.0, 0.9, 0.1])
    np.testing.assert_array_equal(np.flatnonzero(energy_containing(spectrum, 0.9, 5)), [1, 2, 3])
    np.testing.assert_array_equal(np.flatnonzero(energy_containing(spectrum, 0.95, 5)), [1, 2, 3, 4])
    np.testing.assert_array_equal(np.flatnonzero(energy_containing(spectrum, 0.999, 3)), [1, 2, 3])


def test_octave_bands_cover_every_shell_once():
    assert octave_bands(20) == [(1, 3), (4, 7), (8, 15), (16, 20)]
    assert octave_bands(2) == [(1, 2)]
    for last in range(1, 70):
        covered = [shell for a, b in octave_bands(last) for shell in range(a, b + 1)]
        assert covered == list(range(1, last + 1))


def test_log_spectral_distance_is_in_decades():
    reference = np.array([1.0, 2.0, 0.5, 1e-3])
    shells = np.array([True, True, True, False])
    assert log_spectral_distance(reference, reference, shells) == 0
    assert log_spectral_distance(10 * reference, reference, shells) == pytest.approx(1.0)
    assert log_spectral_distance(reference, 10 * reference, shells) == pytest.approx(1.0)
    one_off = reference * np.array([100.0, 1.0, 1.0, 7.0])
    assert log_spectral_distance(one_off, reference, shells) == pytest.approx(2 / np.sqrt(3))
    assert np.isnan(log_spectral_distance(reference, reference, np.zeros(4, bool)))


def test_what_is_below_the_resolution_of_storage_does_not_count():
    spectrum, reference = np.array([1.0, 0.0]), np.array([1.0, 1e-20])
    assert log_spectral_distance(spectrum, reference, np.array([True, True]), resolution=1e-15) == 0
