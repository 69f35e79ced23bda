"""Networks: outputs and gradients on the device against double precision on the CPU, in every arithmetic that is used.

PyTorch lets convolutions on a GPU round their factors to TF32 (10 bits) unless told otherwise, and this package does
not tell it otherwise; so float32 is looked at with and without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

import torch
from torch import Tensor, nn

from gpu.report import Row, compared, measured
from gpu.running import CPU, Check, difference
from thermalize.models import Network, build
from thermalize.runtime.devices import autocast
from thermalize.systems import build as system_of

__all__ = ["exact_float32", "rows"]

SAFETY = 4.0
FLOOR = 1e-4
"""Of a tolerance that is a multiple of the CPU's own error."""
TF32, BFLOAT16 = 2e-2, 1e-1
"""Relative errors: some 20 layers, each with a few units of 2^-11 or 2^-9; gradients twice as many."""


def rows(check: Check) -> Iterator[Row]:
    grid = system_of(check.size.data.system).config.stored_grid
    for label, config in check.size.networks.items():
        network, x = network_of(config, len(grid)), torch.randn(check.size.batch, 1, *grid)
        expected = _passes(deepcopy(network).double(), x.double(), CPU, "float32")
        same = _passes(network, x, CPU, "float32")
        there = deepcopy(network).to(check.device)
        for what, found, tolerance, reason in _variants(check, there, x.to(check.device), same, expected):
            for side, name in enumerate(("output", "gradient")):
                error = difference(check.fetch(found[side]), expected[side])
                yield compared(f"{label}: {name}, {what}", error, tolerance[side], reason)
        yield from _speed(check, label, there, x.to(check.device))


def network_of(config: object, dims: int) -> Network:
    """A network whose output is not zero, as it is at first; not in training, so that a pass leaves no trace in it."""
    torch.manual_seed(0)
    network = build(config, dims, 1, 1).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.02)
    return network


Passes = tuple[Tensor, Tensor]


def _variants(
    check: Check, network: nn.Module, x: Tensor, same: Passes, expected: Passes
) -> Iterator[tuple[str, Passes, tuple[float, float], str]]:
    own = [SAFETY * difference(a.double(), b) + FLOOR for a, b in zip(same, expected, strict=True)]
    with exact_float32():
        exact = _passes(network, x, check.device, "float32")
    yield "float32", exact, (own[0], own[1]), "4 times the CPU's own error"
    if check.cuda:
        reason = "the default of PyTorch, factors of 10 bits"
        yield "float32 with TF32", _passes(network, x, check.device, "float32"), (TF32, 2 * TF32), reason
    low = _passes(network, x, check.device, "bfloat16")
    yield "bfloat16", low, (BFLOAT16, 2 * BFLOAT16), "factors of 8 bits"


def _passes(network: nn.Module, x: Tensor, device: torch.device, precision: str) -> Passes:
    """Output, and the gradients of its mean square, one after another."""
    network.zero_grad(set_to_none=True)
    with autocast(precision, device):
        output = network(x)
        loss = output.to(torch.float64 if x.dtype == torch.float64 else torch.float32).square().mean()
    loss.backward()
    gradients = [p.grad.flatten() for p in network.parameters() if p.grad is not None]
    return output.detach(), torch.cat([torch.view_as_real(g).flatten() if g.is_complex() else g for g in gradients])


@contextmanager
def exact_float32() -> Iterator[None]:
    """Without TF32."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def _speed(check: Check, label: str, network: nn.Module, x: Tensor) -> Iterator[Row]:
    fields = x[:1].expand(check.size.members, *x.shape[1:]).contiguous()
    for precision in ("float32", "bfloat16"):
        with torch.inference_mode(), autocast(precision, check.device):
            seconds = check.seconds(lambda: network(fields), repeats=5, warm=2)
        yield measured(f"{label}: {check.size.members} fields, {precision}", 1e3 * seconds, "ms")
