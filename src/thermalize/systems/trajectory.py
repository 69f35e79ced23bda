"""Trajectories of an ensemble, frame by frame: û ← step(û), with the transform back once per frame.

    frame f of window w = u((spin_up_steps + w · steps_per_window + f · steps_per_frame) dt)

The state stays in spectral space and on its device between frames. Whether it is finite, and how far it is carried in
one step, is looked at once per frame, and no earlier state is kept, so memory does not grow with the length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from thermalize.config.systems import COURANT_LIMITS
from thermalize.runtime.errors import UserError
from thermalize.systems.base import System
from thermalize.systems.steppers import stepper

__all__ = ["Diverged", "Timing", "frames"]


@dataclass(frozen=True)
class Timing:
    """When the solver steps and when a frame is taken; one window of `frames` unless `windows` is more.

    Attributes:
        dt: step of the solver, in time units.
        steps_per_frame: solver steps between two frames of a window.
        frames: frames per window; the first is the state after the spin-up.
        spin_up_steps: solver steps before the first frame.
        windows: how many windows there are.
        steps_per_window: solver steps from the first frame of a window to that of the next.
        stepper: name of the time stepper.
    """

    dt: float
    steps_per_frame: int
    frames: int
    spin_up_steps: int = 0
    windows: int = 1
    steps_per_window: int = 0
    stepper: str = "etdrk4"

    def looks(self) -> Iterator[tuple[int, bool]]:
        """Step numbers at which the state is looked at, and whether it is a frame: in spin-up, windows and gaps."""
        step, reach = 0, self.steps_per_frame
        for start in (self.spin_up_steps + window * self.steps_per_window for window in range(self.windows)):
            yield from ((between, False) for between in range(step + reach, start, reach))
            window = range(start, start + self.frames * reach, reach)
            yield from ((frame, True) for frame in window)
            step = window[-1]


class Diverged(UserError):
    """A solution that stopped being finite or became too fast for its time step.

    Attributes:
        step: solver steps done when it was seen, counted from the start of the spin-up.
        time: the same in time units.
        suggestion: what to change.
    """

    def __init__(self, step: int, time: float, suggestion: str, what: str = "is no longer finite") -> None:
        super().__init__(f"The solution {what} at step {step} (time {time:g}); {suggestion}")
        self.step, self.time, self.suggestion, self.what = step, time, suggestion, what

    def __reduce__(self) -> tuple[type[Diverged], tuple[int, float, str, str]]:
        return type(self), (self.step, self.time, self.suggestion, self.what)


@torch.no_grad()
def frames(system: System, u0: Tensor, timing: Timing) -> Iterator[Tensor]:
    """Integrate a block of members together and yield its frames, window after window.

    Args:
        system: what is integrated.
        u0: states before the spin-up, [member, channel, *solver grid].
        timing: steps, frames and windows.

    Yields:
        [member, channel, *stored grid] in the system's type and on its device, each a tensor of its own.

    Raises:
        Diverged: a state is not finite, or the flow is too fast for the step; looked at once per frame, also between.
    """
    advance = stepper(timing.stepper, system, timing.dt)
    # one by one: the FFT of a lone field may round otherwise than that of several, and members must not feel each other
    u_hat, step = torch.stack([system.to_spectral(u) for u in u0.to(system.dtype).to(system.device)]), 0
    _check_start(u_hat)
    for stop, is_frame in chain([(0, False)], timing.looks()):
        previous = u_hat
        for _ in range(stop - step):
            u_hat = advance.step(u_hat)
            u_hat = u_hat if system.filter is None else u_hat * system.filter
        _check(system, u_hat, previous, timing, (step, stop))
        step = stop
        if is_frame:
            yield system.observe(u_hat)


def _check_start(u_hat: Tensor) -> None:
    if not _finite(u_hat).all():
        raise Diverged(0, 0.0, f"the initial condition of {_members(u_hat)} holds NaN or infinity: replace it")


def _check(system: System, u_hat: Tensor, previous: Tensor, timing: Timing, steps: tuple[int, int]) -> None:
    last, step = steps
    time = step * timing.dt
    if not _finite(u_hat).all():
        courant = system.courant(previous, timing.dt)
        raise Diverged(
            step,
            time,
            f"{_members(u_hat)} blew up with dt = {timing.dt:g} (Courant number {courant:.2g} at step {last}, the last "
            f"finite look): try dt = {timing.dt / 2:g}",
        )
    if system.advective and (courant := system.courant(u_hat, timing.dt)) > (limit := COURANT_LIMITS[timing.stepper]):
        raise Diverged(
            step,
            time,
            f"its Courant number {courant:.3g} is above {limit:g}, the limit of {timing.stepper}: "
            f"try dt = {0.8 * timing.dt * limit / courant:.2g}",
            "is too fast for its time step",
        )


def _finite(u_hat: Tensor) -> Tensor:
    """Whether each member is finite, [member]; a NaN or infinity anywhere reaches the sum."""
    return torch.isfinite(torch.view_as_real(u_hat).flatten(1).sum(1))


def _members(u_hat: Tensor) -> str:
    lost = (~_finite(u_hat)).nonzero().flatten().tolist()
    return f"member{'s' if len(lost) > 1 else ''} {', '.join(map(str, lost))} of the block"
