"""The emulator alone, to which all stabilizers are compared."""

from __future__ import annotations

from torch import Tensor

from thermalize.config import NoStabilizerConfig
from thermalize.runtime.members import NoiseSource
from thermalize.stabilizers.base import Inputs, Memory, Stabilized, Stateless

__all__ = ["Raw", "build"]


class Raw(Stateless):
    """Leaves every state as it is."""

    def __call__(self, x: Tensor, step: int, rows: Tensor, noise: NoiseSource, memory: Memory) -> Stabilized:  # noqa: ARG002
        return Stabilized.of(x)


def build(config: NoStabilizerConfig, inputs: Inputs) -> Raw:  # noqa: ARG001
    return Raw()
