"""Two-layer quasi-geostrophy, in SI units."""

from __future__ import annotations

from math import inf
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from thermalize.config.base import quantity
from thermalize.config.systems.base import COURANT_LIMITS, Plane

__all__ = ["QuasiGeostrophicConfig"]

PRESETS: dict[str, dict[str, float]] = {
    "eddy": {"beta": 1.5e-11, "bottom_drag": 5.787e-7, "layer_ratio": 0.25},
    "jet": {"beta": 1e-11, "bottom_drag": 7e-8, "layer_ratio": 0.1},
}


class QuasiGeostrophicConfig(Plane):
    """Two layers on a doubly periodic β-plane with a mean vertical shear; the state is the potential vorticity.

    `preset` fills in beta, bottom_drag and layer_ratio, each of which may also be given.
    """

    implementation: ClassVar[str] = "thermalize.systems.qg"

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
