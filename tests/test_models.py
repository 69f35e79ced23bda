"""Networks: shapes, shift equivariance, what starts at zero."""

from __future__ import annotations

import pytest
import torch

from thermalize.config import DiffusionConfig, EmulatorConfig, TrainingConfig, UNetConfig
from thermalize.diffusion.denoiser import Denoiser
from thermalize.emulators import ResidualEmulator
from thermalize.models.unet import UNet
from thermalize.training.data import Normalization

TRAINING = TrainingConfig(updates=1)
NETWORK = UNetConfig(width=6, multipliers=(1, 2, 4))


def stirred(module: torch.nn.Module) -> torch.nn.Module:
    """Random weights everywhere, also where training starts from zero."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return module.double().eval()


def state(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("shift", [4, 8, -12])
def test_unet_commutes_with_shifts_that_its_downsampling_admits(dims, shift):
    net, x = stirred(UNet(dims, 2, 3, NETWORK)), state(2, 2, *(16,) * dims)
    expected = net(x)
    for axis in range(2, 2 + dims):
        error = (net(x.roll(shift, axis)) - expected.roll(shift, axis)).abs().max()
        assert error < 1e-12 * expected.abs().max()
    assert net(x).shape == (2, 3, *(16,) * dims)


def test_unet_without_downsampling_commutes_with_every_shift():
    net, x = stirred(UNet(1, 1, 1, UNetConfig(width=4, multipliers=(1,)))), state(1, 1, 15)
    torch.testing.assert_close(net(x.roll(1, 2)), net(x).roll(1, 2), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dims", [1, 2])
def test_noise_moves_with_the_state_and_its_level_does_not(dims):
    model, x = (
        stirred(Denoiser(DiffusionConfig(network=NETWORK, training=TRAINING), dims, 1)),
        state(3, 1, *(16,) * dims),
    )
    noise, logits = model(x)
    moved, same = model(x.roll(4, 2))
    torch.testing.assert_close(moved, noise.roll(4, 2), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(same, logits, rtol=1e-10, atol=1e-10)
    assert logits.shape == (3, 200)
    level = model.level(x)
    assert torch.equal(level, logits.argmax(1))
    assert torch.equal(model.noise(x, level), noise)


def test_untrained_networks_are_the_zero_map():
    x = torch.randn(2, 1, 16)
    assert torch.equal(UNet(1, 1, 1, NETWORK)(x), torch.zeros_like(x))


def test_emulator_steps_in_physical_units_and_conserves_the_mean():
    config = EmulatorConfig(network=NETWORK, training=TRAINING)
    emulator = stirred(ResidualEmulator(config, 1, 1, Normalization((2.0,), (3.0,))))
    u = 3 * state(2, 1, 16) + 2
    x = (u - 2) / 3
    torch.testing.assert_close(emulator.step(u), emulator(x) * 3 + 2)
    torch.testing.assert_close(emulator(x), x + emulator.residual(x))
    torch.testing.assert_close(emulator(x).mean(-1), x.mean(-1))
    free = config.model_copy(update={"conserve_mean": False})
    other = stirred(ResidualEmulator(free, 1, 1, Normalization((2.0,), (3.0,))))
    assert not torch.allclose(other(x).mean(-1), x.mean(-1), atol=1e-3)
