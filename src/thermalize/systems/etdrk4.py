"""ETDRK4, and the entire functions that exponential time differencing is made of.

Entire functions whose formulas cancel near the origin, as means over a circle: f(z) = mean of f on |r − z| = ρ.

Kassam & Trefethen (SIAM J. Sci. Comput. 26 (2005) 1214) take the unit circle, which meets the origin when |z| = 1.
Radius 2 for |z| < 1 and ½ elsewhere keep every node at least ½ away from it, where the quotients lose no more than a
digit.

Exponential time differencing of fourth order for stiff û_t = σû + N(û) with diagonal σ.

With z = hσ and Q = (e^{z/2} − 1)/z, one step of length h is

    a = e^{z/2} û + hQ N(û)
    b = e^{z/2} û + hQ N(a)
    c = e^{z/2} a + hQ [2N(b) − N(û)]
    û⁺ = e^z û + h { f₁ N(û) + 2f₂ [N(a) + N(b)] + f₃ N(c) }

    f₁ = [−4 − z + e^z (4 − 3z + z²)] / z³
    f₂ = [2 + z + e^z (z − 2)] / z³
    f₃ = [−4 − 3z − z² + e^z (4 − z)] / z³

The linear part is exact. Near z = 0 the quotients cancel catastrophically although the functions are entire, so each
is the mean of its values over a circle around z. On stiff problems such as Kuramoto–Sivashinsky the observed order at
practical steps lies between 3 and 4 and rises as h falls.

References:
    Cox & Matthews, J. Comput. Phys. 176 (2002) 430; Kassam & Trefethen, SIAM J. Sci. Comput. 26 (2005) 1214.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi

import torch
from torch import Tensor

__all__ = ["ETDRK4", "coefficients", "mean_over_circle", "phi"]


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


def coefficients(z: Tensor, contour_points: int = 64) -> tuple[Tensor, ...]:
    """Q, f₁, f₂ and f₃ at z, of any shape, accurate to round-off; see `thermalize.systems.etdrk4`."""
    return mean_over_circle(_quotients, z, contour_points)


def _quotients(r: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Q, f₁, f₂ and f₃ as they are written, away from r = 0."""
    e, cube = torch.exp(r), r**3
    return (
        (torch.exp(r / 2) - 1) / r,
        (-4 - r + e * (4 - 3 * r + r**2)) / cube,
        (2 + r + e * (r - 2)) / cube,
        (-4 - 3 * r - r**2 + e * (4 - r)) / cube,
    )


class ETDRK4:
    """The scheme above with its coefficients tabulated for one σ and one step.

    Args:
        linear: σ, real or complex, in double precision where that matters, broadcastable against the state.
        nonlinear: û ↦ N(û), same shape.
        dt: step h, in time units.
        contour_points: nodes for `coefficients`.
        dtype: complex type of the state; the coefficients are computed in double precision and then cast to it.
        device: where the state lives.
    """

    order = 4

    def __init__(
        self,
        linear: Tensor,
        nonlinear: Callable[[Tensor], Tensor],
        dt: float,
        contour_points: int = 64,
        *,
        dtype: torch.dtype = torch.complex128,
        device: torch.device | str = "cpu",
    ) -> None:
        z = dt * linear.cpu().to(torch.promote_types(linear.dtype, torch.float64))
        q, f1, f2, f3 = coefficients(z, contour_points)
        tables = (torch.exp(z), torch.exp(z / 2), dt * q, dt * f1, 2 * dt * f2, dt * f3)
        # complex tables: a real table would be converted again in every product
        self._exp, self._half, self._q, self._f1, self._f2, self._f3 = (t.to(dtype).to(device) for t in tables)
        self._nonlinear = nonlinear

    def step(self, u_hat: Tensor) -> Tensor:
        """û at t + h from û at t."""
        n_u = self._nonlinear(u_hat)
        half = self._half * u_hat
        a = torch.addcmul(half, self._q, n_u)
        n_a = self._nonlinear(a)
        n_b = self._nonlinear(half.addcmul_(self._q, n_a))
        c = (self._half * a).addcmul_(self._q, torch.sub(n_b, n_u, alpha=0.5), value=2)
        new = (self._exp * u_hat).addcmul_(self._f1, n_u).addcmul_(self._f2, n_a + n_b)
        return new.addcmul_(self._f3, self._nonlinear(c))
