"""What a network costs and sees, measured: parameters, floating-point operations, receptive field, shifts.

Operations are counted as they run, one multiplication and one addition as two: 2 per multiply-add of convolutions and
matrix products, four times that of complex ones, and 5/2 N log₂N for a real and 5 N log₂N for a complex transform of N
points. Pointwise work (activations, sums, multipliers) is left out.

Reach and shifts are those of a copy with two channels and random weights in double precision, which has the same
geometry: zero gradients are exact zeros, and what starts at zero does not hide.
"""

from __future__ import annotations

from copy import deepcopy
from math import log2, prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, bmm_flop

from thermalize.config.networks import AXES
from thermalize.models.base import Network

__all__ = ["describe", "operations", "receptive_field", "shift"]

NARROW = 2
ROUND_OFF = 1e-9


def describe(network: nn.Module, channels: int, grid: tuple[int, ...]) -> dict[str, Any]:
    """Numbers of a network for states [channels, *grid].

    Returns:
        parameters: how many are trained.
        flops: operations of one call for one member.
        receptive_field: by axis, the number of neighbouring points that one output point depends on; all points of the
            axis where it depends on every one.
        shift: by axis, the smallest shift in grid points that commutes with the network; None where none does.
    """
    probe = _probe(network)
    return {
        "parameters": sum(each.numel() for each in network.parameters() if each.requires_grad),
        "flops": operations(network, channels, grid),
        "receptive_field": receptive_field(probe, channels, grid),
        "shift": shift(probe, channels, grid),
    }


def operations(network: nn.Module, channels: int, grid: tuple[int, ...]) -> int:
    """Floating-point operations of one call for one member; counted from shapes alone where the network admits that."""
    dtype = next((each.dtype for each in network.parameters()), torch.float32)
    x = torch.zeros(1, channels, *grid, dtype=dtype)
    try:
        return _counted(deepcopy(network).eval().to("meta"), x.to("meta"))
    # what torch raises where an operation needs numbers and not shapes alone; other errors come again with numbers
    except (NotImplementedError, RuntimeError):
        return _counted(deepcopy(network).eval().cpu(), x)


def receptive_field(network: nn.Module, channels: int, grid: tuple[int, ...]) -> dict[str, int]:
    """Neighbouring points per axis that one output point depends on, the most of all positions next to the centre."""
    x = _noise(channels, grid).requires_grad_()
    y = network(x)
    widest = [1] * len(grid)
    for offset in range(_cell(network)):
        point = tuple((points // 2 + offset) % points for points in grid)
        (gradient,) = torch.autograd.grad(y[(0, slice(None), *point)].sum(), x, retain_graph=True)
        for axis in range(len(grid)):
            others = [each for each in range(gradient.ndim) if each != axis + 2]
            widest[axis] = max(widest[axis], _arc(gradient.abs().amax(others) > 0))
    return dict(zip(AXES[len(grid)], widest, strict=True))


@torch.no_grad()
def shift(network: nn.Module, channels: int, grid: tuple[int, ...]) -> dict[str, int | None]:
    """Smallest shift per axis that moves the output along; the trivial one by the whole axis does not count."""
    x = _noise(channels, grid)
    y = network(x)
    found: dict[str, int | None] = {}
    for axis, (name, points) in enumerate(zip(AXES[len(grid)], grid, strict=True), 2):
        steps = (step for step in range(1, points) if points % step == 0)
        found[name] = next((step for step in steps if _commutes(network, x, y, step, axis)), None)
    return found


def _commutes(network: nn.Module, x: Tensor, y: Tensor, step: int, axis: int) -> bool:
    error = (network(x.roll(step, axis)) - y.roll(step, axis)).abs().max()
    return bool(error <= ROUND_OFF * y.abs().max())


def _arc(seen: Tensor) -> int:
    """Length of the shortest arc of a ring that holds all seen points."""
    places = seen.nonzero().flatten().tolist()
    if not places:
        return 0
    following = [*places[1:], places[0] + len(seen)]
    return len(seen) + 1 - max(b - a for a, b in zip(places, following, strict=True))


def _probe(network: nn.Module) -> nn.Module:
    """A narrow copy with random weights in double precision."""
    copy = deepcopy(network)
    if isinstance(network, Network) and hasattr(network.config, "width"):
        narrow = network.config.model_copy(update={"width": NARROW})
        with torch.random.fork_rng(devices=[]):
            copy = type(network)(network.dims, network.inputs, network.outputs, narrow)
    generator = torch.Generator().manual_seed(0)
    copy = copy.cpu().double()
    with torch.no_grad():
        for each in copy.parameters():
            scale = (each[0].numel() if each.ndim > 1 else 1) ** -0.5
            each.copy_(scale * torch.randn(each.shape, generator=generator, dtype=torch.float64))
    return copy.eval()


def _cell(network: nn.Module) -> int:
    return network.config.divisor if isinstance(network, Network) else 1


def _noise(channels: int, grid: tuple[int, ...]) -> Tensor:
    return torch.randn((1, channels, *grid), generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def _counted(network: nn.Module, x: Tensor) -> int:
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=FORMULAS) as counter:
        network(x)
    return int(counter.get_total_flops())


def _transform(x: Tensor, axes: list[int], *_: Any, out_val: Tensor, **__: Any) -> int:
    """The longer of input and output is the field of N points, or all of a spectrum."""
    size = max(x.numel(), out_val.numel())
    real = not (x.is_complex() and out_val.is_complex())
    points = prod((x if not x.is_complex() else out_val).shape[axis] for axis in axes)
    return round((2.5 if real else 5.0) * size * log2(max(points, 1)))


def _products(a: Tensor, b: Tensor, *_: Any, **__: Any) -> int:
    return int(bmm_flop(a.shape, b.shape)) * (4 if a.is_complex() else 1)


for _formula in (_transform, _products):
    setattr(_formula, "_get_raw", True)  # noqa: B010 - given tensors, not their shapes

ATEN = torch.ops.aten
FORMULAS: dict[Any, Any] = {
    ATEN._fft_r2c: _transform,
    ATEN._fft_c2r: _transform,
    ATEN._fft_c2c: _transform,
    ATEN.bmm: _products,
}
