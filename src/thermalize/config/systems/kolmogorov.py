"""Kolmogorov flow, non-dimensional."""

from __future__ import annotations

from math import pi, sqrt
from typing import ClassVar, Literal

from pydantic import model_validator

from thermalize.config.base import quantity
from thermalize.config.systems.base import COURANT_LIMITS, Plane

__all__ = ["KolmogorovConfig"]


class KolmogorovConfig(Plane):
    """ω_t = −u·∇ω + ν∇²ω − μω − A n cos(ny) on [0, 2π]², vorticity of a flow forced by A sin(ny) along x."""

    implementation: ClassVar[str] = "thermalize.systems.kolmogorov"

    kind: Literal["kolmogorov"]
    viscosity: float = quantity("1", "kinematic viscosity ν = 1/Re", ge=1e-12, le=1e6)
    drag: float = quantity("1/time unit", "linear drag μ", 0.1, ge=0, le=1e6)
    forcing_wavenumber: int = quantity("1", "wavenumber n of the force", 4, gt=0, le=100_000)
    forcing_amplitude: float = quantity("1", "amplitude A of the force", 1.0, ge=0, le=1e12)
    initial_speed: float = quantity("1", "root-mean-square speed of the random initial flow", 2.5, ge=1e-6, le=1e6)

    @model_validator(mode="after")
    def _forcing_fits(self) -> KolmogorovConfig:
        # truncation keeps wavenumbers below half the stored points; the solver keeps a third of its own
        needed = max(3 * self.forcing_wavenumber + 1, 2 * (self.forcing_wavenumber + 1))
        for name, points in (("points", self.points), ("stored_points", self.stored_grid[0])):
            if points < needed:
                raise ValueError(
                    f"{name} = {points} is too few for forcing_wavenumber = {self.forcing_wavenumber}; "
                    f"try {name}: {needed + needed % 2}"
                )
        return self

    def rest_fault(self) -> str | None:
        """The force drives u = U sin(ny), U = A/(n²ν + μ).

        It attracts all flows for n = 1 (Marchioro, Commun. Math. Phys. 105 (1986) 99), and where U/(nν) < √2 long waves
        do not grow on it either (Meshalkin, Sinai, J. Appl. Math. Mech. 25 (1961) 1700).
        """
        n, amplitude = self.forcing_wavenumber, self.forcing_amplitude
        if n == 1 and amplitude > 0:
            return (
                "forcing_wavenumber = 1 forces the longest wave, and such a flow comes to rest at any viscosity; "
                "try forcing_wavenumber: 2 or more"
            )
        critical = sqrt(2) * n * self.viscosity * (n**2 * self.viscosity + self.drag)
        if amplitude == 0 or amplitude > critical:
            return None
        return (
            f"forcing_amplitude = {amplitude:g} is too weak for viscosity = {self.viscosity:g} and drag = "
            f"{self.drag:g}: the flow comes to rest up to {critical:.3g}; raise it, or lower viscosity"
        )

    @model_validator(mode="after")
    def _resolved(self) -> KolmogorovConfig:
        # the vorticity that the force alone makes; a tenth of the wavenumber where its viscous time is as short
        vorticity = sqrt(self.forcing_amplitude * self.forcing_wavenumber)
        smallest = (0.1 / ((self.points - 1) // 3)) ** 2 * vorticity
        if self.viscosity < smallest:
            raise ValueError(
                f"viscosity = {self.viscosity:g} is too small for points = {self.points}, which resolve less than a "
                f"tenth of the wavenumbers of this flow; try viscosity = {smallest:.2g} or more, or more points"
            )
        return self

    def dt_limit(self, stepper: str) -> float:
        """Largest step at which the initial flow is advected stably, and the one that the force makes, of speed √(A/n)
        at least; the fastest point has about 2.5 times its rms."""
        speed = max(self.initial_speed, sqrt(self.forcing_amplitude / self.forcing_wavenumber))
        return COURANT_LIMITS[stepper] * 2 * pi / self.points / (3.5 * speed)
