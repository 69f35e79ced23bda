"""Entire functions whose formulas cancel near the origin, as means over a circle: f(z) = mean of f on |r − z| = ρ.

Kassam & Trefethen (SIAM J. Sci. Comput. 26 (2005) 1214) take the unit circle, which meets the origin when |z| = 1.
Radius 2 for |z| < 1 and ½ elsewhere keep every node at least ½ away from it, where the quotients lose no more than a
digit.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi

import torch
from torch import Tensor

__all__ = ["mean_over_circle", "phi"]


def mean_over_circle(
    functions: Callable[[Tensor], tuple[Tensor, ...]], z: Tensor, points: int = 64
) -> tuple[Tensor, ...]:
    """The entire functions at z, accurate to round-off for every z.

    Args:
        functions: r ↦ their values as they are written, away from r = 0.
        z: any shape, float64 or complex128; results are real where z is.
        points: nodes M on the circle; the error falls like 2^M/M!, 32 are enough.
    """
    centre = z.to(torch.complex128)
    radius = torch.where(centre.abs() < 1, 2.0, 0.5).to(torch.float64)
    angles = 2 * pi * (torch.arange(points, dtype=torch.float64) + 0.5) / points
    means: list[Tensor] = []
    for node in torch.polar(torch.ones_like(angles), angles):
        values = [value / points for value in functions(centre + radius * node)]
        means = [mean + value for mean, value in zip(means, values, strict=True)] if means else values
    return tuple(mean if z.is_complex() else mean.real for mean in means)


def phi(z: Tensor, order: int, points: int = 64) -> tuple[Tensor, ...]:
    """φ₁ … φ_order at z: φ_k(z) = ∫₀¹ e^{z(1−s)} s^{k−1}/(k−1)! ds = (φ_{k−1}(z) − 1/(k−1)!)/z, φ₀ = e^z."""

    def quotients(r: Tensor) -> tuple[Tensor, ...]:
        found, factorial = [torch.exp(r)], 1.0
        for k in range(1, order + 1):
            found.append((found[-1] - 1 / factorial) / r)
            factorial *= k
        return tuple(found[1:])

    return mean_over_circle(quotients, z, points)
