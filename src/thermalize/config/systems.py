"""The simulated systems: parameters, grids, bounds.

Kuramoto–Sivashinsky and Kolmogorov flow are non-dimensional; two-layer quasi-geostrophy is in SI units.
"""

from __future__ import annotations

from math import ceil, inf, pi, sqrt
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from thermalize.config.base import Strict, quantity

__all__ = [
    "COURANT_LIMITS",
    "MOST_POINTS",
    "KolmogorovConfig",
    "KuramotoSivashinskyConfig",
    "QuasiGeostrophicConfig",
    "StepperName",
    "SystemConfig",
]

MOST_POINTS = 10_000_000
"""Along one axis; how many a machine can hold is for an estimate to say."""

StepperName = Literal["etdrk4", "etdab3", "etdab4"]
COURANT_LIMITS: dict[str, float] = {"etdrk4": 1.35, "etdab3": 0.34, "etdab4": 0.20}
"""Largest Courant number (|u| + |v|) dt/Δx of pure advection: the scheme's stability interval on the imaginary axis
(2.83, 0.72, 0.43) over the largest de-aliased wavenumber in grid units, 2π/3."""


class Labelled(Strict):
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


class KuramotoSivashinskyConfig(Labelled):
    """u_t = −½(u²)_x − u_xx − u_xxxx on a periodic interval."""

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


class Plane(Labelled):
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


class KolmogorovConfig(Plane):
    """ω_t = −u·∇ω + ν∇²ω − μω − A n cos(ny) on [0, 2π]², vorticity of a flow forced by A sin(ny) along x."""

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


PRESETS: dict[str, dict[str, float]] = {
    "eddy": {"beta": 1.5e-11, "bottom_drag": 5.787e-7, "layer_ratio": 0.25},
    "jet": {"beta": 1e-11, "bottom_drag": 7e-8, "layer_ratio": 0.1},
}


class QuasiGeostrophicConfig(Plane):
    """Two layers on a doubly periodic β-plane with a mean vertical shear; the state is the potential vorticity.

    `preset` fills in beta, bottom_drag and layer_ratio, each of which may also be given.
    """

    kind: Literal["qg"]
    preset: Literal["eddy", "jet"] | None = Field(
        None, description="published parameters: isotropic eddies, or zonal jets"
    )
    length: float = quantity("m", "side of the domain", 1e6, ge=1e-3, le=1e9)
    beta: float = quantity("1/(m s)", "meridional gradient β of the Coriolis parameter", ge=0, le=1e6)
    bottom_drag: float = quantity("1/s", "linear drag r_ek of the lower layer", ge=0, le=1e6)
    layer_ratio: float = quantity(
        "1", "thickness of the upper over that of the lower layer, δ = H₁/H₂", ge=1e-6, le=1e6
    )
    deformation_radius: float = quantity("m", "baroclinic deformation radius", 15e3, ge=1e-3, le=1e9)
    upper_thickness: float = quantity("m", "thickness H₁ of the upper layer", 500.0, ge=1e-3, le=1e6)
    upper_velocity: float = quantity("m/s", "mean zonal velocity U₁ of the upper layer", 0.025, ge=-1e4, le=1e4)
    lower_velocity: float = quantity("m/s", "mean zonal velocity U₂ of the lower layer", 0.0, ge=-1e4, le=1e4)
    filter: Literal["exponential", "none"] = Field(
        "exponential", description="small-scale dissipation applied after every step"
    )
    smagorinsky: float = quantity(
        "1", "coefficient C_S of Smagorinsky's eddy viscosity; 0 leaves it out", 0.0, ge=0, le=100
    )
    dealias: bool = Field(True, description="cut products by the 2/3 rule")

    @model_validator(mode="before")
    @classmethod
    def _filled_in(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        preset = values.get("preset")
        return {**PRESETS.get(preset, {}), **values} if isinstance(preset, str) else values

    @model_validator(mode="after")
    def _dissipates(self) -> QuasiGeostrophicConfig:
        if self.filter == "none" and self.smagorinsky == 0:
            raise ValueError("nothing dissipates at the grid scale; set filter: exponential or smagorinsky: 0.1")
        return self

    @property
    def channel_count(self) -> int:
        return 2

    def _implied(self) -> set[str]:
        filled_in = PRESETS.get(self.preset or "", {})
        return {name for name, value in filled_in.items() if getattr(self, name) == value}

    def dt_limit(self, stepper: str) -> float:
        """Largest step that is stable while eddies are ten times as fast as the mean flow."""
        speed = 10 * max(abs(self.upper_velocity), abs(self.lower_velocity))
        return COURANT_LIMITS[stepper] * self.length / self.points / speed if speed else inf


SystemConfig = Annotated[
    KuramotoSivashinskyConfig | KolmogorovConfig | QuasiGeostrophicConfig, Field(discriminator="kind")
]
