"""How many weights a network has and how many multiplications one pass takes, counted from its configuration.

Biases, normalisations and activations are left out, so both are a little below what the network itself says: bounds
from below, for estimates that must not say too much. Networks that a function of the user's makes count as nothing.

This module is imported while Snakemake reads the Snakefile, so it must stay free of torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import prod
from typing import NamedTuple

from thermalize.config.networks import (
    DilatedResNetConfig,
    FNOConfig,
    ImportedNetworkConfig,
    NetworkConfig,
    StableFNOConfig,
    UNetConfig,
)

__all__ = ["Size", "network_size"]


class Size(NamedTuple):
    """Weights; multiplications of one pass of one sample; values of the largest feature map."""

    weights: int
    products: int
    features: int


class Layer(NamedTuple):
    """A layer with so many weights, each of which is used at so many points."""

    weights: int
    points: int


def network_size(config: NetworkConfig, grid: tuple[int, ...], channels: int, outputs: int | None = None) -> Size:
    """The size of a network from `channels` to `outputs` (as many when left out) on a grid."""
    if isinstance(config, ImportedNetworkConfig):
        return Size(0, 0, 0)
    outputs = channels if outputs is None else outputs
    layers = list(_layers(config, grid, channels, outputs))
    widest = config.width * prod(grid)
    return Size(sum(each.weights for each in layers), sum(each.weights * each.points for each in layers), widest)


def _layers(config: NetworkConfig, grid: tuple[int, ...], inputs: int, outputs: int) -> Iterator[Layer]:
    if isinstance(config, UNetConfig):
        return _unet(config, grid, inputs, outputs)
    if isinstance(config, DilatedResNetConfig):
        return _dilated(config, grid, inputs, outputs)
    assert isinstance(config, FNOConfig | StableFNOConfig)
    return _spectral(config, grid, inputs, outputs)


def _unet(config: UNetConfig, grid: tuple[int, ...], inputs: int, outputs: int) -> Iterator[Layer]:
    dims, kernel = len(grid), config.kernel_size ** len(grid)
    widths = [config.width * multiple for multiple in config.multipliers]
    points = [prod(n // 2**level for n in grid) for level in range(len(widths))]
    yield Layer(kernel * widths[0] * (inputs + outputs), points[0])
    for before, width, here in zip([widths[0], *widths], widths, points, strict=False):
        yield from _blocks(before, width, config.blocks, kernel, here)
    if config.attention:
        yield Layer(4 * widths[-1] ** 2, points[-1])
    for (fine, coarse), (here, below) in zip(pairwise(widths), pairwise(points), strict=True):
        yield Layer(2**dims * fine * fine, below)
        yield Layer(coarse * fine, below)
        yield from _blocks(2 * fine, fine, config.blocks, kernel, here)


def _blocks(inputs: int, outputs: int, blocks: int, kernel: int, points: int) -> Iterator[Layer]:
    """Residual blocks of two convolutions, the first of which may change the number of channels."""
    yield Layer(kernel * (inputs + outputs) * outputs, points)
    yield Layer(2 * (blocks - 1) * kernel * outputs**2, points)


def _dilated(config: DilatedResNetConfig, grid: tuple[int, ...], inputs: int, outputs: int) -> Iterator[Layer]:
    kernel, points = config.kernel_size ** len(grid), prod(grid)
    yield Layer(kernel * config.width * (inputs + outputs), points)
    yield Layer(config.blocks * len(config.dilations) * kernel * config.width**2, points)


def _spectral(config: FNOConfig | StableFNOConfig, grid: tuple[int, ...], inputs: int, outputs: int) -> Iterator[Layer]:
    """Numbers of a wavenumber are complex, and meet one value each."""
    points, width = prod(grid), config.width
    table = (2 * config.modes - 1) ** (len(grid) - 1) * config.modes
    full = isinstance(config, FNOConfig)
    yield Layer(config.blocks * 2 * table * (width**2 if full else width), 0)
    yield Layer(config.blocks * width**2 * (1 if isinstance(config, FNOConfig) else 2 * config.expansion + 1), points)
    yield Layer(width * (inputs + (2 * width + 2 * outputs if full else outputs)), points)
