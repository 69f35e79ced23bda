"""A field of one channel: every number is what the definitions for a single scalar give, to the last bit.

What is recomputed here sums over channels, which changes nothing where there is one.
"""

import json

import numpy as np
import pytest
import xarray as xr
from diagnostics_data import (
    FRAMES,
    LABELS,
    LENGTH,
    MEMBERS,
    STEPS,
    experiment,
    flow,
    rolled,
    started,
    trajectory,
)
from scipy.fft import rfft
from scipy.sparse import csr_array

from thermalize.metrics.dataset import diagnose
from thermalize.metrics.stability import trailing_mean
from thermalize.metrics.statistics import bootstrap_weights, interval
from thermalize.runtime.streams import stream

WINDOW = 25


class Scalar:
    """Spectra, energies and distances of u(x) on n points."""

    def __init__(self, n: int) -> None:
        self.limit = (n - 1) // 3
        number = np.arange(n // 2 + 1)
        self.weight = np.where((number == 0) | (2 * number == n), 1.0, 2.0) / float(n) ** 2
        self.k_squared = (np.fft.rfftfreq(n, 1 / n) * 2 * np.pi / LENGTH) ** 2
        self.shells = csr_array((self.weight, (number, number)))

    def spectrum(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(…, channel, x) → (…, mode) and (…, shell)."""
        u_hat = rfft(u.astype(np.float64))
        power = (u_hat.real**2 + u_hat.imag**2).sum(axis=-2)
        return power, np.asarray(power.reshape(-1, power.shape[-1]) @ self.shells).reshape(power.shape)

    def blocks(self, u: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray]:
        """Frames and summed spectra of the blocks of a member, counted back from its end."""
        rank = np.arange(len(u))[::-1] // block
        starts = np.flatnonzero(np.diff(rank, prepend=-1))
        return np.diff([*starts, len(u)]).astype(float), np.add.reduceat(self.spectrum(u)[1], starts, axis=0)

    def sample(self, members: list[np.ndarray], block: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Member, frames and spectra of all blocks."""
        parts = [self.blocks(u, block) for u in members]
        label = np.repeat(np.arange(0, 2 * len(parts), 2), [len(frames) for frames, _ in parts])
        return label, np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def distance(spectrum: np.ndarray, reference: np.ndarray, shells: np.ndarray) -> float:
    ratio = np.log10(spectrum[shells] / reference[shells])
    return float(np.sqrt(np.mean(ratio**2)))


@pytest.fixture(scope="module", params=[32, 30])
def case(request) -> tuple[np.ndarray, np.ndarray, xr.Dataset]:
    n = (request.param,)
    truth, rollout = flow(0, MEMBERS, FRAMES, grid=n), flow(1, MEMBERS, STEPS + 1, grid=n)
    found = diagnose(trajectory(truth), rolled(rollout), experiment(), LABELS, started())
    return truth, rollout, found


def test_spectra_and_distances(case):
    truth, rollout, found = case
    scalar, shown = Scalar(truth.shape[-1]), slice(1, found.sizes["shell"] + 1)
    block = found.attrs["block_frames"]
    member, frames, summed = scalar.sample([truth[m] for m in (0, 2, 4)], block)
    reference = summed.sum(axis=0) / frames.sum()
    run = scalar.sample([rollout[m, -FRAMES:] for m in (1, 3, 5)], block)
    spectrum = run[2].sum(axis=0) / run[1].sum()
    share = np.cumsum(reference[1:]) / reference[1:].sum()
    shell = np.arange(reference.size)
    containing = (shell >= 1) & (shell <= min(int(np.argmax(share >= 0.999)) + 1, scalar.limit))
    tail = (shell >= 1) & (shell <= scalar.limit) & ~containing
    np.testing.assert_array_equal(found.spectrum_truth[0], reference[shown])
    np.testing.assert_array_equal(found.spectrum_rollout[0], spectrum[shown])
    np.testing.assert_array_equal(found.energy_containing[0], containing[shown])
    assert float(found.log_spectral_distance) == distance(spectrum, reference, containing)
    assert float(found.log_spectral_distance_tail) == distance(spectrum, reference, tail)
    draws = bootstrap_weights(member, 60, stream(experiment().seed, "diagnostics", "truth"))
    drawn = np.einsum("rb,bk->rk", draws, summed) / np.einsum("rb,b->r", draws, frames)[:, None]
    low, high = interval(drawn, 0.95)
    np.testing.assert_array_equal(found.spectrum_truth_low[0], low[shown])
    np.testing.assert_array_equal(found.spectrum_truth_high[0], high[shown])


def limits(values: np.ndarray, below: float, above: float) -> list[float]:
    low, high = np.quantile(values, [0.001, 0.999])
    return [low / below, high * above]


def test_envelope(case):
    truth, _, found = case
    scalar, published = Scalar(truth.shape[-1]), json.loads(found.attrs["envelope"])
    u = truth[[0, 2, 4]].astype(np.float64)
    power, spectrum = scalar.spectrum(u)
    assert published["energy"] == limits(0.5 * spectrum.sum(axis=-1), 2, 2)
    enstrophy = 0.5 * np.einsum("mtk,k->mt", power, scalar.weight * scalar.k_squared)
    assert published["enstrophy"] == limits(enstrophy, 2, 2)
    increment = np.sqrt((np.diff(u, axis=1) ** 2).mean(axis=-1).sum(axis=-1))
    assert published["increment"] == [0.01 * float(np.median(increment))]
    last = int(found.energy_containing.sum())
    bands = [(1, 3), (4, 7), (8, last)]
    assert published["spectrum_bands"] == [[0, *band] for band in bands]
    variances = np.stack([spectrum[..., first : final + 1].sum(axis=-1) for first, final in bands], axis=-1)
    windows = trailing_mean(variances, WINDOW)
    assert published["spectrum"] == [limits(windows[..., i], 10, 3) for i in range(len(bands))]
