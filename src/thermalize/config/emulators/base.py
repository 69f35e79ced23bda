"""What every kind of emulator says of itself, so that nothing else needs to know which kinds there are.

A kind is two modules: its settings here, and below `thermalize.emulators` what `implementation` names.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from thermalize.config.external import Own
from thermalize.config.networks import NetworkConfig, UNetConfig
from thermalize.config.training import TrainingConfig

__all__ = ["EmulatorSettings", "TrainedEmulatorConfig"]


class EmulatorSettings(Own):
    """An emulator by its settings."""

    kind: str
    implementation: ClassVar[str]
    """module that makes it: see `thermalize.emulators.load`"""
    project: Literal["auto", "none"] = Field(
        "auto",
        description="auto: take from every state the wavenumbers that no true state holds, where there are any; none, "
        "as published: leave them",
    )


class TrainedEmulatorConfig(EmulatorSettings):
    """An emulator that is trained here."""

    objective: ClassVar[str] = "thermalize.emulators.objective"
    """module with `build(settings, train, valid, seed)`, which makes what it is trained on"""

    network: NetworkConfig = UNetConfig()
    training: TrainingConfig

    @property
    def longest_unroll(self) -> int:
        """Emulator steps that its longest loss goes through."""
        return 1

    @property
    def least_unroll(self) -> int:
        """Emulator steps that its shortest loss goes through."""
        return 1
