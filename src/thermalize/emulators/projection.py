"""The wavenumbers that the truth holds; a state with others is a fault of the emulator, not a forecast.

A truth that was simulated with fewer modes than its grid could hold (the 2/3 rule, say) has nothing beyond. A residual
emulator x + F(x) passes such modes with a gain of about one whatever its loss says: errors there are never damped, and
grow slowly where the gain is above one. So what is emulated is projected on the subspace of the truth,

    P x = Σ_{k held} x̂_k e^{ikx},     held: |n_i| ≤ N_i along each axis i and |n| ≤ N, n in waves per domain

with the largest wavenumbers at which true states have more than the rounding of single precision leaves. P P = P.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from thermalize.models.normalization import Normalization
from thermalize.runtime.errors import UserError

__all__ = ["Held", "held_wavenumbers", "projected", "wavenumbers"]

ROUNDING = 2.0**-48 / 3
"""Variance of the rounding of a number to single precision, relative to its square."""
ABOVE = 100.0
"""Held is what has so many times the energy that rounding leaves in a mode."""


class Held(NamedTuple):
    """Largest wavenumbers that are held on a grid, along each axis and in all directions."""

    grid: tuple[int, ...]
    along: tuple[int, ...]
    shell: int

    @classmethod
    def of(cls, card: dict[str, Any] | None) -> Held | None:
        """What `card` gave."""
        return None if card is None else cls(tuple(card["grid"]), tuple(card["along"]), card["shell"])

    def card(self) -> dict[str, Any]:
        """As JSON values."""
        return {"grid": list(self.grid), "along": list(self.along), "shell": self.shell}


def held_wavenumbers(x: Tensor, normalization: Normalization) -> Held | None:
    """Of true states x [state, channel, *grid], normalised; None where the grid holds no others."""
    grid = tuple(x.shape[2:])
    axes = tuple(range(2, x.ndim))
    mean, std = normalization.tensors(len(grid))
    energy = torch.fft.rfftn(x.double(), dim=axes).abs().square().mean(0)
    u = x * std.to(x) + mean.to(x)
    rounding = ROUNDING * u.double().square().mean((0, *axes)) / std.to(x).double().flatten() ** 2 * u[0, 0].numel()
    held = (energy > ABOVE * rounding.reshape(-1, *(1 for _ in grid))).any(0).cpu()
    if not held.any():
        return None
    along = tuple(int(axis[held].max()) for axis in wavenumbers(grid))
    found = Held(grid, along, int(_shell(grid)[held].max()))
    return None if bool(mask(found).all()) else found


def projected(x: Tensor, held: Held | None) -> Tensor:
    """P x of normalised states [..., channel, *grid]; all of x where everything is held."""
    if held is None:
        return x
    grid = tuple(x.shape[-len(held.grid) :])
    if grid != held.grid:
        raise UserError(f"this emulator projects states on a grid of {held.grid}, and not of {grid}")
    axes = tuple(range(-len(grid), 0))
    kept = mask(held).to(x.device)
    wide = x if x.dtype == torch.float64 else x.float()
    return torch.fft.irfftn(torch.fft.rfftn(wide, dim=axes) * kept, s=grid, dim=axes).to(x.dtype)


@cache
def mask(held: Held) -> Tensor:
    """Which modes [*half grid] of the half spectrum are held."""
    within = [axis <= most for axis, most in zip(wavenumbers(held.grid), held.along, strict=True)]
    return torch.stack([*within, _shell(held.grid) <= held.shell]).all(0)


def wavenumbers(grid: tuple[int, ...]) -> list[Tensor]:
    """|n_i| of every mode of the half spectrum, by axis."""
    along = [torch.fft.fftfreq(n, 1 / n) for n in grid[:-1]] + [torch.fft.rfftfreq(grid[-1], 1 / grid[-1])]
    return [each.abs().round().long() for each in torch.meshgrid(*along, indexing="ij")]


def _shell(grid: tuple[int, ...]) -> Tensor:
    """|n| rounded up of every mode."""
    return torch.stack(wavenumbers(grid)).double().square().sum(0).sqrt().ceil().long()
