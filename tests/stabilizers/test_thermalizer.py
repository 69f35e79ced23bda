"""Thermalization against the Gaussian world: what it keeps, what it cures, what it is blind to."""

from __future__ import annotations

import pytest
import torch
from gaussian import SCHEDULE, GaussianModel, above, ddpm_output, steep_spectrum
from torch import Tensor, nn

from thermalize.diffusion.samplers import DDIM, DDPM
from thermalize.diffusion.schedule import CLEAN
from thermalize.rollouts.engine import Rollout, State
from thermalize.runtime.members import MemberNoise, member_keys
from thermalize.stabilizers.raw import Raw
from thermalize.stabilizers.thermalizer import Thermalizer

MODES = 64


class FixedLevel(GaussianModel):
    """Reports the same level for everyone, so that every member is thermalized at every step."""

    def level(self, x: Tensor) -> Tensor:
        return torch.full((len(x),), self.levels)


class Autoregression(nn.Module):
    """x → ψ x + √q ξ, mode by mode."""

    def __init__(self, psi: Tensor, innovation: Tensor) -> None:
        super().__init__()
        self.psi, self.scale = psi, innovation.sqrt()
        self.generator = torch.Generator().manual_seed(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.psi * x + self.scale * torch.randn(x.shape, generator=self.generator, dtype=x.dtype)


def draws(variance: Tensor, count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 1, len(variance), generator=generator, dtype=torch.float64) * variance.sqrt()


def thermalize(thermalizer: Thermalizer, x: Tensor, step: int = 1):
    return thermalizer(x, step, torch.arange(len(x)), MemberNoise(member_keys(5, 0, len(x)), step), {})


def run(stabilizer, emulator: nn.Module, x: Tensor, steps: int, lost_above: float = 1e12):
    state = State(x.clone())
    rollout = Rollout(emulator, stabilizer, member_keys(5, 0, len(x)), lost_above)
    return rollout.advance(state, steps), state


def test_level_of_clean_states_is_low():
    variance = steep_spectrum(MODES)
    assert float(GaussianModel(variance).level(draws(variance, 1000)).double().mean()) == pytest.approx(0.43, abs=0.1)


@pytest.mark.parametrize(
    ("level", "expected", "tolerance"), [(10, 9.8, 0.4), (50, 49.5, 0.9), (100, 99.3, 1.5), (300, 299, 4)]
)
def test_level_posterior_recovers_the_level(level, expected, tolerance):
    variance = steep_spectrum(MODES)
    clean = draws(variance, 1000)
    xi = torch.randn(clean.shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    noisy = SCHEDULE.diffuse(clean, torch.full((1000,), level), xi)
    assert abs(float(GaussianModel(variance).level(noisy).double().mean()) - expected) < tolerance


def test_thermalizing_true_states_keeps_their_covariance():
    """N(0, C) in, N(0, C) out, but for the variance that ancestral steps are known to lose below the finest noise."""
    variance = steep_spectrum(8)
    model = FixedLevel(variance, levels=50)
    out = thermalize(above(model, DDPM(SCHEDULE), 10, CLEAN), draws(variance, 4000)).x[:, 0]
    gain, spread = ddpm_output(variance, 50, CLEAN)
    expected = gain**2 * model.marginal(torch.tensor([50]))[0] + spread
    torch.testing.assert_close(out.square().mean(0), expected, rtol=0.1, atol=0)
    torch.testing.assert_close(expected[:4] / variance[:4], torch.ones(4, dtype=torch.float64), rtol=6e-3, atol=0)
    assert float((out.mean(0) / variance.sqrt()).abs().max()) < 0.07
    correlation = torch.corrcoef(out.T) - torch.eye(8)
    assert float(correlation.abs().max()) < 0.07


@pytest.mark.parametrize("stop", [CLEAN, 4])
def test_stationary_variance_of_a_thermalized_chain_with_a_biased_emulator(stop):
    """P = [ρ² q + g² u_s + v] / (1 − ρ² ψ²) with ρ = g √ᾱ_s, mode by mode."""
    variance, phi, start = steep_spectrum(16), 0.95, 50
    psi = torch.where(variance < 0.1, 1.05, phi).double()
    q = variance * (1 - phi**2)
    model = FixedLevel(variance, levels=start)
    thermalizer = above(model, DDPM(SCHEDULE), 10, stop)
    chunk, _ = run(thermalizer, Autoregression(psi, q), draws(variance, 100), 100)
    measured = chunk.x[:, 40:, 0].square().mean((0, 1))
    gain, spread = ddpm_output(variance, start, stop)
    rho = gain * SCHEDULE.signal(start)
    expected = (rho**2 * q + gain**2 * SCHEDULE.noise(start) ** 2 + spread) / (1 - rho**2 * psi**2)
    torch.testing.assert_close(measured, expected, rtol=0.15, atol=0)


def test_the_biased_chain_blows_up_without_thermalization():
    """V_n = ψ^{2n} V_0 + q (ψ^{2n} − 1)/(ψ² − 1)."""
    variance, phi, psi, steps = steep_spectrum(8), 0.95, 1.05, 100
    q = variance * (1 - phi**2)
    chunk, _ = run(Raw(), Autoregression(torch.full((8,), psi).double(), q), draws(variance, 4000), steps)
    growth = psi ** (2 * steps)
    expected = growth * variance + q * (growth - 1) / (psi**2 - 1)
    torch.testing.assert_close(chunk.x[:, -1, 0].square().mean(0), expected, rtol=0.1, atol=0)


def adaptive(variance: Tensor) -> Thermalizer:
    model = GaussianModel(variance, levels=200)
    return above(model, DDPM(SCHEDULE), 10, 4)


def test_adaptive_thermalization_bounds_a_small_scale_bias():
    variance, phi = steep_spectrum(MODES), 0.95
    psi = torch.where(variance < 0.1, 1.05, phi).double()
    emulator = Autoregression(psi, variance * (1 - phi**2))
    raw, _ = run(Raw(), emulator, draws(variance, 10), 200)
    assert float(raw.x[:, -1].abs().max()) > 1e2
    chunk, _ = run(adaptive(variance), emulator, draws(variance, 10), 200)
    middle, end = (chunk.x[:, part, 0].square().mean((0, 1)) / variance for part in (slice(100, 150), slice(150, 200)))
    assert float(end[:8].max()) < 2.5
    assert float(end.max()) < 100
    assert 0.5 < float(end[8:].mean() / middle[8:].mean()) < 2
    assert 0.2 < float((chunk.record["reverse_steps"] > 0).double().mean()) < 0.9


def test_the_noise_level_is_blind_to_large_scale_growth():
    """Known limit: inflating the energetic modes lowers the predicted level, so a large-scale bias escapes."""
    variance, phi = steep_spectrum(MODES), 0.95
    inflated = draws(variance, 500)
    before = GaussianModel(variance).level(inflated).double().mean()
    inflated[:, :, variance > 1] *= 101**0.5
    assert GaussianModel(variance).level(inflated).double().mean() <= before
    # over-damped states look cleaner than clean ones, so nothing protects from them either
    assert int(GaussianModel(variance).level(0.5 * draws(variance, 500)).max()) == 0
    psi = torch.full((MODES,), phi).double()
    psi[:2] = 1.02
    chunk, _ = run(adaptive(variance), Autoregression(psi, variance * (1 - phi**2)), draws(variance, 20), 300)
    assert float((chunk.x[:, -1, 0, :2].square().mean(0) / variance[:2]).min()) > 100


def test_a_member_does_not_depend_on_its_companions():
    variance = steep_spectrum(MODES)
    noisy = draws(variance, 12) + 0.05 * torch.randn(12, 1, MODES, generator=torch.Generator().manual_seed(4))
    together = thermalize(adaptive(variance), noisy)
    assert int((together.record["reverse_steps"] > 0).sum()) > 3
    keys = member_keys(5, 0, 12)
    for m in range(12):
        alone = adaptive(variance)(noisy[m : m + 1], 1, torch.tensor([m]), MemberNoise(keys, 1), {})
        assert torch.equal(alone.x[0], together.x[m])
        assert alone.record["reverse_steps"].tolist() == [int(together.record["reverse_steps"][m])]


def test_a_trigger_that_never_fires_changes_no_bit():
    variance = steep_spectrum(MODES)
    model = GaussianModel(variance)
    never = above(model, DDPM(SCHEDULE), 599, CLEAN)
    psi, q = torch.full((MODES,), 0.95).double(), variance * (1 - 0.95**2)
    raw, _ = run(Raw(), Autoregression(psi, q), draws(variance, 5), 50)
    watched, _ = run(never, Autoregression(psi, q), draws(variance, 5), 50)
    assert torch.equal(raw.x, watched.x)
    assert int(watched.record["level"].min()) >= 0
    assert raw.record == {}


def test_only_members_above_start_are_touched_and_levels_are_looked_at_every_nth_step():
    variance = steep_spectrum(MODES)
    x = draws(variance, 4)
    x[1] += 0.3 * torch.randn(1, MODES, generator=torch.Generator().manual_seed(8))
    outcome = thermalize(adaptive(variance), x)
    untouched = torch.tensor([0, 2, 3])
    assert torch.equal(outcome.x[untouched], x[untouched])
    assert not torch.equal(outcome.x[1], x[1])
    assert float(outcome.record["displacement"][1]) > 0.05
    assert outcome.record["displacement"][untouched].tolist() == [0, 0, 0]
    assert int(outcome.record["reverse_steps"][1]) == int(outcome.record["level"][1]) - 4
    model = GaussianModel(variance)
    lazy = above(model, DDPM(SCHEDULE), 10, 4, every=3)
    assert thermalize(lazy, x, step=2).record["level"].tolist() == [-1] * 4
    assert int(thermalize(lazy, x, step=3).record["level"][1]) > 10


def test_without_forward_noise_the_state_itself_is_denoised():
    variance = steep_spectrum(8)
    model = FixedLevel(variance, levels=50)
    mean = above(model, DDIM(SCHEDULE, 1), 10, CLEAN, forward_noise=False)
    x = draws(variance, 3)
    c = model.marginal(torch.tensor([50]))[0]
    torch.testing.assert_close(thermalize(mean, x).x, SCHEDULE.signal(50) * variance / c * x)
