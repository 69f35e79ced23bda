"""Fields as their low wavenumbers, 1-D or 2-D: what the Fourier neural operators multiply.

    x(r) = Σ_k x̂(k) e^{2πi k·r/n},    |k_j| < c_j,    c_j ≤ (n_j + 1)/2

x̂ is [..., 2c_y − 1, c_x] in the order of the FFT (0 … c−1, −(c−1) … −1 along y) and [..., c_x] in one dimension. The
amplitudes do not depend on the grid. The Nyquist wavenumber, whose sign is unknown, is never among them. Transforms are
in the precision of the field and at least in float32, also under autocast.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor

import torch
from torch import Tensor
from torch.fft import fft, ifft, irfft, rfft

from thermalize.config.networks import Edge
from thermalize.models.convolution import continued

__all__ = ["analyse", "lowest", "precise", "select", "synthesise", "table", "transformed"]


def table(dims: int, modes: int) -> tuple[int, ...]:
    """Shape of one number per wavenumber with |k_j| < modes."""
    return (*(2 * modes - 1,) * (dims - 1), modes)


def lowest(modes: int, grid: tuple[int, ...], ratio: float = 1.0) -> tuple[int, ...]:
    """Number c of wavenumbers 0 … c−1 per axis: below `modes`, below Nyquist, at most `ratio` times Nyquist."""
    return tuple(min(modes, (points + 1) // 2, floor(ratio * points / 2) + 1) for points in grid)


def select(values: Tensor, counts: tuple[int, ...], first: int) -> Tensor:
    """Of one number per wavenumber, axes from `first` on, those with |k_j| < counts."""
    for axis, count in enumerate(counts[:-1], first):
        values = _low(values, count, axis)
    return values[..., : counts[-1]]


def analyse(x: Tensor, counts: tuple[int, ...]) -> Tensor:
    """x [batch, channel, *grid] → x̂."""
    spectrum = rfft(x, dim=-1, norm="forward")[..., : counts[-1]]
    for axis, count in enumerate(counts[:-1], 2):
        spectrum = _low(fft(spectrum, dim=axis, norm="forward"), count, axis)
    return spectrum


def synthesise(spectrum: Tensor, grid: tuple[int, ...]) -> Tensor:
    """x̂ → the real field [batch, channel, *grid] with these wavenumbers and no others."""
    first = spectrum.ndim - len(grid)
    for axis, points in enumerate(grid[:-1], first):
        spectrum = ifft(_spread(spectrum, points, axis), dim=axis, norm="forward")
    # Libraries differ in what they make of an imaginary part at k_x = 0.
    mean = torch.complex(spectrum[..., :1].real, torch.zeros_like(spectrum[..., :1].real))
    return irfft(torch.cat((mean, spectrum[..., 1:]), dim=-1), n=grid[-1], dim=-1, norm="forward")


def precise(x: Tensor) -> Tensor:
    """At least float32: neither FFTs nor phases bear less."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def transformed(x: Tensor, edges: tuple[Edge, ...], padding: float, part: Callable[[Tensor], Tensor]) -> Tensor:
    """part(x) in float32 or better, on fields continued along the axes that are not periodic, and cropped again."""
    sides = tuple(
        0 if edge == "periodic" else ceil(padding * n / 2) for edge, n in zip(edges, x.shape[2:], strict=True)
    )
    with torch.autocast(x.device.type, enabled=False):
        result = part(continued(precise(x), edges, sides))
    for axis, (points, size) in enumerate(zip(sides, x.shape[2:], strict=True), 2):
        result = result.narrow(axis, points, size)
    return result.to(x.dtype)


def _low(values: Tensor, count: int, axis: int) -> Tensor:
    size = values.shape[axis]
    if size == 2 * count - 1:
        return values
    return torch.cat((values.narrow(axis, 0, count), values.narrow(axis, size - count + 1, count - 1)), dim=axis)


def _spread(values: Tensor, points: int, axis: int) -> Tensor:
    size = values.shape[axis]
    count = (size + 1) // 2
    shape = list(values.shape)
    shape[axis] = points - size
    parts = (values.narrow(axis, 0, count), values.new_zeros(shape), values.narrow(axis, count, count - 1))
    return torch.cat(parts, dim=axis)
