"""Projection on the wavenumbers that the truth holds."""

from __future__ import annotations

from typing import ClassVar, Literal

from thermalize.config.stabilizers.base import Needs, StabilizerConfig

__all__ = ["ProjectionConfig"]


class ProjectionConfig(StabilizerConfig):
    """Take from every state the wavenumbers that no true state holds, as `project: auto` of an emulator does."""

    implementation: ClassVar[str] = "thermalize.stabilizers.projection"

    kind: Literal["projection"]

    @property
    def needs(self) -> Needs:
        return Needs(bands=True)
