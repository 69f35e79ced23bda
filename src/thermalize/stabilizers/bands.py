"""Energy by band of wavenumbers: where in the spectrum a state stands.

    E_b(x) = Σ_{k in b} w_k |x̂_k|² / N²,   k = |n| rounded, w_k = 2 where the half spectrum holds one of a pair

so that Σ_b E_b is the variance of the N values over the grid (Parseval). Bands are single shells at large scales and
widen by a quarter towards small ones: every band has many modes, or modes that matter by themselves. The domain mean
belongs to none.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from thermalize.emulators.projection import Held, wavenumbers

__all__ = ["BandEnergies", "Bands", "band_energies"]

WIDENING = 1.25


class Bands:
    """Bands of the grid of shape `grid`; fields are [..., *grid]."""

    def __init__(self, grid: tuple[int, ...]) -> None:
        self.grid, self.points = grid, torch.Size(grid).numel()
        self._axes = tuple(range(-len(grid), 0))
        shell = shells(grid)
        upper = edges(int(shell.max()))
        self.first = [1, *(edge + 1 for edge in upper[:-1])]
        self.last = upper
        self.index = torch.bucketize(shell, torch.tensor(upper)) + 1
        self.index[shell == 0] = 0

    def __len__(self) -> int:
        return len(self.last)

    def transform(self, x: Tensor) -> Tensor:
        return torch.fft.rfftn(x, dim=self._axes)

    def inverse(self, spectrum: Tensor) -> Tensor:
        return torch.fft.irfftn(spectrum, s=self.grid, dim=self._axes)

    def energies(self, spectrum: Tensor) -> Tensor:
        """E_b [..., band] of the half spectrum [..., *half grid] of a field."""
        power = spectrum.abs().square().flatten(-len(self.grid)) * self._weight.to(spectrum.device, spectrum.real.dtype)
        total = power.new_zeros(*power.shape[:-1], len(self) + 1)
        index = self.index.flatten().to(power.device).expand_as(power)
        return total.scatter_add(-1, index, power)[..., 1:]

    def scale(self, spectrum: Tensor, gain: Tensor) -> Tensor:
        """The half spectrum with every band times its `gain` [..., band]."""
        padded = torch.cat((torch.ones_like(gain[..., :1]), gain), dim=-1)
        by_mode = padded[..., self.index.flatten().to(gain.device)].unflatten(-1, self.index.shape)
        return spectrum * by_mode.to(spectrum.real.dtype)

    @cached_property
    def _weight(self) -> Tensor:
        weight = torch.full(self.index.shape, 2.0)
        weight[..., 0] = 1
        if self.grid[-1] % 2 == 0:
            weight[..., -1] = 1
        return weight.flatten() / self.points**2


def shells(grid: tuple[int, ...]) -> Tensor:
    """|n| rounded of every mode of the half spectrum, n in waves per domain length along each axis."""
    return torch.stack(wavenumbers(grid)).square().sum(0).float().sqrt().round().long()


def edges(last: int) -> list[int]:
    """Last shells of bands that widen as their wavenumber."""
    found = [1]
    while found[-1] < last:
        found.append(min(max(found[-1] + 1, int(WIDENING * found[-1])), last))
    return found


class BandEnergies(NamedTuple):
    """Of true trajectories on a grid of shape `grid`: E_b [member, time, channel, band], the mean |x̂_k|² of every mode
    [channel, *half grid], and the wavenumbers that are held, None where all are.
    """

    energy: Tensor
    grid: tuple[int, ...]
    modes: Tensor
    held: Held | None = None


def band_energies(truth: Tensor, held: Held | None = None) -> BandEnergies:
    """Of normalised trajectories [member, time, channel, *grid], member by member."""
    bands, energies, modes = Bands(tuple(truth.shape[3:])), [], []
    for member in truth:
        spectrum = bands.transform(member)
        energies.append(bands.energies(spectrum))
        modes.append(spectrum.abs().square().mean(0))
    return BandEnergies(torch.stack(energies), bands.grid, torch.stack(modes).mean(0), held)
