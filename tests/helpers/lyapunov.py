"""Lyapunov exponents of the Kuramoto–Sivashinsky equation by the method of Benettin et al.

    λ_i = lim 1/T Σ log R_ii,   QR = differences of neighbouring trajectories, orthonormalised again every time unit

Each member carries its own neighbours at a distance where the motion is linear to seven digits, and all go through the
solver as one batch.

References:
    Benettin, Galgani, Giorgilli & Strelcyn, Meccanica 15 (1980) 9; Kaplan & Yorke (1979) for the dimension.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from thermalize.systems import System, Timing, frames, stepper

__all__ = ["exponents", "kaplan_yorke"]

DISTANCE = 1e-7
SETTLING = 50


@torch.no_grad()
def exponents(system: System, u0: Tensor, count: int, dt: float, time: int, spin_up: float = 200.0) -> np.ndarray:
    """The leading exponents of each member, [member, count].

    Args:
        system: a system with one spatial axis, in double precision.
        u0: initial conditions, [member, 1, x].
        count: number of exponents.
        dt: step of the solver.
        time: time units of the average.
        spin_up: time units before, to which those are added in which the differences turn into their directions.
    """
    u = next(iter(frames(system, u0, Timing(dt, 10, 1, round(spin_up / dt)))))
    members, _, points = u.shape
    directions = torch.from_numpy(np.random.default_rng(0).standard_normal((members, points, count)))
    directions, growth = torch.linalg.qr(directions)[0], torch.zeros(members, count, dtype=torch.float64)
    for unit in range(SETTLING + time):
        advance = stepper("etdrk4", system, dt)
        u_hat = system.to_spectral(torch.cat([u, u + DISTANCE * directions.mT], 1).reshape(-1, 1, points))
        for _ in range(round(1 / dt)):
            u_hat = advance.step(u_hat)
        bundle = system.to_physical(u_hat).reshape(members, count + 1, points)
        u = bundle[:, :1]
        directions, stretched = torch.linalg.qr(((bundle[:, 1:] - u) / DISTANCE).mT)
        if unit >= SETTLING:
            growth += stretched.diagonal(dim1=1, dim2=2).abs().log()
    return (growth / time).numpy()


def kaplan_yorke(spectrum: np.ndarray) -> float:
    """j + Σ_{i≤j} λ_i / |λ_{j+1}| with the largest j whose partial sum is not negative."""
    ordered = np.sort(spectrum)[::-1]
    sums = np.cumsum(ordered)
    last = int(np.nonzero(sums >= 0)[0][-1])
    return float(last + 1 + sums[last] / abs(ordered[last + 1]))
