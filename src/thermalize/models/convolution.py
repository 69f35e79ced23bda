"""Same-size convolutions on a torus, in a channel or in a box: each axis continues in its own way beyond the edge.

periodic:   … x_{n−1} | x_0 … x_{n−1} | x_0 …
replicate:  … x_0     | x_0 … x_{n−1} | x_{n−1} …
zeros:      … 0       | x_0 … x_{n−1} | 0 …
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import pad

from thermalize.config.networks import Edge

__all__ = ["CONVOLUTIONS", "Continue", "continued", "convolution", "pointwise"]

CONVOLUTIONS: dict[int, type[nn.Conv1d | nn.Conv2d]] = {1: nn.Conv1d, 2: nn.Conv2d}
PADS: dict[Edge, str] = {"periodic": "circular", "replicate": "replicate", "zeros": "constant"}
CONVOLUTION_MODES: dict[Edge, str] = {**PADS, "zeros": "zeros"}


def continued(x: Tensor, edges: tuple[Edge, ...], points: tuple[int, ...]) -> Tensor:
    """x [batch, channel, *grid] with `points` more on both sides of every axis."""
    for axis, (edge, side) in enumerate(zip(reversed(edges), reversed(points), strict=True)):
        if side:
            sides = [0] * (2 * len(edges))
            sides[2 * axis : 2 * axis + 2] = side, side
            x = pad(x, sides, mode=PADS[edge])
    return x


class Continue(nn.Module):
    """`continued` as a layer."""

    def __init__(self, edges: tuple[Edge, ...], points: tuple[int, ...]) -> None:
        super().__init__()
        self.edges, self.points = edges, points

    def forward(self, x: Tensor) -> Tensor:
        return continued(x, self.edges, self.points)


def convolution(edges: tuple[Edge, ...], inputs: int, outputs: int, kernel: int, dilation: int = 1) -> nn.Module:
    """[batch, inputs, *grid] → [batch, outputs, *grid] with an odd `kernel`, one axis per entry of `edges`."""
    layer, reach = CONVOLUTIONS[len(edges)], dilation * (kernel // 2)
    if len(set(edges)) == 1:
        options: dict[str, Any] = {"padding": reach, "padding_mode": CONVOLUTION_MODES[edges[0]]}
        return layer(inputs, outputs, kernel, dilation=dilation, **options)
    beyond = Continue(edges, (reach,) * len(edges))
    return nn.Sequential(beyond, layer(inputs, outputs, kernel, dilation=dilation))


def pointwise(dims: int, inputs: int, outputs: int) -> nn.Module:
    """The same linear map of channels at every grid point."""
    return CONVOLUTIONS[dims](inputs, outputs, 1)
