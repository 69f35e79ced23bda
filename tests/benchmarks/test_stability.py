"""The benchmark of stability: what it measures of truth is the floor, and what it pushes is what it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from benchmarks.stability import Block, Study, pushed
from torch import Tensor

from thermalize.metrics.spectra import Shells


class Identity:
    def __call__(self, x: Tensor) -> Tensor:
        return x


def study(members: int = 8) -> Study:
    """A study of white noise of unit variance, without models."""
    made = Study.__new__(Study)
    made.shells = Shells((32,), (2 * np.pi,))
    made.truth, made.half = white(2 * members, 0), members
    made.reference = made._block(made.truth[:members])
    made.kept = np.ones((1, 17), dtype=bool)
    made.kept[:, 0] = False
    return made


def white(members: int, seed: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(members, 50, 1, 32, generator=torch.Generator().manual_seed(seed))


def test_pushed_wavenumbers_grow_and_no_others():
    x = white(2, 3)[:, 0]
    before, after = (torch.fft.rfft(each).abs() for each in (x, pushed(Identity(), 3, 1.02)(x)))
    expected = torch.ones(17)
    expected[1:4] = 1.02
    torch.testing.assert_close(after / before, expected.expand_as(after), rtol=1e-4, atol=0)


def test_distances_of_truth_are_small_and_of_a_scaled_state_exact():
    made = study()
    near, off = (made._block(white(8, 1, scale)) for scale in (1.0, 10.0))
    assert 0 < made.spectral(near) < 0.1
    assert made.spectral(off) == pytest.approx(2, abs=0.05)  # log₁₀ 10²
    assert made.field(near) < 0.1 < made.field(off)


def test_floors_are_distances_of_other_truth_and_grow_as_blocks_shrink():
    made = study()
    pairs = [[made._block(white(8, seed + half)) for half in (0, 100)] for seed in range(1, 41)]
    expected = np.median([(made.spectral(*pair), made.field(*pair)) for pair in pairs], axis=0)
    floors = np.median(made.floors(50), axis=0)
    np.testing.assert_allclose(floors, expected, rtol=0.3)
    assert (np.median(made.floors(5), axis=0) > 1.3 * floors).all()


def test_a_slope_is_that_of_the_distances_with_an_interval_around_it():
    made = study()
    blocks = [made._block(white(8, 10 + n, scale=float(10 ** (0.05 * n + 1)))) for n in range(10)]
    slope, low, high = made.slope(blocks)
    assert slope == pytest.approx(0.1, rel=0.05)
    assert low < slope < high
    still = [made._block(white(8, 30 + n, scale=3.0)) for n in range(10)]
    _, low, high = made.slope(still)
    assert low < 0 < high


def test_a_block_keeps_the_work_that_it_cost():
    block = study()._block(white(3, 4), 0.5, 0.25, 0.01)
    assert isinstance(block, Block)
    assert (block.reverse_steps, block.rescaled, block.seconds) == (0.5, 0.25, 0.01)
    assert block.spectrum.shape == (3, 1, 17)
    assert block.spectrum.sum() == pytest.approx(3, rel=0.1)
