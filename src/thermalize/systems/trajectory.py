"""Trajectories of an ensemble, frame by frame: û ← step(û), with the transform back once per frame.

    frame f = u((spin_up_steps + f · steps_per_frame) dt),   f = 0 … frames − 1

The state stays in spectral space and on its device between frames. Whether it is finite is looked at once per frame,
and no earlier state is kept, so memory does not grow with the length.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import torch
from torch import Tensor

from thermalize.errors import UserError
from thermalize.systems.base import System

__all__ = ["Diverged", "frames"]


class Diverged(UserError):
    """A solution that stopped being finite.

    Attributes:
        step: solver steps done when it was seen, counted from the start of the spin-up.
        time: the same in time units.
        suggestion: what to change.
    """

    def __init__(self, step: int, time: float, suggestion: str) -> None:
        super().__init__(f"The solution is no longer finite at step {step} (time {time:g}); {suggestion}")
        self.step, self.time, self.suggestion = step, time, suggestion

    def __reduce__(self) -> tuple[type[Diverged], tuple[int, float, str]]:
        return type(self), (self.step, self.time, self.suggestion)


@torch.no_grad()
def frames(
    system: System, u0: Tensor, dt: float, steps_per_frame: int, frames: int, spin_up_steps: int
) -> Iterator[Tensor]:
    """Integrate a block of members together and yield its frames.

    Args:
        system: what is integrated.
        u0: states before the spin-up, [member, channel, *grid].
        dt: step of the solver, in time units.
        steps_per_frame: solver steps between two frames.
        frames: frames to yield; the first is the state after the spin-up.
        spin_up_steps: solver steps before the first frame.

    Yields:
        [member, channel, *grid] in the system's type and on its device, each a tensor of its own.

    Raises:
        Diverged: a state is not finite; looked at once per frame, also during the spin-up.
    """
    stepper = system.stepper(dt)
    u = u0.to(system.dtype).to(system.device)
    _check_start(u)
    u_hat, step = system.to_spectral(u), 0
    for stop in _stops(steps_per_frame, frames, spin_up_steps):
        for _ in range(stop - step):
            u_hat = stepper.step(u_hat)
        previous, u = u, system.to_physical(u_hat)
        _check(system, u, previous, step, stop, dt)
        step = stop
        if step >= spin_up_steps:
            yield u


def _stops(steps_per_frame: int, frames: int, spin_up_steps: int) -> Iterator[int]:
    """Step numbers at which the state is looked at: through the spin-up, then the frames."""
    spin_up = range(steps_per_frame, spin_up_steps, steps_per_frame)
    return chain(spin_up, range(spin_up_steps, spin_up_steps + frames * steps_per_frame, steps_per_frame))


def _check_start(u: Tensor) -> None:
    if not torch.isfinite(u).all():
        raise Diverged(0, 0.0, f"the initial condition of {_members(u)} holds NaN or infinity: replace it")


def _check(system: System, u: Tensor, previous: Tensor, step: int, stop: int, dt: float) -> None:
    if torch.isfinite(u).all():
        return
    courant = system.courant(previous, dt)
    raise Diverged(
        stop,
        stop * dt,
        f"{_members(u)} blew up with dt = {dt:g} (Courant number {courant:.2g} at step {step}, the last finite look): "
        f"try dt = {dt / 2:g}",
    )


def _members(u: Tensor) -> str:
    lost = (~torch.isfinite(u)).flatten(1).any(1).nonzero().flatten().tolist()
    return f"member{'s' if len(lost) > 1 else ''} {', '.join(map(str, lost))} of the block"
