"""Exponential Adams–Bashforth schemes for û_t = σû + N(û) with diagonal σ: one evaluation of N per step.

The linear part is exact and N is extrapolated by the polynomial through its last p values (z = hσ):

    û_{n+1} = e^z û_n + h Σ_{j<p} g_j(z) N(û_{n−j}),   g_j = (−1)^j Σ_{m=j}^{p−1} C(m, j) γ_m
    γ_m(z) = ∫₀¹ e^{z(1−s)} s(s+1)…(s+m−1)/m! ds :   γ₀ = φ₁,  γ₁ = φ₂,  γ₂ = φ₃ + φ₂/2,  γ₃ = φ₄ + φ₃ + φ₂/3

At z = 0 these are the classical weights, for p = 3 (23, −16, 5)/12. The first p − 1 steps are Runge–Kutta steps of
order four, so the order is p from the start (an Euler start would leave two).

References:
    Cox & Matthews, J. Comput. Phys. 176 (2002) 430, section 2; Hochbruck & Ostermann, Acta Numerica 19 (2010) 209.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import comb

import torch
from torch import Tensor

from thermalize.systems.etdrk4 import ETDRK4, phi

__all__ = ["ETDAB3", "ETDAB4", "AdamsBashforth", "weights"]


def weights(z: Tensor, order: int) -> list[Tensor]:
    """g₀ … g_{order−1} at z, of any shape; order 2, 3 or 4."""
    p1, p2, p3, p4 = phi(z, 4)
    gamma = [p1, p2, p3 + p2 / 2, p4 + p3 + p2 / 3][:order]
    zero = torch.zeros_like(z)
    return [sum(((-1) ** j * comb(m, j) * gamma[m] for m in range(j, order)), zero) for j in range(order)]


class AdamsBashforth:
    """The scheme above for one trajectory: it remembers N of the last steps.

    Args:
        linear: σ, real or complex, in double precision where that matters, broadcastable against the state.
        nonlinear: û ↦ N(û), same shape.
        dt: step h, in time units.
        dtype: complex type of the state.
        device: where the state lives.
    """

    order: int

    def __init__(
        self,
        linear: Tensor,
        nonlinear: Callable[[Tensor], Tensor],
        dt: float,
        *,
        dtype: torch.dtype = torch.complex128,
        device: torch.device | str = "cpu",
    ) -> None:
        z = dt * linear.cpu().to(torch.promote_types(linear.dtype, torch.float64))
        self._exp = torch.exp(z).to(dtype).to(device)
        self._weights = [(dt * g).to(dtype).to(device) for g in weights(z, self.order)]
        self._nonlinear = nonlinear
        self._starter = ETDRK4(linear, nonlinear, dt, dtype=dtype, device=device)
        self._past: deque[Tensor] = deque(maxlen=self.order - 1)

    def step(self, u_hat: Tensor) -> Tensor:
        """û at t + h from û at t, which is the state that the last call returned."""
        n_u = self._nonlinear(u_hat)
        if len(self._past) < self.order - 1:
            new = self._starter.step(u_hat)
        else:
            new = self._exp * u_hat
            for g, n_past in zip(self._weights, (n_u, *self._past), strict=True):
                new.addcmul_(g, n_past)
        self._past.appendleft(n_u)
        return new


class ETDAB3(AdamsBashforth):
    """Order 3; stable on the imaginary axis up to 0.72."""

    order = 3


class ETDAB4(AdamsBashforth):
    """Order 4; stable on the imaginary axis up to 0.43."""

    order = 4
