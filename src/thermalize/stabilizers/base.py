"""What every stabilizer is: a map applied to the members of a rollout after each emulator step.

It says in `series` what it records, and what it records it hands back with the states: the rollout's store, its
diagnostics, the table and the figures take names, units and texts from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from thermalize.diffusion.trained import TrainedDiffusion
from thermalize.runtime.members import NoiseSource, Record, Series
from thermalize.stabilizers.bands import BandEnergies

__all__ = ["Inputs", "Memory", "Stabilized", "Stabilizer", "Stateless"]

Memory = dict[str, Tensor]
"""What a stabilizer knows of the past of all members of a rollout: tensors [member, …] by name, changed in place."""


@dataclass(frozen=True)
class Stabilized:
    """States x [batch, channel, *grid], normalised, who of them is beyond saving [batch], and what is recorded."""

    x: Tensor
    lost: Tensor
    record: Record = field(default_factory=dict)

    @classmethod
    def of(cls, x: Tensor, **record: Tensor) -> Stabilized:
        """States that are all worth going on with."""
        return cls(x, torch.zeros(len(x), dtype=torch.bool), record)


class Stabilizer(Protocol):
    @property
    def series(self) -> tuple[Series, ...]:
        """What it records."""
        ...

    def memory(self, members: int) -> Memory:
        """What it knows of the members of a rollout before the first step."""
        ...

    def __call__(self, x: Tensor, step: int, rows: Tensor, noise: NoiseSource, memory: Memory) -> Stabilized:
        """Stabilises x [batch, channel, *grid] (normalised) after emulator step `step`; `rows` are the members' ids."""
        ...


class Stateless:
    """A stabilizer to which every state is the first, and that records nothing unless it says so."""

    @property
    def series(self) -> tuple[Series, ...]:
        return ()

    def memory(self, members: int) -> Memory:  # noqa: ARG002
        return {}


@dataclass(frozen=True)
class Inputs:
    """What stabilizers may be built from besides their settings; the settings say which (`needs`)."""

    diffusion: TrainedDiffusion | None = None
    """the diffusion model that the settings name"""
    like: Callable[[str], np.ndarray] | None = None
    """what another rollout recorded [member, frame] from its initial condition on, by the name of the series"""
    streams: Callable[[str], list[np.random.Generator]] | None = None
    """a random stream of each member, for a purpose"""
    truth: Callable[[], Tensor] | None = None
    """normalised true trajectories [member, time, channel, *grid]"""
    bands: Callable[[], BandEnergies] | None = None
    """band energies of normalised true trajectories"""
