"""Dilated residual network at full resolution, 1-D or 2-D.

    h ← lift x,    h ← h + C_d7 g … C_d2 g C_d1 g h  for every block,    F = project g h

C_d is a convolution over points d apart, d = 1, 2, 4, 8, 4, 2, 1 unless configured otherwise, and g is GELU. Nothing is
down-sampled, so on a torus every shift commutes with it. Branches start at zero.

Stachenfeld et al., arXiv 2112.15275; the thermalizer's second emulator (Pedersen, Zanna, Bruna, arXiv 2503.18731) has
six such blocks of 32 channels.
"""

from __future__ import annotations

from torch import Tensor, nn

from thermalize.config.networks import DilatedResNetConfig, Edge
from thermalize.models.base import Network, zero
from thermalize.models.convolution import convolution

__all__ = ["DilatedBlock", "DilatedResNet"]


class DilatedBlock(nn.Module):
    """h + C_dm g … C_d1 g h: [batch, width, *grid] → the same shape."""

    def __init__(self, edges: tuple[Edge, ...], config: DilatedResNetConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            convolution(edges, config.width, config.width, config.kernel_size, dilation)
            for dilation in config.dilations
        )
        for weight in self.layers.parameters():
            if weight.ndim > 1:  # torch's own choice would lose two thirds of the signal in every layer
                nn.init.kaiming_normal_(weight, nonlinearity="relu")
        zero(self.layers[-1])
        self.activation = nn.GELU()

    def forward(self, h: Tensor) -> Tensor:
        branch = h
        for layer in self.layers:
            branch = layer(self.activation(branch))
        return h + branch


class DilatedResNet(Network):
    """The first half of the blocks encodes, the second decodes; starts as the zero map."""

    def __init__(self, dims: int, inputs: int, outputs: int, config: DilatedResNetConfig) -> None:
        super().__init__(dims, inputs, outputs, config)
        edges = config.edges(dims)
        self.lift = convolution(edges, inputs, config.width, config.kernel_size)
        self.blocks = nn.ModuleList(DilatedBlock(edges, config) for _ in range(config.blocks))
        self.activation = nn.GELU()
        self.project = zero(convolution(edges, config.width, outputs, config.kernel_size))
        self.features, self.middle = config.width, (config.blocks + 1) // 2

    def encode(self, x: Tensor) -> list[Tensor]:
        return [self.through(self.blocks[: self.middle], self.lift(x))]

    def decode(self, features: list[Tensor]) -> Tensor:
        return self.project(self.activation(self.through(self.blocks[self.middle :], features[-1])))
