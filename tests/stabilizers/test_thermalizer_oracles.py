"""Thermalization as an exact kernel: what it does to any Gaussian, and to chains with any linear emulator.

With x ~ N(0, C) true, mode by mode, forward noise to level s and the exact reverse to level r:

    x' = ρ x + N(0, c_r − ρ² λ),   ρ = ᾱ_s c_r / (√ᾱ_r c_s)

so that N(0, C) becomes N(0, C_r), and after an emulator x → ψ x + N(0, q) the variance is

    P = (ρ² q + c_r − ρ² λ) / (1 − ρ² ψ²)    where ρ |ψ| < 1, and nothing else bounds it.

Gains and variances without sampling hold to 1e-9; statistics over 100,000 members to 2 % (four standard errors).
"""

from __future__ import annotations

import pytest
import torch
from gaussian import SCHEDULE, Draws, ExactSampler, GaussianModel, above, response, steep_spectrum
from torch import Tensor

from thermalize.diffusion.samplers import DDIM, DDPM, DPMSolver2M, PosteriorMean
from thermalize.diffusion.schedule import CLEAN
from thermalize.runtime.members import MemberNoise, member_keys
from thermalize.stabilizers.thermalizer import Thermalizer

SPECTRUM = steep_spectrum(64)
SHOWN = [0, 1, 7, 31, 63]
VARIANCE = SPECTRUM[SHOWN]
PHI = 0.95
MEMBERS = 100_000
SAMPLERS = [
    DDPM(SCHEDULE),
    DDIM(SCHEDULE, 4),
    DDIM(SCHEDULE, 4, 0.5),
    DPMSolver2M(SCHEDULE, 4),
    PosteriorMean(SCHEDULE),
]
every = pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: f"{type(s).__name__}-{getattr(s, 'eta', '')}")


class Always(GaussianModel):
    """Finds everyone at the same level, `levels`."""

    def level(self, x: Tensor) -> Tensor:
        return torch.full((len(x),), self.levels)


def exact(variance: Tensor, level: int, stop: int, **settings) -> Thermalizer:
    model = Always(variance, levels=level)
    return above(model, ExactSampler(model), 0, stop, **settings)


def kernel(variance: Tensor, level: int, stop: int) -> tuple[Tensor, Tensor]:
    """ρ and c_r."""
    model = GaussianModel(variance)
    high, low = (model.marginal(torch.tensor([each]))[0] for each in (level, stop))
    return SCHEDULE.signal(level) ** 2 / SCHEDULE.signal(stop) * low / high, low


def stationary(variance: Tensor, psi: Tensor, level: int, stop: int) -> Tensor:
    (rho, low), q = kernel(variance, level, stop), variance * (1 - PHI**2)
    return (rho**2 * q + low - rho**2 * variance) / (1 - rho**2 * psi**2)


def chain(thermalizer: Thermalizer, psi: Tensor, x: Tensor, steps: int) -> Tensor:
    """States [step, member, mode] of a rollout whose emulator is x → ψ x + N(0, q)."""
    draws, rows, seen = Draws(1), torch.arange(len(x)), []
    scale = (thermalizer.model.variance * (1 - PHI**2)).sqrt()
    for step in range(1, steps + 1):
        x = psi * x + scale * draws.draw(rows, x)
        x = thermalizer(x, step, rows, draws, {}).x
        seen.append(x[:, 0])
    return torch.stack(seen)


def truth(variance: Tensor, count: int = MEMBERS) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, 1, len(variance), generator=generator, dtype=torch.float64) * variance.sqrt()


@pytest.mark.parametrize("stop", [CLEAN, 4])
@pytest.mark.parametrize("level", [50, 300])
def test_the_kernel_contracts_every_covariance_towards_the_truth(level, stop):
    """P_out − C_r = R (P_in − C) Rᵀ, of which N(0, C) → N(0, C_r) is a part."""
    thermalizer = exact(SPECTRUM, level, stop)
    gain, variance = response(lambda x, rows, noise: thermalizer(x, 1, rows, noise, {}).x, 64, 2)
    rho, low = kernel(SPECTRUM, level, stop)
    torch.testing.assert_close(gain, rho, rtol=1e-9, atol=0)
    torch.testing.assert_close(variance, low - rho**2 * SPECTRUM, rtol=1e-9, atol=1e-12)
    before = torch.diag(SPECTRUM) + 0.3 * torch.outer(SPECTRUM.sqrt(), SPECTRUM.sqrt())
    after = gain[:, None] * before * gain + torch.diag(variance)
    expected = torch.diag(low) + torch.diag(rho) @ (before - torch.diag(SPECTRUM)) @ torch.diag(rho)
    torch.testing.assert_close(after, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("stop", [CLEAN, 4])
def test_true_states_stay_true(stop):
    """N(0, C) in, N(0, C_r) out: variances, correlations of modes and means."""
    out = exact(VARIANCE, 50, stop)(truth(VARIANCE), 1, torch.arange(MEMBERS), Draws(2), {}).x[:, 0]
    low = kernel(VARIANCE, 50, stop)[1]
    torch.testing.assert_close(out.square().mean(0), low, rtol=0.02, atol=0)
    assert float((torch.corrcoef(out.T) - torch.eye(5)).abs().max()) < 0.016
    assert float((out.mean(0) / low.sqrt()).abs().max()) < 0.016


@pytest.mark.parametrize(
    ("stop", "published"), [(CLEAN, [1, 1, 1, 1.0055, 1.0001]), (4, [0.9974, 0.9978, 1.0099, 1.1704, 2.2596])]
)
def test_stationary_variance_of_a_chain_whose_emulator_blows_up_small_scales(stop, published):
    psi = torch.where(VARIANCE < 0.1, 1.05, PHI).double()
    expected = stationary(VARIANCE, psi, 50, stop)
    torch.testing.assert_close(expected / VARIANCE, torch.tensor(published).double(), rtol=0, atol=1e-4)
    seen = chain(exact(VARIANCE, 50, stop), psi, truth(VARIANCE), 30)
    torch.testing.assert_close(seen[-10:].square().mean((0, 1)), expected, rtol=0.02, atol=0)


def test_correlation_in_time_is_that_of_emulator_and_kernel():
    """Lag one: ρ ψ."""
    psi = torch.where(VARIANCE < 0.1, 1.05, PHI).double()
    before, after = chain(exact(VARIANCE, 50, CLEAN), psi, truth(VARIANCE), 40)[-2:]
    lag = (before * after).mean(0) / (before.square().mean(0) * after.square().mean(0)).sqrt()
    torch.testing.assert_close(lag, kernel(VARIANCE, 50, CLEAN)[0] * psi, rtol=0, atol=0.016)


def test_stationary_variance_where_only_every_third_step_is_looked_at():
    """ψ² → ψ⁶ and q → q (1 − ψ⁶)/(1 − ψ²)."""
    psi, every_third = torch.full((5,), 0.9).double(), exact(VARIANCE, 50, CLEAN, every=3)
    rho, low = kernel(VARIANCE, 50, CLEAN)
    q = VARIANCE * (1 - PHI**2) * (1 - psi**6) / (1 - psi**2)
    expected = (rho**2 * q + low - rho**2 * VARIANCE) / (1 - rho**2 * psi**6)
    measured = chain(every_third, psi, truth(VARIANCE), 30)[-1].square().mean(0)
    torch.testing.assert_close(measured, expected, rtol=0.02, atol=0)


def test_without_forward_noise_the_gaussian_is_not_kept():
    """P = (g² q + λ u_s/c_s) / (1 − g² ψ²) with g = √ᾱ_s λ/c_s: less than λ where λ < 1, more where it is larger."""
    level, signal = 50, SCHEDULE.signal(50)
    c = GaussianModel(VARIANCE).marginal(torch.tensor([level]))[0]
    g, q = signal * VARIANCE / c, VARIANCE * (1 - PHI**2)
    expected = (g**2 * q + VARIANCE * SCHEDULE.noise(level) ** 2 / c) / (1 - g**2 * PHI**2)
    still = exact(VARIANCE, level, CLEAN, forward_noise=False)
    measured = chain(still, torch.full((5,), PHI).double(), truth(VARIANCE), 60)[-1].square().mean(0)
    torch.testing.assert_close(measured, expected, rtol=0.02, atol=0)
    assert torch.equal(expected > VARIANCE, VARIANCE > 1)


@pytest.mark.parametrize(("level", "bounded"), [(100, False), (400, True)])
def test_a_bias_of_all_scales_needs_a_high_level(level, bounded):
    """An emulator that inflates everything by 6 %: level 100 lets it go (ρψ = 1.0064), level 400 holds it."""
    variance, psi, steps = SPECTRUM[:3], 1.06 * PHI * torch.ones(3).double(), 60 if bounded else 150
    rho, low = kernel(variance, level, CLEAN)
    expected, q = variance, variance * (1 - PHI**2)
    for _ in range(steps):
        expected = rho**2 * (psi**2 * expected + q) + low - rho**2 * variance
    seen = chain(exact(variance, level, CLEAN), psi, truth(variance, 50_000), steps)[-1].square().mean(0)
    torch.testing.assert_close(seen, expected, rtol=0.03, atol=0)
    if bounded:
        ratio = stationary(variance, psi, level, CLEAN) / variance
        torch.testing.assert_close(ratio, torch.tensor([17.80, 1.709, 1.180]).double(), rtol=1e-3, atol=0)
    else:
        assert float((rho * psi).max()) == pytest.approx(1.0064, abs=1e-4)
        assert float(seen[0] / variance[0]) > 30


@every
def test_gain_and_variance_of_every_sampler_on_energetic_modes(sampler):
    """True states stay true to 1 % where the data have ten times the variance of the noise, with every sampler but one.

    The posterior mean alone loses the share u_s/c_s of each mode: it is an estimate, not a draw.
    """
    energetic = SPECTRUM[:8]
    thermalizer = above(Always(energetic, levels=20), sampler, 0, CLEAN)
    gain, spread = response(lambda x, rows, noise: thermalizer(x, 1, rows, noise, {}).x, 8, 40)
    kept = (gain**2 * energetic + spread) / energetic
    lost = SCHEDULE.noise(20) ** 2 / GaussianModel(energetic).marginal(torch.tensor([20]))[0]
    assert bool((lost < 0.1).all())
    expected = 1 - lost if isinstance(sampler, PosteriorMean) else torch.ones(8).double()
    torch.testing.assert_close(kept, expected, rtol=1e-9 if isinstance(sampler, PosteriorMean) else 0.01, atol=0)


@every
def test_a_member_does_not_depend_on_its_companions(sampler):
    """The same bits alone and in a batch whose members sit at levels of their own."""
    x = truth(SPECTRUM, 12) + 0.05 * torch.randn(12, 1, 64, generator=torch.Generator().manual_seed(4)).double()
    x[::3] *= 1 + torch.rand(4, 1, 1, generator=torch.Generator().manual_seed(6)).double()
    thermalizer, keys = above(GaussianModel(SPECTRUM, levels=200), sampler, 10, 4), member_keys(5, 0, 40)
    rows = 3 * torch.arange(12)
    together = thermalizer(x, 1, rows, MemberNoise(keys, 1), {})
    assert len(set(together.record["level"].tolist())) > 4
    assert int((together.record["reverse_steps"] > 0).sum()) > 3
    for m in range(12):
        alone = thermalizer(x[m : m + 1], 1, rows[m : m + 1], MemberNoise(keys, 1), {})
        assert torch.equal(alone.x[0], together.x[m])
        assert alone.record["reverse_steps"].tolist() == [int(together.record["reverse_steps"][m])]


@every
def test_the_mean_is_conserved_member_by_member(sampler):
    """Over the last axis, which stands for the grid here; who is not thermalized is not touched."""
    x = truth(SPECTRUM, 6)
    x[[1, 4, 5]] += 0.3 * torch.randn(3, 1, 64, generator=torch.Generator().manual_seed(8)).double()
    thermalizer = above(GaussianModel(SPECTRUM, levels=200), sampler, 10, CLEAN, conserve_mean=True)
    rows = torch.tensor([9, 4, 2, 7, 0, 5])
    out = thermalizer(x, 1, rows, MemberNoise(member_keys(5, 0, 10), 1), {})
    torch.testing.assert_close(out.x.mean(-1), x.mean(-1), rtol=0, atol=1e-12)
    assert torch.equal(out.x[[0, 2, 3]], x[[0, 2, 3]])
    assert bool((out.record["displacement"][[1, 4, 5]] > 0.1).all())
    loose = above(thermalizer.model, sampler, 10, CLEAN)
    free = loose(x, 1, rows, MemberNoise(member_keys(5, 0, 10), 1), {}).x
    torch.testing.assert_close(out.x - out.x.mean(-1, keepdim=True), free - free.mean(-1, keepdim=True))
    assert not torch.allclose(free.mean(-1), x.mean(-1), rtol=0, atol=1e-4)
