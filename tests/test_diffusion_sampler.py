"""Samplers against the Gaussian world, where their output is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gaussian import SCHEDULE, GaussianModel, ddpm_output, steep_spectrum
from hypothesis import given
from hypothesis import strategies as st

from thermalize.diffusion.sampler import Sampler, ladder
from thermalize.diffusion.schedule import CLEAN
from thermalize.rollout import member_keys
from thermalize.stabilizers.base import MemberNoise

SAMPLES = 3000


def reverse(sampler: Sampler, variance: torch.Tensor, x: torch.Tensor, start: int, stop: int):
    rows = torch.arange(len(x))
    noise = MemberNoise(member_keys(1, 0, len(x)), 1)
    return sampler.reverse(GaussianModel(variance), x, torch.full((len(x),), start), stop, rows, noise)


def test_schedule_noise_matches_published_values():
    """Noise standard deviations of the cosine schedule in the reference implementation."""
    levels = torch.tensor([0, 4, 10, 20, 100])
    published = torch.tensor([0.0064, 0.0160, 0.0269, 0.043, 0.169], dtype=torch.float64)
    torch.testing.assert_close(SCHEDULE.noise(levels), published, rtol=0.02, atol=0)
    assert SCHEDULE.noise(CLEAN) == 0
    assert SCHEDULE.signal(CLEAN) == 1


@pytest.mark.parametrize(("start", "stop"), [(60, CLEAN), (40, 4)])
def test_ddpm_reproduces_the_recursion_of_gain_and_variance(start, stop):
    variance = torch.tensor([1.0, 1e-2, 1e-4], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(SAMPLES, 1, 3, generator=generator, dtype=torch.float64)
    x = x * (SCHEDULE.signal(start) ** 2 * variance + SCHEDULE.noise(start) ** 2).sqrt()
    out, evaluations = reverse(Sampler(SCHEDULE), variance, x, start, stop)
    gain, spread = ddpm_output(variance, start, stop)
    measured_gain = (out * x).mean((0, 1)) / (x * x).mean((0, 1))
    residual = (out - gain * x).square().mean((0, 1))
    torch.testing.assert_close(measured_gain, gain, rtol=0.05, atol=0.02)
    torch.testing.assert_close(residual, spread, rtol=0.1, atol=0)
    assert evaluations.tolist() == [start - stop] * SAMPLES


def test_ddpm_variance_floor_of_a_perfect_score():
    """Modes far below the finest noise lose variance whatever the network; energetic ones keep it."""
    variance = torch.tensor([1.0, 1e-2, 1e-4], dtype=torch.float64)
    for start in (10, 400):
        gain, spread = ddpm_output(variance, start, CLEAN)
        marginal = SCHEDULE.signal(start) ** 2 * variance + SCHEDULE.noise(start) ** 2
        ratio = (gain**2 * marginal + spread) / variance
        assert 0.996 < ratio[0] <= 1
        assert 0.95 < ratio[1] < 0.99
        assert 0.55 < ratio[2] < 0.65


def test_ddim_converges_to_the_probability_flow_at_its_declared_order():
    """The probability flow of a Gaussian is x_r = x_s √(c_r / c_s)."""
    variance = torch.tensor([0.5], dtype=torch.float64)
    x = torch.ones(1, 1, 1, dtype=torch.float64)
    start, stop = 600, 40
    ends = [SCHEDULE.signal(level) ** 2 * variance + SCHEDULE.noise(level) ** 2 for level in (start, stop)]
    exact = (ends[1] / ends[0]).sqrt()
    steps = [10, 20, 40, 80]
    errors = [
        float((reverse(Sampler(SCHEDULE, 0.0, n), variance, x, start, stop)[0].flatten() - exact).abs()) for n in steps
    ]
    slope = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert slope >= Sampler(SCHEDULE).order - 0.25, errors


def test_one_deterministic_step_to_clean_is_the_posterior_mean():
    variance = steep_spectrum(8)
    x = torch.randn(5, 1, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    out, evaluations = reverse(Sampler(SCHEDULE, 0.0, 1), variance, x, 80, CLEAN)
    c = SCHEDULE.signal(80) ** 2 * variance + SCHEDULE.noise(80) ** 2
    torch.testing.assert_close(out, SCHEDULE.signal(80) * variance / c * x)
    assert evaluations.tolist() == [1] * 5


@given(
    start=st.lists(st.integers(0, 60), min_size=1, max_size=6),
    stop=st.integers(-1, 30),
    steps=st.one_of(st.none(), st.integers(1, 9)),
)
def test_ladder_descends_from_each_start_to_the_stop(start, stop, steps):
    levels = ladder(torch.tensor(start), stop, steps)
    assert levels[:, 0].tolist() == start
    assert levels[:, -1].tolist() == [min(s, stop) if s > stop else s for s in start]
    assert bool((levels.diff(dim=1) <= 0).all())
    taken = (levels.diff(dim=1) < 0).sum(1)
    limit = max(0, max(start) - stop) if steps is None else steps
    assert int(taken.max()) <= limit
    if steps is None:
        assert taken.tolist() == [max(0, s - stop) for s in start]
