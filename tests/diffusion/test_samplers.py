"""Samplers against the Gaussian world, where their output is known in closed form."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from gaussian import FINE, SCHEDULE, GaussianModel, ddpm_output, response, steep_spectrum
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from thermalize.config import ThermalizerConfig
from thermalize.diffusion.samplers import DDIM, DDPM, SAMPLERS, DPMSolver2M, PosteriorMean, Sampler, build
from thermalize.diffusion.samplers.base import ladder
from thermalize.diffusion.schedule import CLEAN, Schedule
from thermalize.runtime.members import MemberNoise, member_keys

VARIANCE = torch.tensor([0.5, 1e-1, 1e-2], dtype=torch.float64)
STEPS = [32, 128, 512]
ALL = [DDPM(SCHEDULE), DDPM(SCHEDULE, 7), DDIM(SCHEDULE, 7), DDIM(SCHEDULE, 7, 0.5), DPMSolver2M(SCHEDULE, 7),
       DPMSolver2M(SCHEDULE), PosteriorMean(SCHEDULE)]  # fmt: skip
every = pytest.mark.parametrize("sampler", ALL, ids=lambda s: f"{type(s).__name__}-{getattr(s, 'steps', '')}")


@dataclass(frozen=True)
class Counting(GaussianModel):
    """Counts the states whose noise it was asked for."""

    asked: list[int] = field(default_factory=list)

    def noise(self, x: Tensor, level: Tensor) -> Tensor:
        self.asked.append(len(x))
        return super().noise(x, level)


def reverse(sampler: Sampler, variance: Tensor, x: Tensor, start: int | list[int], stop: int, rows=None):
    rows = torch.arange(len(x)) if rows is None else torch.tensor(rows)
    starts = torch.full((len(x),), start) if isinstance(start, int) else torch.tensor(start)
    noise = MemberNoise(member_keys(1, 0, 100), 1)
    return sampler.reverse(GaussianModel(variance, schedule=sampler.schedule), x, starts, stop, rows, noise)


def measured(sampler: Sampler, variance: Tensor, start: int, stop: int) -> tuple[Tensor, Tensor]:
    """Gain and variance of the sampler's output given its input, without sampling."""
    model = GaussianModel(variance, schedule=sampler.schedule)
    draws = int(sampler.evaluations(torch.tensor([start]), stop))
    return response(
        lambda x, rows, noise: sampler.reverse(model, x, torch.full((len(x),), start), stop, rows, noise)[0],
        len(variance), draws,
    )  # fmt: skip


def ends(schedule: Schedule) -> tuple[int, int]:
    """Levels with noise of about 0.8 and 0.05 whose distance all STEPS divide."""
    stop = int((schedule.noise(torch.arange(schedule.levels)) < 0.05).sum())
    start = int((schedule.noise(torch.arange(schedule.levels)) < 0.8).sum())
    return stop + (start - stop) // STEPS[-1] * STEPS[-1], stop


def slope(errors: list[float]) -> float:
    return float(-np.polyfit(np.log(STEPS), np.log(errors), 1)[0])


@pytest.mark.parametrize(("start", "stop"), [(60, CLEAN), (40, 4)])
def test_ddpm_has_the_gain_and_variance_of_the_recursion(start, stop):
    variance = torch.tensor([1.0, 1e-2, 1e-4], dtype=torch.float64)
    found, expected = measured(DDPM(SCHEDULE), variance, start, stop), ddpm_output(variance, start, stop)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=0)


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


@pytest.mark.parametrize("kind", FINE)
@pytest.mark.parametrize("sampler", [DDIM, DPMSolver2M])
def test_deterministic_samplers_converge_to_the_probability_flow_at_their_order(sampler, kind):
    """The probability flow of a Gaussian is x_r = x_s √(c_r / c_s)."""
    schedule = FINE[kind]
    start, stop = ends(schedule)
    high, low = (schedule.signal(level) ** 2 * VARIANCE + schedule.noise(level) ** 2 for level in (start, stop))
    x = torch.ones(1, 1, 3, dtype=torch.float64)
    out = [reverse(sampler(schedule, n), VARIANCE, x, start, stop)[0][0, 0] for n in STEPS]
    errors = [float((each - (low / high).sqrt()).abs().max()) for each in out]
    assert slope(errors) >= sampler.order - 0.25, errors
    assert errors[-1] < 0.01


@pytest.mark.parametrize("kind", FINE)
@pytest.mark.parametrize("eta", [0.5, 1.0])
def test_stochastic_samplers_keep_the_gaussian_at_their_order(eta, kind):
    """N(0, C_s) in, N(0, C_r) out, up to an error of the variance that falls as steps^−order."""
    schedule = FINE[kind]
    start, stop = ends(schedule)
    high, low = (schedule.signal(level) ** 2 * VARIANCE + schedule.noise(level) ** 2 for level in (start, stop))
    errors = []
    for n in STEPS:
        gain, spread = measured(DDIM(schedule, n, eta), VARIANCE, start, stop)
        assert bool((spread > 0).all())
        errors.append(float(((gain**2 * high + spread) / low - 1).abs().max()))
    assert slope(errors) >= DDIM.order - 0.25, errors
    assert errors[-1] < 0.03


@pytest.mark.parametrize(("start", "stop"), [(200, 4), (50, 0), (20, 0)])
def test_second_order_is_worth_its_name_in_few_steps(start, stop):
    """Eight steps of the second-order solver keep more of the variance of all scales than sixteen of the first."""
    model, x = GaussianModel(steep_spectrum(64)), torch.ones(1, 1, 64, dtype=torch.float64)
    high, low = model.marginal(torch.tensor([start, stop]))
    error = [
        float((reverse(sampler, model.variance, x, start, stop)[0][0, 0] ** 2 * high / low - 1).abs().max())
        for sampler in (DPMSolver2M(SCHEDULE, 8), DDIM(SCHEDULE, 16))
    ]
    assert error[0] < 0.7 * error[1]


@pytest.mark.parametrize("sampler", [PosteriorMean(SCHEDULE), DDIM(SCHEDULE, 1), DPMSolver2M(SCHEDULE, 1)])
def test_one_deterministic_step_to_clean_is_the_posterior_mean(sampler):
    variance = steep_spectrum(8)
    x = torch.randn(5, 1, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    out, evaluations = reverse(sampler, variance, x, 80, CLEAN)
    c = SCHEDULE.signal(80) ** 2 * variance + SCHEDULE.noise(80) ** 2
    torch.testing.assert_close(out, SCHEDULE.signal(80) * variance / c * x)
    assert evaluations.tolist() == [1] * 5


@every
@pytest.mark.parametrize("stop", [CLEAN, 2])
def test_evaluations_are_those_declared(sampler, stop):
    starts = [0, 3, 17, 60, 200]
    x = torch.ones(1, 1, 8, dtype=torch.float64)
    noise = MemberNoise(member_keys(1, 0, 1), 1)
    declared = sampler.evaluations(torch.tensor(starts), stop).tolist()
    for start, evaluations in zip(starts, declared, strict=True):
        model = Counting(steep_spectrum(8))
        out, told = sampler.reverse(model, x, torch.tensor([start]), stop, torch.tensor([0]), noise)
        assert model.asked == [1] * evaluations
        assert told.tolist() == [evaluations]
        assert bool(out.isfinite().all())
    together = Counting(steep_spectrum(8))
    noise = MemberNoise(member_keys(1, 0, 5), 1)
    sampler.reverse(together, x.expand(5, 1, 8), torch.tensor(starts), stop, torch.arange(5), noise)
    assert sum(each for each in together.asked) == sum(declared)


@every
def test_a_member_does_not_depend_on_its_companions_or_on_their_order(sampler):
    """Ladders of different lengths side by side: the same bits alone, together and in another order."""
    variance, starts, rows = steep_spectrum(8), [0, 5, 3, 60, 23, 200], [7, 1, 42, 0, 3, 9]
    x = torch.randn(6, 1, 8, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    together, _ = reverse(sampler, variance, x, starts, 3, rows)
    backwards, _ = reverse(sampler, variance, x.flip(0), starts[::-1], 3, rows[::-1])
    assert torch.equal(backwards.flip(0), together)
    for m, (start, row) in enumerate(zip(starts, rows, strict=True)):
        alone, _ = reverse(sampler, variance, x[m : m + 1], [start], 3, [row])
        assert torch.equal(alone[0], together[m])
    assert torch.equal(together[[0, 2]], x[[0, 2]])  # at the stop or below it


def test_samplers_are_found_by_name():
    def made(**settings) -> Sampler:
        return build(ThermalizerConfig(kind="thermalizer", **settings), SCHEDULE)

    assert list(SAMPLERS) == ["ddpm", "ddim", "dpm2m", "mean"]
    assert made() == DDPM(SCHEDULE)
    assert made(reverse_steps=3) == DDPM(SCHEDULE, 3)
    assert made(sampler="ddim", reverse_steps=3) == DDIM(SCHEDULE, 3, 0.0)
    assert made(sampler="ddim", eta=0.5) == DDIM(SCHEDULE, None, 0.5)
    assert made(sampler="dpm2m", reverse_steps=2) == DPMSolver2M(SCHEDULE, 2)
    assert made(sampler="mean") == PosteriorMean(SCHEDULE, 1)


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
    assert taken.tolist() == DDIM(SCHEDULE, steps).evaluations(torch.tensor(start), stop).tolist()
    assert taken.tolist() == [max(0, s - stop) if steps is None else min(max(0, s - stop), steps) for s in start]
