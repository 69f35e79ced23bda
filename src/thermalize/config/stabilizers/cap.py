"""A cap on the energy of every mode."""

from __future__ import annotations

from typing import ClassVar, Literal

from thermalize.config.base import quantity
from thermalize.config.stabilizers.base import Needs, StabilizerConfig

__all__ = ["CapConfig"]


class CapConfig(StabilizerConfig):
    """No mode has more than so many times the mean energy that it has in true states."""

    implementation: ClassVar[str] = "thermalize.stabilizers.cap"

    kind: Literal["cap"]
    factor: float = quantity(
        "mean energies of the mode in true states", "a mode with more is scaled down", 4.0, gt=0, le=1e9
    )
    above: int = quantity("waves per domain", "shells up to this one are left alone", 4, ge=0, le=1_000_000)

    @property
    def needs(self) -> Needs:
        return Needs(bands=True)
