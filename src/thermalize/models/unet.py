"""Residual U-Net on a periodic grid, 1-D or 2-D from one definition.

    encoder:  x → lift → [residual blocks → halve the grid]ⁿ → residual blocks
    decoder:  [double the grid → join the skip → residual blocks]ⁿ → project

Every convolution pads circularly, also the ones after up-sampling, so a shift of the input by a multiple of 2ⁿ grid
points shifts the output by the same amount. There is no normalisation layer; each residual branch starts at zero.
The encoder can be evaluated alone: the level head of a denoiser needs no more.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from torch import Tensor, cat, nn

from thermalize.config import UNetConfig

__all__ = ["Decoder", "Encoder", "UNet"]

CONVOLUTIONS: dict[int, type[nn.Conv1d | nn.Conv2d]] = {1: nn.Conv1d, 2: nn.Conv2d}


def periodic_conv(dims: int, inputs: int, outputs: int, kernel: int, **options: Any) -> nn.Module:
    """Same-size convolution on a torus."""
    return CONVOLUTIONS[dims](inputs, outputs, kernel, padding=kernel // 2, padding_mode="circular", **options)


class ResidualBlock(nn.Module):
    """x + conv(gelu(conv(gelu(x)))), with a 1×1 projection of x where the number of channels changes."""

    def __init__(self, dims: int, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.first = periodic_conv(dims, inputs, outputs, kernel)
        self.second = periodic_conv(dims, outputs, outputs, kernel)
        self.skip = CONVOLUTIONS[dims](inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.activation = nn.GELU()
        nn.init.zeros_(self.second.weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """[batch, inputs, *grid] → [batch, outputs, *grid]."""
        return self.skip(x) + self.second(self.activation(self.first(self.activation(x))))


def residual_blocks(dims: int, inputs: int, outputs: int, config: UNetConfig) -> nn.Sequential:
    sizes = [inputs] + [outputs] * config.blocks
    return nn.Sequential(*(ResidualBlock(dims, a, b, config.kernel_size) for a, b in pairwise(sizes)))


class Encoder(nn.Module):
    """[batch, channels, *grid] → features of every level, finest first; the last is the bottleneck."""

    def __init__(self, dims: int, channels: int, config: UNetConfig) -> None:
        super().__init__()
        widths = [config.width * m for m in config.multipliers]
        self.lift = periodic_conv(dims, channels, widths[0], config.kernel_size)
        self.levels = nn.ModuleList(
            residual_blocks(dims, a, b, config) for a, b in zip([widths[0], *widths], widths, strict=False)
        )
        self.down = nn.ModuleList(CONVOLUTIONS[dims](w, w, 2, stride=2) for w in widths[:-1])

    def forward(self, x: Tensor) -> list[Tensor]:
        features = [self.levels[0](self.lift(x))]
        for down, level in zip(self.down, self.levels[1:], strict=True):
            features.append(level(down(features[-1])))
        return features


class Decoder(nn.Module):
    """Features of every level → [batch, channels, *grid]; starts as the zero map."""

    def __init__(self, dims: int, channels: int, config: UNetConfig) -> None:
        super().__init__()
        widths = [config.width * m for m in config.multipliers]
        pairs = list(pairwise(widths))[::-1]
        self.up = nn.ModuleList(CONVOLUTIONS[dims](coarse, fine, 1) for fine, coarse in pairs)
        self.levels = nn.ModuleList(residual_blocks(dims, 2 * fine, fine, config) for fine, _ in pairs)
        self.enlarge = nn.Upsample(scale_factor=2, mode="nearest")
        self.project = periodic_conv(dims, widths[0], channels, config.kernel_size)
        nn.init.zeros_(self.project.weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.project.bias)  # type: ignore[arg-type]

    def forward(self, features: list[Tensor]) -> Tensor:
        x = features[-1]
        for up, level, skip in zip(self.up, self.levels, reversed(features[:-1]), strict=True):
            x = level(cat((self.enlarge(up(x)), skip), dim=1))
        return self.project(x)


class UNet(nn.Module):
    """[batch, inputs, *grid] → [batch, outputs, *grid]; each grid axis divisible by 2^(levels − 1)."""

    def __init__(self, dims: int, inputs: int, outputs: int, config: UNetConfig) -> None:
        super().__init__()
        self.encoder = Encoder(dims, inputs, config)
        self.decoder = Decoder(dims, outputs, config)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))
