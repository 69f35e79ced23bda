"""States that a diffusion model makes, in the Gaussian world, where the perfect model should make N(0, diag λ).

All steps end with one from level 0 to clean, which leaves out the share u_0/c_0 that its noise hides of every mode.
Gains and variances come without sampling; 1 % is the error of at most 50 steps of the second-order sampler.
"""

from __future__ import annotations

import pytest
import torch
from gaussian import SCHEDULE, GaussianModel, ddpm_output, response, steep_spectrum

from thermalize.config import GeometricScheduleConfig, LinearScheduleConfig, PowerScheduleConfig
from thermalize.diffusion.generation import Protocol, equidistant, protocols
from thermalize.diffusion.schedule import CLEAN, Schedule, build
from thermalize.stages.samples import generate

SPECTRUM = steep_spectrum(64)
LINEAR = build(LinearScheduleConfig(kind="linear", levels=1000))
GEOMETRIC = build(GeometricScheduleConfig(kind="geometric", levels=1000))
POWER = build(PowerScheduleConfig(kind="power", levels=200, sigma_max=0.3))
CASES = {
    "cosine": (SCHEDULE, 1000, "unconditional", 993),
    "cosine, low levels": (SCHEDULE, 200, "partial", 199),
    "linear": (LINEAR, 1000, "unconditional", 954),
    "geometric, which keeps 14 % of the signal": (GEOMETRIC, 1000, "partial", 999),
    "power, which ends early": (POWER, 200, "partial", 199),
}
CPU = torch.device("cpu")


def made(protocol: Protocol, schedule: Schedule) -> tuple[torch.Tensor, torch.Tensor]:
    """Gain and variance [mode] of what the protocol makes of a true state."""
    model = GaussianModel(SPECTRUM, schedule=schedule)
    return response(lambda x, rows, noise: protocol.make(model, x, rows, noise), 64, len(protocol.levels) + 1)


@pytest.mark.parametrize("case", CASES)
def test_samples_have_the_variance_of_the_data_mode_by_mode(case):
    schedule, trained, kind, level = CASES[case]
    protocol, _ = protocols(schedule, trained)
    assert (protocol.kind, protocol.level) == (kind, level)
    assert len(protocol.levels) <= 50
    gain, variance = made(protocol, schedule)
    if kind == "unconditional":
        assert not gain.any()
    hidden = schedule.noise(0) ** 2 / GaussianModel(SPECTRUM, schedule=schedule).marginal(torch.tensor([0]))[0]
    torch.testing.assert_close((gain**2 * SPECTRUM + variance) / SPECTRUM, 1 - hidden, rtol=0.01, atol=0)


def test_pure_noise_is_reached_by_the_training_not_by_the_schedule():
    assert [protocols(SCHEDULE, trained)[0].kind for trained in (993, 994)] == ["partial", "unconditional"]


def test_thermalizing_true_states_once_is_the_recursion_of_the_ancestral_steps():
    """At level 12, noise 0.0303: x → g √ᾱ x with variance g² u + v; modes far above the noise keep their variance."""
    _, protocol = protocols(SCHEDULE, 200)
    assert (protocol.level, round(protocol.noise, 4)) == (12, 0.0303)
    gain, variance = made(protocol, SCHEDULE)
    reverse, spread = ddpm_output(SPECTRUM, protocol.level, CLEAN)
    torch.testing.assert_close(gain, reverse * SCHEDULE.signal(12), rtol=1e-9, atol=0)
    torch.testing.assert_close(variance, reverse**2 * SCHEDULE.noise(12) ** 2 + spread, rtol=1e-9, atol=0)
    kept = (gain**2 * SPECTRUM + variance) / SPECTRUM
    torch.testing.assert_close(kept[:8], torch.ones(8).double(), rtol=0.003, atol=0)


def test_a_model_of_few_levels_is_thermalized_at_the_nearest_of_them():
    assert protocols(SCHEDULE, 5)[1].level == 4


def test_levels_of_the_flow_are_equidistant_where_the_schedule_is_fine():
    levels = equidistant(GEOMETRIC, 800, 50)
    steps = GEOMETRIC.log_snr(levels).diff()
    assert (int(levels[0]), int(levels[-1]), len(levels)) == (0, 800, 50)
    torch.testing.assert_close(steps, steps.mean().expand(49), rtol=0.05, atol=0)
    coarse = equidistant(SCHEDULE, 199, 50)
    assert bool((coarse.diff() > 0).all())
    assert coarse[:4].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("trained", [1000, 200])
def test_a_state_does_not_depend_on_its_batch(trained):
    generator = torch.Generator().manual_seed(0)
    x = (torch.randn(10, 1, 64, generator=generator, dtype=torch.float64) * SPECTRUM.sqrt()).float()
    model = GaussianModel(SPECTRUM)
    for protocol in protocols(SCHEDULE, trained):
        whole, parts = (generate(protocol, model, x, 5, CPU, "test", batch) for batch in (64, 3))
        assert torch.equal(whole, parts)
        assert not torch.equal(whole, generate(protocol, model, x, 6, CPU, "test"))
        assert len(whole.unique(dim=0)) == 10


def test_samples_of_a_perfect_model_are_drawn_from_the_data():
    """4000 states: variances within 7 % (three standard errors), of modes above the noise of level 0."""
    for trained in (1000, 200):
        x = torch.randn(4000, 1, 64, generator=torch.Generator().manual_seed(1)) * SPECTRUM.sqrt().float()
        for protocol in protocols(SCHEDULE, trained):
            states = generate(protocol, GaussianModel(SPECTRUM), x, 2, CPU, "test", 4000)[:, 0, :16]
            ratio = states.double().square().mean(0) / SPECTRUM[:16]
            torch.testing.assert_close(ratio, torch.ones(16).double(), rtol=0.07, atol=0)
