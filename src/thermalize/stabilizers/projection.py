"""Projection after every emulator step: the first thing to try, and free (`thermalize.emulators.projection`)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from thermalize.config import ProjectionConfig
from thermalize.emulators.projection import Held, projected
from thermalize.runtime.members import NoiseSource
from thermalize.stabilizers.base import Inputs, Memory, Stabilized, Stateless

__all__ = ["Projection", "build"]


@dataclass(frozen=True)
class Projection(Stateless):
    """States with the wavenumbers of the truth alone."""

    held: Held | None

    def __call__(self, x: Tensor, step: int, rows: Tensor, noise: NoiseSource, memory: Memory) -> Stabilized:  # noqa: ARG002
        return Stabilized.of(projected(x, self.held))


def build(config: ProjectionConfig, inputs: Inputs) -> Projection:  # noqa: ARG001
    """By the wavenumbers of true trajectories."""
    assert inputs.bands is not None, "projection needs the wavenumbers of true trajectories"
    return Projection(inputs.bands().held)
