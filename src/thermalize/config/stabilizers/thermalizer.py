"""Thermalization, and the control of band energies that goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from thermalize.config.base import Name, Strict, quantity
from thermalize.config.diffusion import MOST_LEVELS, DiffusionConfig
from thermalize.config.simulation import MOST_STEPS
from thermalize.config.stabilizers.base import Needs, StabilizerConfig

__all__ = ["DriftConfig", "ThermalizerConfig"]

LOOKING = ("member", "batch")
"""Triggers that look at noise levels."""
WAY_DOWN = ("diffusion", "stop", "sampler", "eta", "reverse_steps")
"""Keys that say what a thermalization from a level costs."""


class DriftConfig(Strict):
    """Follow the energy of each band of wavenumbers and set it right where it drifts from the truth's."""

    memory: float = quantity("emulator steps", "over which band energies are averaged", 200.0, ge=1, le=1e9)
    threshold: float = quantity(
        "standard deviations of the same average of the truth",
        "a band further off than this has drifted",
        3.0,
        gt=0,
        le=1e6,
    )
    floor: float = quantity("1", "bands with a smaller share of the truth's variance are left alone", 1e-6, ge=0, lt=1)


class ThermalizerConfig(StabilizerConfig):
    """Denoise members whose predicted noise level exceeds `start` (Pedersen, Zanna, Bruna, arXiv 2503.18731)."""

    implementation: ClassVar[str] = "thermalize.stabilizers.thermalizer"

    kind: Literal["thermalizer"]
    diffusion: Name | None = Field(None, description="model under `diffusion`; all of them when left out")
    start: int | Literal["auto"] = Field("auto", description="thermalize above this noise level [levels]")
    stop: int | Literal["auto", "clean"] = Field(
        "clean", description="denoise down to this level; clean goes to none [levels]"
    )
    false_trigger_rate: float = quantity(
        "1", "share of held-out true states that `start: auto` lets trigger", 1e-3, ge=1e-12, lt=1
    )
    forward_noise: bool = Field(True, description="add the noise of the predicted level before denoising")
    sampler: Literal["ddpm", "ddim", "dpm2m", "mean"] = Field(
        "ddpm",
        description="reverse steps with fresh noise (ddpm), with a share `eta` of it (ddim), without any and of second "
        "order (dpm2m), or one step to the posterior mean (mean)",
    )
    eta: float | None = Field(
        None, ge=0, le=1, description="fresh noise of ddim: 0 (when left out) is none, 1 as much as in ddpm [1]"
    )
    reverse_steps: int | None = Field(
        None,
        gt=0,
        le=MOST_LEVELS,
        description="most network evaluations of one thermalization; every level when left out [evaluations]",
    )
    check_every: int = quantity(
        "emulator steps",
        "steps between two looks at the noise level, or with trigger: every between two turns",
        1,
        gt=0,
        le=MOST_STEPS,
    )
    trigger: Literal["member", "batch", "every", "random"] = Field(
        "member",
        description="thermalize members above `start` (member), everyone when one is above it (batch), everyone from "
        "`start` without looking (every), or at random times as often as in the rollout of `like` (random)",
    )
    like: Name | None = Field(None, description="the stabilizer whose work trigger: random spends at random times")
    guard: int | None = Field(
        None,
        ge=0,
        le=MOST_LEVELS,
        description="a member above this noise level is recorded as lost, and not thermalized [levels]",
    )
    conserve_mean: bool = Field(True, description="give a thermalized state the domain mean that it had before")
    drift: DriftConfig | None = Field(
        DriftConfig(),
        description="also set drifting band energies right, which a noise level does not see; null leaves it to the "
        "noise level alone, as published",
    )

    @model_validator(mode="after")
    def _ordered(self) -> ThermalizerConfig:
        for name in ("start", "stop"):
            value = getattr(self, name)
            if isinstance(value, int) and value < 0:
                raise ValueError(f"{name} = {value} is not a noise level; levels begin at 0")
        if isinstance(self.start, int) and isinstance(self.stop, int) and self.stop >= self.start:
            raise ValueError(f"stop = {self.stop} must lie below start = {self.start}")
        return self

    @model_validator(mode="after")
    def _trigger_has_its_keys(self) -> ThermalizerConfig:
        if (self.trigger == "random") != (self.like is not None):
            raise ValueError("like names the stabilizer that trigger: random copies the work of; one needs the other")
        if self.guard is not None and self.trigger in ("every", "random"):
            raise ValueError(f"guard = {self.guard} needs noise levels, at which trigger: {self.trigger} does not look")
        if self.guard is not None and isinstance(self.start, int) and self.guard <= self.start:
            raise ValueError(f"guard = {self.guard} must lie above start = {self.start}")
        return self

    @model_validator(mode="after")
    def _sampler_has_its_keys(self) -> ThermalizerConfig:
        if self.eta is not None and self.sampler != "ddim":
            raise ValueError(f"eta = {self.eta} is a setting of sampler: ddim, not of {self.sampler}; leave it out")
        if self.reverse_steps is not None and self.sampler == "mean":
            raise ValueError(f"reverse_steps = {self.reverse_steps} does not fit sampler: mean, which takes one step")
        return self

    @property
    def needs(self) -> Needs:
        return Needs(self.diffusion, self.like, bands=self.drift is not None)

    def of_models(self, models: Mapping[str, DiffusionConfig]) -> dict[str | None, Self]:
        """One that names no diffusion model stands for one of each, each of which is like the one of its own model."""
        if self.diffusion is not None:
            return {None: self}
        if len(models) < 2:
            return {None: self.model_copy(update={"diffusion": next(iter(models), None)})}
        return {
            name: self.model_copy(update={"diffusion": name, "like": self.like and f"{self.like}-{name}"})
            for name in models
        }

    def varied(self, label: str, values: Mapping[str, object]) -> Self:
        """At random times it does the work of the one that is varied, where no other is said."""
        like = {"like": label} if values.get("trigger") == "random" and self.like is None else {}
        return super().varied(label, {**like, **values})

    def fault(
        self, models: Mapping[str, DiffusionConfig], stabilizers: Mapping[str, StabilizerConfig]
    ) -> str | None:  # fmt: skip
        if self.diffusion is None or self.diffusion not in models:
            known = ", ".join(models) or "none is configured"
            return f"diffusion = {self.diffusion!r} is not under diffusion ({known})"
        top = models[self.diffusion].train_levels
        for name in ("start", "stop"):
            level = getattr(self, name)
            if isinstance(level, int) and level >= top - 1:
                return f"{name} = {level} is not below train_levels − 1 = {top - 1}"
        return None if self.like is None else self._like_fault(stabilizers)

    def _like_fault(self, stabilizers: Mapping[str, StabilizerConfig]) -> str | None:
        """Work can be copied from a stabilizer that looks at levels, with the same way down from them."""
        model = stabilizers.get(self.like or "")
        if not isinstance(model, ThermalizerConfig) or model.trigger not in LOOKING:
            return f"like = {self.like!r} is not among the stabilizers that look at noise levels"
        for key in WAY_DOWN:
            if getattr(model, key) != getattr(self, key):
                return f"{key} differs from that of {self.like}, whose work it should cost"
        return None
