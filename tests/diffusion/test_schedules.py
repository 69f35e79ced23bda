"""Noise schedules: published values, what each is defined by, and what the configuration says of wrong ones."""

from __future__ import annotations

import pytest
import torch
from gaussian import FINE, SCHEDULE
from pydantic import ValidationError

from thermalize.config import (
    CosineScheduleConfig,
    GeometricScheduleConfig,
    LinearScheduleConfig,
    PowerScheduleConfig,
    ScheduleConfig,
)
from thermalize.config.base import Strict
from thermalize.config.messages import sentences
from thermalize.diffusion.schedule import CLEAN, SCHEDULES, Schedule, build

every = pytest.mark.parametrize("kind", FINE)


class Section(Strict):
    schedule: ScheduleConfig


def levels(schedule: Schedule) -> torch.Tensor:
    return torch.arange(schedule.levels)


def test_cosine_noise_matches_published_values():
    """Noise standard deviations of the cosine schedule in the reference implementation."""
    chosen = torch.tensor([0, 4, 10, 20, 100])
    published = torch.tensor([0.0064, 0.0160, 0.0269, 0.043, 0.169], dtype=torch.float64)
    torch.testing.assert_close(SCHEDULE.noise(chosen), published, rtol=0.02, atol=0)


def test_linear_matches_the_published_schedule():
    """β from 1e-4 to 0.02 over 1000 levels leaves 4.04e-5 of the variance; other lengths take the same way."""
    published = build(LinearScheduleConfig(kind="linear"))
    beta = 1 - published.alpha_bar[1:] / published.alpha_bar[:-1]
    torch.testing.assert_close(beta[[0, -1]], torch.tensor([1e-4, 0.02], dtype=torch.float64))
    assert float(published.alpha_bar[-1]) == pytest.approx(4.036e-5, rel=1e-3)
    assert float(beta.diff().std()) < 1e-12
    halfway = [float(build(LinearScheduleConfig(kind="linear", levels=n)).signal(n // 2)) for n in (1000, 4000)]
    assert halfway[0] == pytest.approx(halfway[1], rel=0.01)


def test_geometric_levels_have_equal_ratios():
    schedule = build(GeometricScheduleConfig(kind="geometric", levels=50, sigma_min=0.01, sigma_max=0.5))
    noise = schedule.noise(levels(schedule))
    torch.testing.assert_close(noise[[0, -1]], torch.tensor([0.01, 0.5], dtype=torch.float64))
    torch.testing.assert_close(noise[1:] / noise[:-1], torch.full((49,), 50 ** (1 / 49), dtype=torch.float64))


@pytest.mark.parametrize("exponent", [1.0, 3.0, 8.0])
def test_power_levels_hide_equally_many_wavenumbers(exponent):
    """λ_k = k^−p meets the noise of a level at k = u^(−1/p); those wavenumbers lie at equal distances."""
    config = PowerScheduleConfig(kind="power", levels=50, sigma_min=0.01, sigma_max=0.5, exponent=exponent)
    schedule = build(config)
    noise = schedule.noise(levels(schedule))
    torch.testing.assert_close(noise[[0, -1]], torch.tensor([0.01, 0.5], dtype=torch.float64))
    distance = (noise ** (-2 / exponent)).diff()
    torch.testing.assert_close(distance, distance.mean().expand(49), rtol=1e-6, atol=0)


def test_power_becomes_geometric_for_the_steepest_spectra():
    settings = {"levels": 50, "sigma_min": 0.01, "sigma_max": 0.5}
    steep = build(PowerScheduleConfig(kind="power", exponent=1e5, **settings))
    ratios = build(GeometricScheduleConfig(kind="geometric", **settings))
    torch.testing.assert_close(steep.alpha_bar, ratios.alpha_bar, rtol=1e-4, atol=0)


def test_cosine_hides_most_wavenumbers_within_its_lowest_levels():
    crossing = SCHEDULE.noise(torch.tensor([0, 10, 199])) ** (-2 / 3)
    assert float((crossing[0] - crossing[1]) / (crossing[0] - crossing[2])) == pytest.approx(2 / 3, abs=0.01)


@every
def test_noise_grows_from_level_to_level(kind):
    schedule = FINE[kind]
    noise, signal = schedule.noise(levels(schedule)), schedule.signal(levels(schedule))
    assert bool((noise.diff() > 0).all())
    assert 0 < float(noise[0]) < float(noise[-1]) <= 1
    torch.testing.assert_close(noise**2 + signal**2, torch.ones_like(noise))
    assert bool((schedule.log_snr(levels(schedule)).diff() < 0).all())
    assert schedule.noise(CLEAN) == 0
    assert schedule.signal(CLEAN) == 1
    assert schedule.log_snr(CLEAN) == torch.inf


def test_every_kind_can_be_configured_and_cosine_is_what_is_left_out():
    assert list(SCHEDULES) == list(FINE)
    assert Section(schedule={}).schedule == CosineScheduleConfig()
    assert Section(schedule={"levels": 5}).schedule == CosineScheduleConfig(levels=5)
    for kind in SCHEDULES:
        assert Section(schedule={"kind": kind}).schedule.kind == kind
        assert build(Section(schedule={"kind": kind}).schedule).levels == 1000


@pytest.mark.parametrize(
    ("schedule", "sentence"),
    [
        ({"kind": "sigmoid"}, "schedule.kind: 'sigmoid' is unknown; known: cosine, linear, geometric, power"),
        ({"kind": "geometrical"}, "schedule.kind: 'geometrical' is unknown; did you mean 'geometric'? "
         "Known: cosine, linear, geometric, power"),
        ({"sigma_min": 0.1}, "schedule.sigma_min: this key is unknown; known: levels, kind"),
        ({"kind": "linear", "beta_min": 0.1}, "schedule.beta_max = 0.02 is not above beta_min = 0.1"),
        ({"kind": "linear", "levels": 20}, "schedule.levels = 20 is too few for beta_max = 0.02: the last would add "
         "all noise at once; try levels = 21 or more"),
        ({"kind": "geometric", "sigma_min": 0.5, "sigma_max": 0.1},
         "schedule.sigma_max = 0.1 is not above sigma_min = 0.5"),
        ({"kind": "geometric", "sigma_max": 1}, "schedule.sigma_max: 1 is out of bounds; it must be below 1 standard "
         "deviations of the data"),
        ({"kind": "power", "exponent": 0}, "schedule.exponent: 0 is out of bounds; it must be at least 0.5"),
        ({"kind": "power", "exponent": "steep"}, "schedule.exponent: 'steep' is not a plain number; it has no unit"),
        ({"levels": 1}, "schedule.levels: 1 is out of bounds; it must be above 1 levels"),
    ],
)  # fmt: skip
def test_refusals(schedule, sentence):
    with pytest.raises(ValidationError) as caught:
        Section(schedule=schedule)
    assert sentences(caught.value, Section) == [sentence]
