"""Residual U-Net, 1-D or 2-D from one definition.

    encoder:  x → lift → [residual blocks → halve the grid]ⁿ → residual blocks
    decoder:  [double the grid → join the skip → residual blocks]ⁿ → project

On a torus every convolution pads circularly, also the ones after up-sampling, so a shift of the input by a multiple of
2ⁿ grid points shifts the output by the same amount. As configured first there is no normalisation layer; each residual
branch starts at zero. The encoder can be evaluated alone: the level head of a denoiser needs no more.

Ronneberger et al., arXiv 1505.04597; residual blocks and attention as in Ho et al., arXiv 2006.11239.
"""

from __future__ import annotations

from itertools import pairwise
from math import gcd

from torch import Tensor, cat, nn
from torch.nn.functional import scaled_dot_product_attention

from thermalize.config.networks import Edge, UNetConfig
from thermalize.models.base import Network, run, zero
from thermalize.models.convolution import CONVOLUTIONS, convolution, pointwise

__all__ = ["Decoder", "Encoder", "UNet"]

GROUPS = 8
HEAD_CHANNELS = 32


def normalisation(channels: int, config: UNetConfig) -> nn.Module:
    return nn.GroupNorm(gcd(GROUPS, channels), channels) if config.norm == "group" else nn.Identity()


class ResidualBlock(nn.Module):
    """x + conv(gelu(norm(conv(gelu(norm(x)))))), with a 1×1 projection of x where the number of channels changes."""

    def __init__(self, edges: tuple[Edge, ...], inputs: int, outputs: int, config: UNetConfig) -> None:
        super().__init__()
        self.first = convolution(edges, inputs, outputs, config.kernel_size)
        self.second = zero(convolution(edges, outputs, outputs, config.kernel_size))
        self.skip = pointwise(len(edges), inputs, outputs) if inputs != outputs else nn.Identity()
        self.norms = nn.ModuleList((normalisation(inputs, config), normalisation(outputs, config)))
        self.activation = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        """[batch, inputs, *grid] → [batch, outputs, *grid]."""
        inner = self.first(self.activation(self.norms[0](x)))
        return self.skip(x) + self.second(self.activation(self.norms[1](inner)))


class Attention(nn.Module):
    """x + project(softmax(q kᵀ/√d) v) over all grid points, without their position; starts as the identity."""

    def __init__(self, dims: int, channels: int, config: UNetConfig) -> None:
        super().__init__()
        self.heads = gcd(channels, max(1, channels // HEAD_CHANNELS))
        self.norm = normalisation(channels, config)
        self.queries = pointwise(dims, channels, 3 * channels)
        self.project = zero(pointwise(dims, channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """[batch, channels, *grid] → the same shape."""
        parts = self.queries(self.norm(x)).flatten(2).unflatten(1, (3, self.heads, -1))
        q, k, v = parts.transpose(-1, -2).unbind(1)
        mixed = scaled_dot_product_attention(q, k, v)
        return x + self.project(mixed.transpose(-1, -2).reshape(x.shape))


def residual_blocks(edges: tuple[Edge, ...], inputs: int, outputs: int, config: UNetConfig) -> nn.Sequential:
    sizes = [inputs] + [outputs] * config.blocks
    return nn.Sequential(*(ResidualBlock(edges, a, b, config) for a, b in pairwise(sizes)))


class Encoder(nn.Module):
    """[batch, channels, *grid] → features of every level, finest first; the last is the bottleneck."""

    def __init__(self, dims: int, channels: int, config: UNetConfig) -> None:
        super().__init__()
        widths, edges = [config.width * m for m in config.multipliers], config.edges(dims)
        self.checkpointing = config.checkpointing
        self.lift = convolution(edges, channels, widths[0], config.kernel_size)
        self.levels = nn.ModuleList(
            residual_blocks(edges, a, b, config) for a, b in zip([widths[0], *widths], widths, strict=False)
        )
        self.down = nn.ModuleList(CONVOLUTIONS[dims](w, w, 2, stride=2) for w in widths[:-1])
        self.attention = Attention(dims, widths[-1], config) if config.attention else nn.Identity()

    def forward(self, x: Tensor) -> list[Tensor]:
        features = [run(self.levels[0], self.lift(x), checkpointing=self.checkpointing)]
        for down, level in zip(self.down, self.levels[1:], strict=True):
            features.append(run(level, down(features[-1]), checkpointing=self.checkpointing))
        features[-1] = self.attention(features[-1])
        return features


class Decoder(nn.Module):
    """Features of every level → [batch, channels, *grid]; starts as the zero map."""

    def __init__(self, dims: int, channels: int, config: UNetConfig) -> None:
        super().__init__()
        widths, edges = [config.width * m for m in config.multipliers], config.edges(dims)
        self.checkpointing = config.checkpointing
        pairs = list(pairwise(widths))[::-1]
        self.up = nn.ModuleList(pointwise(dims, coarse, fine) for fine, coarse in pairs)
        self.levels = nn.ModuleList(residual_blocks(edges, 2 * fine, fine, config) for fine, _ in pairs)
        self.enlarge = nn.Upsample(scale_factor=2, mode="nearest")
        self.project = zero(convolution(edges, widths[0], channels, config.kernel_size))

    def forward(self, features: list[Tensor]) -> Tensor:
        x = features[-1]
        for up, level, skip in zip(self.up, self.levels, reversed(features[:-1]), strict=True):
            x = run(level, cat((self.enlarge(up(x)), skip), dim=1), checkpointing=self.checkpointing)
        return self.project(x)


class UNet(Network):
    """[batch, inputs, *grid] → [batch, outputs, *grid]; each grid axis divisible by 2^(levels − 1)."""

    def __init__(self, dims: int, inputs: int, outputs: int, config: UNetConfig) -> None:
        super().__init__(dims, inputs, outputs, config)
        self.encoder = Encoder(dims, inputs, config)
        self.decoder = Decoder(dims, outputs, config)
        self.features = config.width * config.multipliers[-1]

    def encode(self, x: Tensor) -> list[Tensor]:
        return self.encoder(x)

    def decode(self, features: list[Tensor]) -> Tensor:
        return self.decoder(features)
