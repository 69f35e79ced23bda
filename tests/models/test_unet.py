"""The U-Net: the bits of its default, and its options."""

from __future__ import annotations

from hashlib import sha256

import pytest
import torch
from networks import state, stirred
from torch import Tensor
from torch.nn.functional import conv1d, conv2d, gelu, interpolate, pad

from thermalize.config import UNetConfig
from thermalize.models.unet import Attention, UNet, normalisation

CONV = {1: conv1d, 2: conv2d}
CONFIGS = {
    "default": UNetConfig(),
    "narrow": UNetConfig(width=6, multipliers=(1, 2), blocks=2, kernel_size=3),
}
# Names, shapes and initial weights after torch.manual_seed(0), with which trained models and their seeds were made.
DIGESTS = {
    (1, "default"): "2d7b82993095e929",
    (1, "narrow"): "64a8f110cba43d62",
    (2, "default"): "bc97f1fa955491f1",
    (2, "narrow"): "39434e25264b743f",
}


@pytest.mark.parametrize(("dims", "name"), DIGESTS)
def test_default_has_the_weights_it_always_had(dims: int, name: str) -> None:
    torch.manual_seed(0)
    digest = sha256()
    for key, value in UNet(dims, 2, 3, CONFIGS[name]).state_dict().items():
        digest.update(key.encode())
        digest.update(value.contiguous().numpy().tobytes())
    assert digest.hexdigest()[:16] == DIGESTS[dims, name]


def plainly(weights: dict[str, Tensor], x: Tensor, config: UNetConfig) -> Tensor:
    """The default U-Net written out on its state dict."""
    dims = x.ndim - 2

    def conv(name: str, x: Tensor, reach: int = 0, stride: int = 1) -> Tensor:
        x = pad(x, (reach, reach) * dims, mode="circular") if reach else x
        return CONV[dims](x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride=stride)

    def blocks(name: str, x: Tensor) -> Tensor:
        for block in range(config.blocks):
            at, reach = f"{name}.{block}", config.kernel_size // 2
            inner = conv(f"{at}.second", gelu(conv(f"{at}.first", gelu(x), reach)), reach)
            x = (conv(f"{at}.skip", x) if f"{at}.skip.weight" in weights else x) + inner
        return x

    features = [blocks("encoder.levels.0", conv("encoder.lift", x, config.kernel_size // 2))]
    for level in range(len(config.multipliers) - 1):
        features.append(blocks(f"encoder.levels.{level + 1}", conv(f"encoder.down.{level}", features[-1], stride=2)))
    h = features.pop()
    for level, skip in enumerate(reversed(features)):
        up = interpolate(conv(f"decoder.up.{level}", h), scale_factor=2, mode="nearest")
        h = blocks(f"decoder.levels.{level}", torch.cat((up, skip), dim=1))
    return conv("decoder.project", h, config.kernel_size // 2)


@pytest.mark.parametrize(("dims", "name"), DIGESTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_default_computes_the_bits_it_always_did(dims: int, name: str, dtype: torch.dtype) -> None:
    net = stirred(UNet(dims, 2, 3, CONFIGS[name])).to(dtype)
    x = state(2, 2, *(16,) * dims).to(dtype)
    assert torch.equal(net(x), plainly(net.state_dict(), x, CONFIGS[name]))


def test_without_downsampling_every_shift_commutes() -> None:
    net, x = stirred(UNet(1, 1, 1, UNetConfig(width=4, multipliers=(1,)))), state(1, 1, 15)
    torch.testing.assert_close(net(x.roll(1, 2)), net(x).roll(1, 2), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("channels", [6, 64, 96])
def test_attention_starts_as_the_identity_and_ignores_the_order_of_points(dims: int, channels: int) -> None:
    attention = Attention(dims, channels, UNetConfig(attention=True)).double()
    x = state(2, channels, *(4,) * dims)
    assert torch.equal(attention(x), x)
    mixed, order = stirred(attention), torch.randperm(4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(mixed(x[..., order]), mixed(x)[..., order], rtol=1e-12, atol=1e-12)
    other = x.clone()
    other[..., 0] += 1
    assert (mixed(other) - mixed(x))[..., 2].abs().max() > 1e-6


def test_attention_is_softmax_of_products() -> None:
    attention, x = stirred(Attention(1, 5, UNetConfig(attention=True))), state(1, 5, 7)
    q, k, v = (attention.queries(x)[0, 5 * i : 5 * i + 5] for i in range(3))
    mixed = v @ ((q.T @ k) / 5**0.5).softmax(dim=1).T
    torch.testing.assert_close(attention(x), x + attention.project(mixed[None]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("channels", "groups"), [(6, 2), (16, 8), (24, 8), (7, 1)])
def test_groups_divide_the_channels(channels: int, groups: int) -> None:
    assert normalisation(channels, UNetConfig(norm="group")).num_groups == groups


def test_group_norm_makes_branches_blind_to_the_amplitude() -> None:
    net = stirred(UNet(1, 1, 1, UNetConfig(width=8, multipliers=(1,), norm="group")))
    block, x = net.encoder.levels[0][0], state(1, 8, 16)
    torch.testing.assert_close(block(1e3 * x) - 1e3 * x, block(1e6 * x) - 1e6 * x, rtol=1e-4, atol=1e-8)
