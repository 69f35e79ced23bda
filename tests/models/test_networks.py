"""What holds for every network: shapes, shifts, boundaries, precisions, what starts at zero; who uses them."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from networks import SMALL, state, stirred
from safetensors.torch import load, save
from torch import Tensor, nn

from thermalize.config import DiffusionConfig, EmulatorConfig, NetworkConfig, TrainingConfig
from thermalize.diffusion.denoiser import Denoiser
from thermalize.emulators.residual import ResidualEmulator
from thermalize.models import NETWORKS, Network, build
from thermalize.models.normalization import Normalization

TRAINING = TrainingConfig(updates=1)
POINTS = 16

every = pytest.mark.parametrize("config", SMALL.values(), ids=SMALL)
convolutional = pytest.mark.parametrize("kind", ["unet", "drn"])
both = pytest.mark.parametrize("dims", [1, 2])


def small(config: NetworkConfig, dims: int = 2, **changes: object) -> Network:
    torch.manual_seed(0)
    return build(config.model_copy(update=changes), dims, 2, 3)


def fields(dims: int, batch: int = 2) -> Tensor:
    return state(batch, 2, *(POINTS,) * dims)


def error(a: Tensor, b: Tensor) -> float:
    return float((a - b).detach().abs().max() / b.detach().abs().max())


def test_every_kind_can_be_built() -> None:
    union = get_args(NetworkConfig)[0]
    assert {get_args(each.model_fields["kind"].annotation)[0] for each in get_args(union)} == set(NETWORKS)


@every
@both
def test_networks_map_fields_in_two_parts(config: NetworkConfig, dims: int) -> None:
    net, x = stirred(small(config, dims)), fields(dims)
    features = net.encode(x)
    assert features[-1].shape[:2] == (2, net.features)
    assert net(x).shape == (2, 3, *x.shape[2:])
    assert torch.equal(net.decode(features), net(x))
    assert torch.isfinite(net(x)).all()


@every
@both
@pytest.mark.parametrize("steps", [1, -3])
def test_networks_commute_with_shifts_that_their_downsampling_admits(config, dims, steps) -> None:
    net, x = stirred(small(config, dims)), fields(dims)
    y = net(x)
    for axis in range(2, 2 + dims):
        shift = steps * config.divisor
        assert error(net(x.roll(shift, axis)), y.roll(shift, axis)) < 1e-12


@pytest.mark.parametrize("kind", ["unet", "unet-attention"])
@both
@pytest.mark.parametrize("shift", [1, 2, 3])
def test_downsampling_does_not_commute_with_smaller_shifts(kind, dims, shift) -> None:
    net, x = stirred(small(SMALL[kind], dims)), fields(dims)
    for axis in range(2, 2 + dims):
        assert error(net(x.roll(shift, axis)), net(x).roll(shift, axis)) > 1e-3


@every
@both
def test_untrained_networks_are_the_zero_map(config: NetworkConfig, dims: int) -> None:
    assert not small(config, dims)(fields(dims).float()).any()


@every
@both
def test_a_member_does_not_see_the_others(config: NetworkConfig, dims: int) -> None:
    net, x = stirred(small(config, dims)), fields(dims, batch=3)
    torch.testing.assert_close(net(x)[1:2], net(x[1:2]), rtol=1e-12, atol=1e-12)


@every
@both
def test_precisions_agree(config: NetworkConfig, dims: int) -> None:
    net, x = stirred(small(config, dims)), fields(dims)
    exact = net(x)
    net = net.float()
    assert error(net(x.float()), exact) < 1e-5
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = net(x.float())
    assert 1e-5 < error(rough, exact) < 0.1


@every
def test_bfloat16_has_gradients(config: NetworkConfig) -> None:
    net, x = stirred(small(config)).float().train(), fields(2).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = net(x).float().square().mean()
    loss.backward()
    assert all(torch.isfinite(each.grad).all() for each in net.parameters())
    assert all(each.grad.any() for each in net.parameters() if each.numel() > 10)


@every
def test_memory_format_does_not_matter(config: NetworkConfig) -> None:
    net, x = stirred(small(config)), fields(2)
    torch.testing.assert_close(net(x.contiguous(memory_format=torch.channels_last)), net(x), rtol=1e-12, atol=1e-12)


@every
@both
def test_checkpointing_repeats_the_forward_pass_and_gives_the_same_gradients(config, dims) -> None:
    plain, saving = stirred(small(config, dims)), stirred(small(config, dims, checkpointing=True))
    calls: tuple[list[int], list[int]] = ([], [])
    for net, seen in zip((plain, saving), calls, strict=True):
        part = next(each for name, each in net.named_modules() if name.endswith(("levels.0", "blocks.0")))
        part.register_forward_pre_hook(lambda *_, seen=seen: seen.append(1))
        net.train()(fields(dims)).square().sum().backward()
    for a, b in zip(plain.parameters(), saving.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad)
    assert [len(seen) for seen in calls] == [1, 2]
    saving.eval()(fields(dims))
    assert len(calls[1]) == 3


@every
def test_weights_are_real_and_survive_a_file(config: NetworkConfig) -> None:
    net = stirred(small(config))
    weights = net.state_dict()
    assert not any(each.is_complex() for each in weights.values())
    torch.manual_seed(5)
    other = build(config, 2, 2, 3).double()
    other.load_state_dict(load(save({name: each.contiguous() for name, each in weights.items()})))
    assert torch.equal(other.eval()(fields(2)), net(fields(2)))


@pytest.mark.parametrize("kind", ["unet", "drn", "fno"])
def test_constants_continue_themselves_under_replication(kind: str) -> None:
    """A field that is the same at every y sees no edge there, so a channel and a torus agree."""
    channel = stirred(small(SMALL[kind], boundary=edges(y="replicate")))
    torus, x = stirred(small(SMALL[kind])), fields(2)[:, :, :1].expand(-1, -1, POINTS, -1)
    assert error(channel(x), torus(x)) < 1e-12
    assert error(channel(fields(2)), torus(fields(2))) > 1e-3


@pytest.mark.parametrize("kind", ["unet", "drn", "fno", "stable_fno"])
def test_an_edge_breaks_shifts_across_it_alone(kind: str) -> None:
    net, x = stirred(small(SMALL[kind], boundary=edges(y="zeros"))), fields(2)
    y, shift = net(x), SMALL[kind].divisor
    assert error(net(x.roll(shift, 3)), y.roll(shift, 3)) < 1e-12
    assert error(net(x.roll(shift, 2)), y.roll(shift, 2)) > 1e-4
    sides = net(torch.ones_like(x))
    assert error(sides[..., :1].expand_as(sides), sides) < 1e-12
    assert (sides[..., 0, :] - sides[..., POINTS // 2, :]).abs().max() > 1e-4 * sides.abs().max()


@convolutional
@pytest.mark.parametrize("word", ["replicate", "zeros"])
def test_one_word_is_the_same_as_one_per_axis(kind: str, word: str) -> None:
    all_axes, x = stirred(small(SMALL[kind], boundary=word)), fields(2)
    mapping = stirred(small(SMALL[kind], boundary=edges(y=word, x=word)))
    assert torch.equal(all_axes(x), mapping(x))
    by_axis = stirred(small(SMALL[kind], boundary=edges(y=word, x="periodic")))
    assert error(by_axis(x), all_axes(x)) > 1e-4


def edges(**words: str) -> object:
    return type(SMALL["unet"]).model_validate({"kind": "unet", "boundary": words}).boundary


# Those that use networks


@every
@both
def test_noise_moves_with_the_state_and_its_level_does_not(config: NetworkConfig, dims: int) -> None:
    model = stirred(Denoiser(DiffusionConfig(network=config, training=TRAINING), dims, 2))
    x = fields(dims, batch=3)
    noise, logits = model(x)
    moved, same = model(x.roll(4, 2))
    torch.testing.assert_close(moved, noise.roll(4, 2), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(same, logits, rtol=1e-10, atol=1e-10)
    assert logits.shape == (3, 200)
    level = model.level(x)
    assert torch.equal(level, logits.argmax(1))
    assert torch.equal(model.noise(x, level), noise)


@every
def test_emulator_steps_in_physical_units_and_conserves_the_mean(config: NetworkConfig) -> None:
    settings = EmulatorConfig(network=config, training=TRAINING)
    emulator = stirred(ResidualEmulator(settings, 1, 1, Normalization((2.0,), (3.0,))))
    u = 3 * state(2, 1, 16) + 2
    x = (u - 2) / 3
    torch.testing.assert_close(emulator.step(u), emulator(x) * 3 + 2)
    torch.testing.assert_close(emulator(x), x + emulator.residual(x))
    torch.testing.assert_close(emulator(x).mean(-1), x.mean(-1))
    free = settings.model_copy(update={"conserve_mean": False})
    other: nn.Module = stirred(ResidualEmulator(free, 1, 1, Normalization((2.0,), (3.0,))))
    assert not torch.allclose(other(x).mean(-1), x.mean(-1), atol=1e-3)
