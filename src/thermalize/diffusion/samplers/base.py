"""What every sampler is: reverse steps from a noise level down to a lower one.

Members of a batch have levels of their own, take their own steps and draw their own noise: nobody's trajectory depends
on who shares the batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from thermalize.diffusion.denoiser import NoisePredictor
from thermalize.diffusion.schedule import Schedule
from thermalize.runtime.members import NoiseSource

__all__ = ["Move", "Sampler", "ladder", "moves"]


class Sampler(Protocol):
    """A way down the levels of `schedule`.

    `order` is p where the error against the exact solution falls as steps^−p: of each state where no noise is drawn, of
    the distribution where it is; 0 where the number of steps is fixed.
    """

    @property
    def schedule(self) -> Schedule: ...

    @property
    def order(self) -> int: ...

    def evaluations(self, start: Tensor, stop: int) -> Tensor:
        """Network evaluations of each member from its level `start` [batch] down to `stop`."""
        ...

    def reverse(
        self, model: NoisePredictor, x: Tensor, start: Tensor, stop: int, rows: Tensor, noise: NoiseSource
    ) -> tuple[Tensor, Tensor]:
        """Takes x [batch, channel, *grid] at levels `start` [batch] down to `stop`.

        `rows` [batch] are the members' numbers in `noise`. Returns the states and `evaluations`.
        """
        ...


def ladder(start: Tensor, stop: int, steps: int | None) -> Tensor:
    """Levels that each member visits, [batch, longest + 1]; a member that has arrived stays at `stop`.

    Every level from `start` [batch] to `stop`, or `steps` equal jumps (rounded) where that is fewer.
    """
    span = (start - stop).clamp(min=0)
    count = rungs(start, stop, steps)
    j = torch.arange(int(count.max()) + 1)
    done = torch.minimum(j / count.clamp(min=1)[:, None], torch.ones(()))
    return start[:, None] - torch.round(done * span[:, None]).long()


def rungs(start: Tensor, stop: int, steps: int | None) -> Tensor:
    """Steps of each member down its ladder [batch]; none where it is at `stop` or below."""
    return (start - stop).clamp(min=0, max=steps)


class Move(NamedTuple):
    """Who takes a step, [active], and the levels they were at one step ago (now, in the first), are at and go to."""

    active: Tensor
    before: Tensor
    here: Tensor
    there: Tensor


def moves(levels: Tensor) -> Iterator[Move]:
    """The steps down the ladders `levels` [batch, longest + 1], all members side by side."""
    for step, (here, there) in enumerate(zip(levels.T[:-1], levels.T[1:], strict=True)):
        active = torch.nonzero(here > there).flatten()
        yield Move(active, levels[active, max(step - 1, 0)], here[active], there[active])
