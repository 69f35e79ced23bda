"""Thermalization as a call: the same as in the workflow's rollouts, in a loop of one's own."""

from __future__ import annotations

import pytest
import torch
from gaussian import SCHEDULE, GaussianModel, steep_spectrum
from pydantic import ValidationError
from torch import Tensor

import thermalize
from thermalize.diffusion.trained import TrainedDiffusion

VARIANCE = steep_spectrum(64)
CLEAN_COUNTS = [990, 8, 2] + [0] * 197


def denoiser() -> TrainedDiffusion:
    calibration = {"clean_level_counts": CLEAN_COUNTS, "clean_noise_rms": 0.1}
    return TrainedDiffusion(GaussianModel(VARIANCE, levels=200), SCHEDULE, calibration)


def draws(count: int) -> Tensor:
    xi = torch.randn(count, 1, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return xi * VARIANCE.sqrt()


def noisy(count: int, sigma: float = 0.05) -> Tensor:
    return draws(count) + sigma * torch.randn(count, 1, 64, generator=torch.Generator().manual_seed(1)).double()


def growing(x: Tensor) -> Tensor:
    return torch.where(VARIANCE < 0.1, 1.05, 0.95) * x


def test_noisy_states_are_cleaned_and_clean_ones_keep_their_bits():
    thermalizer = thermalize.Thermalizer(denoiser(), start=10, conserve_mean=False)
    x = torch.cat((draws(6), noisy(6)))
    out = thermalizer(x, torch.Generator().manual_seed(3))
    assert torch.equal(out[:6], x[:6])
    small = VARIANCE < 0.05**2 / 2
    assert int(small.sum()) > 20
    assert float(x[6:, 0, small].square().mean()) > 2 * float(out[6:, 0, small].square().mean())
    again = thermalizer(x, torch.Generator().manual_seed(3))
    other = thermalizer(x, torch.Generator().manual_seed(4))
    assert torch.equal(out, again)
    assert not torch.equal(out, other)


def test_auto_takes_the_thresholds_of_the_calibration():
    """Of 1,000 clean states 2 exceed level 1: level 2 is the lowest that at most one in a thousand exceeds."""
    seen = []

    class Told(GaussianModel):
        def level(self, x: Tensor) -> Tensor:
            return torch.tensor([2, 3])[: len(x)]

        def noise(self, x: Tensor, level: Tensor) -> Tensor:
            seen.append(level.tolist())
            return super().noise(x, level)

    given = TrainedDiffusion(Told(VARIANCE), SCHEDULE, denoiser().calibration)
    out = thermalize.Thermalizer(given)(draws(2))
    assert seen[0] == [3]
    assert torch.equal(out[0], draws(2)[0])


def test_a_rollout_is_thermalized_and_losses_are_data():
    x0 = draws(5)
    thermalizer = thermalize.Thermalizer(denoiser(), start=10, stop=4)
    raw = thermalize.rollout(growing, x0, 160)
    run = thermalize.rollout(growing, x0, 160, thermalizer)
    assert raw.x.shape == (5, 161, 1, 64)
    assert torch.equal(raw.x[:, 0], x0)
    assert bool((torch.from_numpy(raw.lost_step) > 0).all())
    assert run.lost_step.tolist() == [-1] * 5
    assert bool(run.x.isfinite().all())
    assert bool((raw.level == -1).all())
    assert run.level.shape == run.reverse_steps.shape == (5, 160)
    assert 0 < float((run.reverse_steps > 0).double().mean()) < 1


def test_the_seed_of_a_rollout_is_all_its_randomness():
    x0, thermalizer = draws(4), thermalize.Thermalizer(denoiser(), start=10, stop=4)
    one, two = (thermalize.rollout(growing, x0, 30, thermalizer, seed=1) for _ in range(2))
    three = thermalize.rollout(growing, x0, 30, thermalizer, seed=2)
    alone = thermalize.rollout(growing, x0[:1], 30, thermalizer, seed=1)
    assert torch.equal(one.x, two.x)
    assert not torch.equal(one.x, three.x)
    torch.testing.assert_close(alone.x[0], one.x[0])


@pytest.mark.parametrize("settings", [{"start": 3, "stop": 5}, {"start": -1}, {"sampler": "mean", "reverse_steps": 2}])
def test_settings_that_do_not_fit_are_refused(settings):
    with pytest.raises(ValidationError):
        thermalize.Thermalizer(denoiser(), **settings)
