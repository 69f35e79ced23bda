"""When members are thermalized, and from which noise level.

    member   those whose predicted level exceeds `start`, from it; a look every n steps (arXiv 2503.18731)
    batch    all, each from its own level, when that of any exceeds `start`
    every    all, from level `start`, every n steps; nobody looks
    random   as often and from the same levels as in another rollout, at times drawn at random; nobody looks

`member` alone is a method: it spends work where the level head asks for it and leaves members to themselves. `batch`
makes a member's trajectory depend on who shares its batch. `every` and `random` are controls, which tell what looking
is worth: `random` spends, member by member, exactly the denoising of the rollout that it is like.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from thermalize.config import ThermalizerConfig
from thermalize.diffusion.denoiser import NoiseModel
from thermalize.stabilizers.base import Inputs

__all__ = ["NOT_LOOKED_AT", "TRIGGERS", "Batch", "Due", "Every", "Member", "Random", "Trigger", "shuffled"]

NOT_LOOKED_AT = -1


class Due(NamedTuple):
    """Levels that were seen [batch], positions of those that are due [due], and the levels they start from [due]."""

    seen: Tensor
    members: Tensor
    level: Tensor


class Trigger(Protocol):
    def __call__(self, x: Tensor, step: int, rows: Tensor) -> Due:
        """Who among x [batch, channel, *grid], members `rows` [batch], is due after emulator step `step`."""
        ...


def unseen(x: Tensor, members: Tensor | None = None, level: Tensor | None = None) -> Due:
    """Nobody looked; nobody is due, or `members` are, from `level`."""
    nobody = torch.zeros(0, dtype=torch.long)
    seen = torch.full((len(x),), NOT_LOOKED_AT)
    return Due(seen, nobody if members is None else members, nobody if level is None else level)


@dataclass(frozen=True)
class Member:
    """Members above level `start`, at one look every `every` steps."""

    model: NoiseModel
    start: int
    every: int = 1

    def __call__(self, x: Tensor, step: int, rows: Tensor) -> Due:  # noqa: ARG002
        if step % self.every:
            return unseen(x)
        seen = self.model.level(x).cpu()
        return self._due(seen, seen > self.start)

    def _due(self, seen: Tensor, hot: Tensor) -> Due:
        members = torch.nonzero(hot).flatten()
        return Due(seen, members, seen[members])


@dataclass(frozen=True)
class Batch(Member):
    """Everyone as soon as one is above level `start`."""

    def _due(self, seen: Tensor, hot: Tensor) -> Due:
        return super()._due(seen, hot.any().expand(len(hot)))


@dataclass(frozen=True)
class Every:
    """Everyone from level `start`, every `every` steps."""

    start: int
    every: int

    def __call__(self, x: Tensor, step: int, rows: Tensor) -> Due:  # noqa: ARG002
        if step % self.every:
            return unseen(x)
        return unseen(x, torch.arange(len(x)), torch.full((len(x),), self.start))


@dataclass(frozen=True)
class Random:
    """From `level` [member, step] after emulator step `step`, −1 where a member is left alone; none after the last."""

    level: Tensor

    def __call__(self, x: Tensor, step: int, rows: Tensor) -> Due:
        if step >= self.level.shape[1]:
            return unseen(x)
        level = self.level[rows, step]
        members = torch.nonzero(level != NOT_LOOKED_AT).flatten()
        return unseen(x, members, level[members])


def shuffled(level: np.ndarray, reverse_steps: np.ndarray, streams: list[np.random.Generator]) -> Random:
    """The thermalizations of a rollout, series [member, frame] from its initial condition on, at other times.

    The times of each member are permuted by its own stream.
    """
    done = np.where(reverse_steps > 0, level, NOT_LOOKED_AT)
    for row, stream in zip(done, streams, strict=True):
        row[1:] = stream.permutation(row[1:])
    return Random(torch.from_numpy(done.astype(np.int64)))


def _looking(kind: type[Member]) -> Callable[[ThermalizerConfig, Inputs, int], Trigger]:
    def trigger(config: ThermalizerConfig, inputs: Inputs, start: int) -> Trigger:
        assert inputs.diffusion is not None, "levels are those of a diffusion model"
        return kind(inputs.diffusion.model, start, config.check_every)

    return trigger


def _at_random(config: ThermalizerConfig, inputs: Inputs, start: int) -> Trigger:  # noqa: ARG001
    assert inputs.like is not None, "random times need a rollout to be like"
    assert inputs.streams is not None, "random times need random streams"
    return shuffled(inputs.like("level"), inputs.like("reverse_steps"), inputs.streams("times"))


TRIGGERS: dict[str, Callable[[ThermalizerConfig, Inputs, int], Trigger]] = {
    "member": _looking(Member),
    "batch": _looking(Batch),
    "every": lambda config, _, start: Every(start, config.check_every),
    "random": _at_random,
}
"""By name: from the settings, what a stabilizer may be built from, and the level `start`."""
