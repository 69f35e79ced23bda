"""What every kind of simulated system says of itself, so that nothing else needs to know which kinds there are.

A kind is two modules: its parameters here, and below `thermalize.systems` what `implementation` names.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import model_validator

from thermalize.config.base import Strict, quantity

__all__ = ["COURANT_LIMITS", "MOST_POINTS", "Plane", "StepperName", "SystemSettings"]

MOST_POINTS = 10_000_000
"""Along one axis; how many a machine can hold is for an estimate to say."""

StepperName = Literal["etdrk4", "etdab3", "etdab4"]
COURANT_LIMITS: dict[str, float] = {"etdrk4": 1.35, "etdab3": 0.34, "etdab4": 0.20}
"""Largest Courant number (|u| + |v|) dt/Δx of pure advection: the scheme's stability interval on the imaginary axis
(2.83, 0.72, 0.43) over the largest de-aliased wavenumber in grid units, 2π/3."""


class SystemSettings(Strict):
    """A simulated system by its parameters."""

    kind: str
    implementation: ClassVar[str]
    """module with `build(settings, dtype, device)`, which makes the solver"""

    if TYPE_CHECKING:
        points: int
        """of the solver along each axis; every kind says where it stands among its parameters"""

    @property
    def label(self) -> str:
        """Kind and parameters that are not the default, in one line."""
        values = self.model_dump(exclude={"kind", *self._implied()}, exclude_defaults=True)
        words = (
            f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in values.items()
        )
        return " ".join([self.model_dump()["kind"], *words])

    @property
    def channel_count(self) -> int:
        """Fields that make a state."""
        return 1

    def _implied(self) -> set[str]:
        """Parameters that others stand for."""
        return set()

    def rest_fault(self) -> str | None:
        """Why every trajectory comes to rest, beginning with the key: what does not move cannot be learned."""
        return None

    @property
    @abstractmethod
    def stored_grid(self) -> tuple[int, ...]:
        """Points of the stored fields along each axis."""

    @abstractmethod
    def dt_limit(self, stepper: str) -> float:
        """Largest time step that a scheme may take."""


class Plane(SystemSettings):
    """What the doubly periodic square systems share."""

    points: int = quantity("1", "even number N of solver grid points along each side", ge=16, le=100_000, multiple_of=2)
    stored_points: int | None = quantity(
        "1",
        "even number of grid points along each side of the stored fields, which are spectrally truncated to it; all "
        "when left out",
        None,
        ge=8,
        le=100_000,
        multiple_of=2,
    )

    @model_validator(mode="after")
    def _coarser(self) -> Plane:
        if self.stored_points is not None and self.stored_points > self.points:
            raise ValueError(f"stored_points = {self.stored_points} is more than points = {self.points}")
        return self

    @property
    def stored_grid(self) -> tuple[int, ...]:
        return (self.stored_points or self.points,) * 2
