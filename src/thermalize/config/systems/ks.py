"""The Kuramoto–Sivashinsky equation, non-dimensional."""

from __future__ import annotations

from math import ceil, pi
from typing import ClassVar, Literal

from pydantic import model_validator

from thermalize.config.base import quantity
from thermalize.config.systems.base import MOST_POINTS, SystemSettings

__all__ = ["KuramotoSivashinskyConfig"]


class KuramotoSivashinskyConfig(SystemSettings):
    """u_t = −½(u²)_x − u_xx − u_xxxx on a periodic interval."""

    implementation: ClassVar[str] = "thermalize.systems.ks"

    kind: Literal["ks"]
    length: float = quantity("length units", "period L of the domain", gt=0, le=1e6)
    points: int = quantity("1", "even number N of equidistant grid points", ge=16, le=MOST_POINTS, multiple_of=2)

    @model_validator(mode="after")
    def _resolved(self) -> KuramotoSivashinskyConfig:
        # Mean energies are a few per cent wrong at a highest wavenumber of 2, within 1 % at 2.5, unbounded near 1.
        highest = 2 * pi * ((self.points - 1) // 3) / self.length
        if highest < 2:
            needed = 3 * ceil(2.5 * self.length / (2 * pi)) + 1
            raise ValueError(
                f"points = {self.points} is too coarse for length = {self.length:g}: after de-aliasing it resolves "
                f"wavenumbers up to {highest:.2g}, and the dissipation needs 2; try points: {needed + needed % 2}"
            )
        return self

    def rest_fault(self) -> str | None:
        """Waves grow where 0 < 2π/L < 1."""
        if self.length > 2 * pi:
            return None
        return (
            f"length = {self.length:g} length units is too short: no wave grows in a domain up to 2π = 6.28, and all "
            "states decay to zero; try length: 22, the shortest that is commonly used"
        )

    @property
    def stored_grid(self) -> tuple[int, ...]:
        return (self.points,)

    def dt_limit(self, stepper: str) -> float:
        """Largest step that still resolves the attractor: ETDRK4 errs by 8e−4 after 20 time units at 0.25."""
        return {"etdrk4": 0.25, "etdab3": 0.1, "etdab4": 0.05}[stepper]
