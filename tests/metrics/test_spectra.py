"""Shell spectra: exact Parseval, single waves, white noise, bands and the log-spectral distance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thermalize.metrics.reference import bands_of
from thermalize.metrics.spectra import Shells, energy_containing, log_spectral_distance, octave_bands

sizes = st.integers(2, 40)
sides = st.floats(0.3, 80.0)


@settings(deadline=None, max_examples=60)
@given(n=sizes, length=sides, channels=st.integers(1, 3), seed=st.integers(0, 10**6))
def test_parseval_in_one_dimension(n, length, channels, seed):
    u = np.random.default_rng(seed).normal(1.0, 2.0, (4, channels, n))
    spectrum = Shells((n,), (length,)).spectrum(u)
    assert spectrum.shape == (4, channels, n // 2 + 1)
    np.testing.assert_allclose(spectrum.sum(-1), (u**2).mean(-1), rtol=1e-12)


@settings(deadline=None, max_examples=60)
@given(shape=st.tuples(sizes, sizes), lengths=st.tuples(sides, sides), seed=st.integers(0, 10**6))
def test_parseval_in_two_dimensions(shape, lengths, seed):
    u = np.random.default_rng(seed).normal(1.0, 2.0, (3, 2, *shape))
    spectrum = Shells(shape, lengths).spectrum(u)
    np.testing.assert_allclose(spectrum.sum(-1), (u**2).mean((-1, -2)), rtol=1e-12)


@pytest.mark.parametrize("n", [15, 16])
@pytest.mark.parametrize("wave", [1, 3, 7])
def test_a_sine_lies_in_one_shell(n, wave):
    length = 5.0
    shells = Shells((n,), (length,))
    x = length * np.arange(n) / n
    u = 0.3 * np.sin(2 * np.pi * wave * x / length + 0.4)[None]
    spectrum = shells.spectrum(u)[0]
    assert spectrum[wave] == pytest.approx(0.5 * 0.3**2, rel=1e-12)
    assert np.delete(spectrum, wave) == pytest.approx(0.0, abs=1e-15)
    assert shells.wavenumber[wave] == pytest.approx(2 * np.pi * wave / length)


def test_a_plane_wave_lies_in_the_shell_of_its_length():
    """k = (3, 4) has |k| = 5; on a domain half as long in x, k_x counts twice."""
    n = 24
    y, x = np.meshgrid(*[2 * np.pi * np.arange(n) / n] * 2, indexing="ij")
    u = np.cos(3 * y + 4 * x)[None]
    spectrum = Shells((n, n), (1.0, 1.0)).spectrum(u)[0]
    assert spectrum[5] == pytest.approx(0.5, rel=1e-12)
    stretched = Shells((n, n), (1.0, 0.5)).spectrum(u)[0]
    assert stretched[round(np.hypot(3, 8))] == pytest.approx(0.5, rel=1e-12)


def test_white_noise_fills_shells_by_their_number_of_modes():
    rng = np.random.default_rng(3)
    u = rng.normal(size=(4000, 1, 16, 16))
    shells = Shells((16, 16), (1.0, 1.0))
    one_hot = np.zeros((16, 16))
    one_hot[0, 0] = 16  # flat spectrum: every one of the 256 modes holds 1/256 of the variance
    expected = shells.spectrum(one_hot[None])
    np.testing.assert_allclose(shells.spectrum(u).mean(0), expected, rtol=0.05)
    assert expected.sum() == pytest.approx(1.0)


def test_channels_keep_their_own_spectra():
    u = np.random.default_rng(0).normal(size=(3, 2, 20)) * [[[1.0], [1e-3]]]
    shells = Shells((20,), (1.0,))
    np.testing.assert_array_equal(shells.spectrum(u)[:, 1], shells.spectrum(u[:, 1:])[:, 0])


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


def test_energy_containing_shells_of_every_channel():
    """The second channel is steeper, the third is constant."""
    spectra = np.array([[9.0, 4.0, 3.0, 2.0, 1.0], [0.0, 1e-8, 1e-9, 1e-12, 0.0], [7.0, 0.0, 0.0, 0.0, 0.0]])
    found = energy_containing(spectra, 0.89, 4)
    np.testing.assert_array_equal(found, [[0, 1, 1, 1, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]])
    bands = bands_of(np.concatenate([found, energy_containing(spectra[:1], 0.999, 4)]))
    assert bands == [(0, 1, 3), (1, 1, 1), (3, 1, 3), (3, 4, 4)]


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


def test_every_chosen_shell_of_every_channel_counts_alike():
    """A channel 10⁸ times weaker, in which one of its two shells is off by two decades; three shells count."""
    reference = np.array([[1.0, 2.0, 0.5], [1e-8, 3e-8, 1e-9]])
    shells = np.array([[True, False, False], [True, True, False]])
    spectrum = reference * np.array([[1.0, 5.0, 5.0], [1.0, 100.0, 5.0]])
    assert log_spectral_distance(spectrum, reference, shells) == pytest.approx(2 / np.sqrt(3))
    drawn = np.stack([reference, spectrum])
    np.testing.assert_allclose(log_spectral_distance(drawn, reference, shells), [0, 2 / np.sqrt(3)])
    assert np.isnan(log_spectral_distance(drawn, reference, shells & False)).tolist() == [True, True]
    noise = np.array([[1e-3], [1e-7]])
    assert log_spectral_distance(spectrum, reference, shells, noise) == pytest.approx(np.log10(30) / np.sqrt(3))


def test_what_is_below_the_resolution_of_storage_does_not_count():
    spectrum, reference = np.array([1.0, 0.0]), np.array([1.0, 1e-20])
    assert log_spectral_distance(spectrum, reference, np.array([True, True]), resolution=1e-15) == 0
