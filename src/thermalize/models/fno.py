"""Fourier neural operator, 1-D or 2-D.

    h ← lift x,    h ← g(W h + b + K h) for every layer, without g in the last,    F = Q₂ g Q₁ h

    (K h)^(k) = R(k) ĥ(k) for |k_j| < modes, zero beyond

W, Q and the lift act on the channels of one grid point, R(k) is a complex matrix per wavenumber, and g is GELU. No
coordinates enter, so on a torus every shift commutes with it; where g is left out, the same weights act the same on
every grid that has the wavenumbers. Starts as the zero map.

Li et al., arXiv 2010.08895. Along an axis that is not periodic the field is continued before the transforms and cropped
after them, in every layer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from thermalize.config.networks import Edge, FNOConfig
from thermalize.models.base import Network, zero
from thermalize.models.convolution import pointwise
from thermalize.models.spectral import analyse, lowest, select, synthesise, table, transformed

__all__ = ["FNO", "SpectralConvolution"]


class SpectralConvolution(nn.Module):
    """K: [batch, inputs, *grid] → [batch, outputs, *grid].

    `weight` is R, [inputs, outputs, *wavenumbers, real and imaginary part], the wavenumbers in the order of the FFT.
    """

    def __init__(self, edges: tuple[Edge, ...], inputs: int, outputs: int, modes: int, padding: float = 0.0) -> None:
        super().__init__()
        self.edges, self.modes, self.padding = edges, modes, padding
        shape = (inputs, outputs, *table(len(edges), modes), 2)
        self.weight = nn.Parameter(torch.randn(shape) * (2 * inputs) ** -0.5)

    def forward(self, h: Tensor) -> Tensor:
        return transformed(h, self.edges, self.padding, self._multiply)

    def _multiply(self, h: Tensor) -> Tensor:
        grid = tuple(h.shape[2:])
        counts = lowest(self.modes, grid)
        matrices = select(torch.view_as_complex(self.weight), counts, 2)
        return synthesise(torch.einsum("bi...,io...->bo...", analyse(h, counts), matrices), grid)


class FourierLayer(nn.Module):
    """g(W h + b + K h), or without g: [batch, width, *grid] → the same shape."""

    def __init__(self, edges: tuple[Edge, ...], config: FNOConfig, linear: bool) -> None:
        super().__init__()
        self.spectral = SpectralConvolution(edges, config.width, config.width, config.modes, config.padding)
        self.mix = pointwise(len(edges), config.width, config.width)
        self.activation = nn.Identity() if linear else nn.GELU()

    def forward(self, h: Tensor) -> Tensor:
        return self.activation(self.mix(h) + self.spectral(h))


class FNO(Network):
    """The first half of the layers encodes, the second decodes."""

    def __init__(self, dims: int, inputs: int, outputs: int, config: FNOConfig) -> None:
        super().__init__(dims, inputs, outputs, config)
        last = config.blocks - 1
        self.lift = pointwise(dims, inputs, config.width)
        self.blocks = nn.ModuleList(
            FourierLayer(config.edges(dims), config, linear=layer == last) for layer in range(config.blocks)
        )
        self.project = nn.Sequential(
            pointwise(dims, config.width, 2 * config.width), nn.GELU(), zero(pointwise(dims, 2 * config.width, outputs))
        )
        self.features, self.middle = config.width, (config.blocks + 1) // 2

    def encode(self, x: Tensor) -> list[Tensor]:
        return [self.through(self.blocks[: self.middle], self.lift(x))]

    def decode(self, features: list[Tensor]) -> Tensor:
        return self.project(self.through(self.blocks[self.middle :], features[-1]))
