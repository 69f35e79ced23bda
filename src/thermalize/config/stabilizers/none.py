"""No stabilizer."""

from __future__ import annotations

from typing import ClassVar, Literal

from thermalize.config.stabilizers.base import StabilizerConfig

__all__ = ["NoStabilizerConfig"]


class NoStabilizerConfig(StabilizerConfig):
    """The raw emulator."""

    implementation: ClassVar[str] = "thermalize.stabilizers.raw"

    kind: Literal["none"]
