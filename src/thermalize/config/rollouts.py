"""Rollouts, and what stabilises them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from thermalize.config.base import Name, Strict, quantity
from thermalize.config.diffusion import MOST_LEVELS
from thermalize.config.simulation import MOST_FRAMES, MOST_MEMBERS
from thermalize.config.sweeps import Sweep, sweep_of

__all__ = [
    "DriftConfig",
    "NoStabilizerConfig",
    "RolloutsConfig",
    "SweepConfig",
    "ThermalizerConfig",
]


MOST_STEPS = 10**12


class NoStabilizerConfig(Strict):
    """The raw emulator."""

    kind: Literal["none"]


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


class ThermalizerConfig(Strict):
    """Denoise members whose predicted noise level exceeds `start` (Pedersen, Zanna, Bruna, arXiv 2503.18731)."""

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


if TYPE_CHECKING:
    SweepConfig = Sweep
else:
    SweepConfig = sweep_of(ThermalizerConfig)

StabilizerConfig = Annotated[NoStabilizerConfig | ThermalizerConfig, Field(discriminator="kind")]


class RolloutsConfig(Strict):
    members: int = quantity("1", "rollouts per seed, each from its own test member", 16, gt=0, le=MOST_MEMBERS)
    steps: int = quantity("emulator steps", "length of every rollout", gt=0, le=MOST_STEPS)
    chunk: int = quantity(
        "emulator steps", "steps per stored chunk, the unit of streaming and of resuming", 500, ge=2, le=MOST_FRAMES
    )
    initial: Literal["first", "random"] = Field(
        "first", description="start at the first test frame, or at one drawn for every seed and member"
    )
    lost_above: float = quantity(
        "standard deviations of the data",
        "a member whose largest value exceeds this is recorded as lost",
        30.0,
        ge=5,
        le=1e6,
    )
    stabilizers: dict[Name, StabilizerConfig] = Field(
        min_length=1, max_length=100, description="named ways to run the emulator"
    )
    sweeps: dict[Name, SweepConfig] = Field(
        default_factory=dict, max_length=100, description="named ablations: further ways, one per combination of values"
    )
