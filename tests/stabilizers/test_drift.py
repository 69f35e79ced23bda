"""Control of band energies: exact where it acts, silent on truth, and holding what a noise level does not see."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from fourier import OnGrid, Waves, fields, spectrum, trajectories, variances, wavenumbers
from gaussian import SCHEDULE, above
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from thermalize.diffusion.samplers import DDPM
from thermalize.rollouts.engine import Rollout, Segment, State
from thermalize.runtime.errors import UserError
from thermalize.runtime.members import member_keys
from thermalize.stabilizers.bands import Bands, edges
from thermalize.stabilizers.base import Stabilizer
from thermalize.stabilizers.drift import BandControl, BandStatistics
from thermalize.stabilizers.raw import Raw

VARIANCE, WAVENUMBER, PHI = spectrum(), wavenumbers(), 0.95
MEMBERS, STEPS, MEMORY = 16, 1500, 100
TRUTH = trajectories(VARIANCE, 64, 900, PHI)
STATISTICS = BandStatistics.of(TRUTH, MEMORY)


def control(inner: Stabilizer | None = None, **settings: float) -> BandControl:
    return BandControl(inner or Raw(), Bands((len(VARIANCE),)), STATISTICS, **settings)


def thermalizer() -> Stabilizer:
    return above(OnGrid(VARIANCE, levels=200), DDPM(SCHEDULE, 4), 10, -1)


def biased(first: int, last: int, psi: float) -> Waves:
    """An emulator that keeps the truth's innovations but multiplies some wavenumbers wrongly."""
    some = (first <= WAVENUMBER) & (last >= WAVENUMBER)
    return Waves(VARIANCE, torch.where(some, psi, PHI).double(), PHI)


def run(emulator: Waves, stabilizer: Stabilizer, steps: int = STEPS, bound: float = 1e4) -> tuple[Segment, State]:
    state = State(fields(VARIANCE, MEMBERS))
    return Rollout(emulator, stabilizer, member_keys(2, 0, MEMBERS), bound).advance(state, steps), state


# Bands


@given(last=st.integers(1, 400))
def test_bands_are_every_shell_once_and_widen(last: int):
    upper = edges(last)
    assert upper[-1] == last
    assert upper == sorted(set(upper))
    assert upper[: min(4, last)] == list(range(1, min(4, last) + 1))
    widths = [b - a for a, b in pairwise(upper[:-1])]
    assert widths == sorted(widths)


@given(grid=st.one_of(st.tuples(st.integers(2, 33)), st.tuples(st.integers(2, 12), st.integers(2, 13))))
def test_energies_add_up_to_the_variance(grid: tuple[int, ...]):
    x = torch.randn(3, 2, *grid, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    bands = Bands(grid)
    energy = bands.energies(bands.transform(x))
    assert energy.shape == (3, 2, len(bands))
    torch.testing.assert_close(energy.sum(-1), x.flatten(2).var(-1, correction=0))


@given(grid=st.one_of(st.tuples(st.integers(4, 33)), st.tuples(st.integers(3, 12), st.integers(3, 13))))
def test_scaling_a_band_scales_its_energy_alone(grid: tuple[int, ...]):
    x = torch.randn(2, 1, *grid, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    bands = Bands(grid)
    before = bands.energies(bands.transform(x))
    gain = torch.linspace(0.5, 2, 2 * len(bands), dtype=torch.float64).reshape(2, 1, -1)
    scaled = bands.inverse(bands.scale(bands.transform(x), gain))
    torch.testing.assert_close(bands.energies(bands.transform(scaled)), before * gain**2)
    torch.testing.assert_close(scaled.flatten(2).mean(-1), x.flatten(2).mean(-1))


# Silence on truth


def test_true_trajectories_are_hardly_ever_touched():
    chunk, state = run(biased(1, 0, PHI), control())
    assert float(chunk.record["rescaled"].float().mean()) < 4e-3, "of the steps, with 11 bands watched"
    torch.testing.assert_close(variances(chunk.x) / VARIANCE, torch.ones_like(VARIANCE), rtol=0.2, atol=0)
    assert float(state.memory["gain"].abs().max()) < 0.02


def test_a_member_of_which_no_band_was_off_keeps_its_bits():
    raw, _ = run(biased(1, 0, PHI), Raw(), 200)
    watched, _ = run(biased(1, 0, PHI), control(threshold=50.0), 200)
    assert int(watched.record["rescaled"].sum()) == 0
    assert torch.equal(raw.x, watched.x)
    assert bool((watched.record["drift"] > 0).all())
    assert raw.record == {}


# What a noise level does not see


def test_a_large_scale_bias_diverges_although_thermalized_and_is_held_by_control():
    """ψ = 1.02 at wavenumbers 1 and 2, where ᾱλ is too large for noise of low levels to check it."""
    emulator = biased(1, 2, 1.02)
    _, lost = run(emulator, thermalizer(), 600)
    assert lost.lost_cause == ["bound"] * MEMBERS
    large = (WAVENUMBER >= 1) & (WAVENUMBER <= 2)
    held, state = run(emulator, control(thermalizer()))
    assert state.lost_cause == [""] * MEMBERS
    ratio = variances(held.x) / VARIANCE
    assert float(ratio[large].max()) < 4, "while it learns"
    settled = variances(held.x[:, 700:]) / VARIANCE
    assert 0.7 < float(settled[large].min()) <= float(settled[large].max()) < 2.5
    torch.testing.assert_close(settled[~large][1:40], torch.ones(39).double(), rtol=0.35, atol=0)


def test_over_damping_is_undone_as_far_as_it_is_seen():
    """ψ = 0.8 instead of 0.95 at wavenumbers 10 to 18 leaves (1 − 0.95²)/(1 − 0.8²) = 0.27 of their variance."""
    emulator, bands = biased(10, 18, 0.8), Bands((len(VARIANCE),))
    raw, _ = run(emulator, Raw(), 400)
    held, _ = run(emulator, control(), 2500)
    before, after = (
        bands.energies(bands.transform(part)).mean((0, 1)) / STATISTICS.mean
        for part in (raw.x[:, 50:], held.x[:, 1500:])
    )
    damped = [b for b in range(len(bands)) if bands.first[b] >= 10 and bands.last[b] <= 18]
    assert len(damped) == 3
    for b in damped:
        assert float(before[0, b]) == pytest.approx(0.27, rel=0.1)
        assert float(after[0, b]) > torch.exp(-4 * STATISTICS.spread[0, b]) > 0.4


def test_bands_of_no_account_are_left_alone():
    chunk, _ = run(biased(20, 32, 1.01), control(floor=0.01, threshold=6.0), 300)
    assert int(chunk.record["rescaled"].sum()) == 0


# Members and interruptions


def test_members_do_not_depend_on_their_companions_and_runs_may_be_cut():
    class Growing(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 1.03 * x.roll(1, -1)

    x, keys = fields(VARIANCE, 5), member_keys(2, 0, 5)
    stabilizer, state = control(thermalizer()), State(x.clone())
    whole = Rollout(Growing(), stabilizer, keys, 1e4).advance(state, 90)
    assert int(whole.record["rescaled"].sum()) > 5
    cut = State(x.clone())
    parts = [Rollout(Growing(), control(thermalizer()), keys, 1e4).advance(cut, n) for n in (40, 50)]
    assert torch.equal(torch.cat([part.x for part in parts], dim=1), whole.x)
    alone = Rollout(Growing(), stabilizer, keys[3:4], 1e4).advance(State(x[3:4].clone()), 90)
    torch.testing.assert_close(alone.x[0], whole.x[3], rtol=1e-9, atol=1e-9)


# Calibration


def test_the_spread_is_that_of_the_average():
    """The energy of two Gaussian modes has relative deviation 1, and its average one of √(a/(2 − a)), a = 1/memory;
    correlation φ of the modes, φ² of the energies, raises the variance by (1 + φ²(1 − a))/(1 − φ²(1 − a)).
    """
    a = 1 / MEMORY
    for phi in (0.0, 0.9):
        found = BandStatistics.of(trajectories(VARIANCE, 64, 900, phi), MEMORY).spread[0, :5]
        kept = phi**2 * (1 - a)
        expected = (a / (2 - a) * (1 + kept) / (1 - kept)) ** 0.5
        torch.testing.assert_close(found, torch.full((5,), expected).double(), rtol=0.15, atol=0)


def test_short_windows_stray_more():
    short = BandStatistics.of(trajectories(VARIANCE, 200, 5, PHI), MEMORY)
    assert bool((short.spread > STATISTICS.spread).all())
    torch.testing.assert_close(short.mean, STATISTICS.mean, rtol=0.3, atol=0)


def test_truth_that_is_not_finite_is_refused():
    with pytest.raises(UserError, match="not finite"):
        BandStatistics.of(torch.full((2, 3, 1, 8), torch.nan), MEMORY)
