"""Rollouts, and what stabilises them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from thermalize.config.base import Name, Strict, quantity
from thermalize.config.simulation import MOST_FRAMES, MOST_MEMBERS, MOST_STEPS
from thermalize.config.stabilizers import AnyStabilizer, SweepConfig

__all__ = ["RolloutsConfig"]


class RolloutsConfig(Strict):
    members: int = quantity("1", "rollouts per seed, each from its own test member", 16, gt=0, le=MOST_MEMBERS)
    steps: int = quantity("emulator steps", "length of every rollout", gt=0, le=MOST_STEPS)
    chunk: int = quantity(
        "emulator steps", "steps per stored chunk, the unit of streaming and of resuming", 500, ge=2, le=MOST_FRAMES
    )
    initial: Literal["first", "random"] = Field(
        "first", description="start at the first test frame, or at one drawn for every seed and member"
    )
    store_every: Annotated[int, Field(gt=0, le=MOST_STEPS)] | Literal["none"] = Field(
        1,
        description="store the states of every so many steps, `none`: of none but the first; whatever needs all of "
        "them is measured while the rollout runs [emulator steps]",
    )
    lost_above: float = quantity(
        "standard deviations of the data",
        "a member whose largest value exceeds this is recorded as lost",
        30.0,
        ge=5,
        le=1e6,
    )
    stabilizers: dict[Name, AnyStabilizer] = Field(
        min_length=1, max_length=100, description="named ways to run the emulator"
    )
    sweeps: dict[Name, SweepConfig] = Field(
        default_factory=dict, max_length=100, description="named ablations: further ways, one per combination of values"
    )

    @model_validator(mode="after")
    def _stored_fit(self) -> RolloutsConfig:
        every = self.store_every
        if every == "none":
            return self
        if every > self.steps:
            raise ValueError(f"store_every = {every} exceeds steps = {self.steps}; `none` stores no states")
        if self.chunk % every and every % self.chunk:
            raise ValueError(f"store_every = {every} neither divides chunk = {self.chunk} nor is a multiple of it")
        return self

    @property
    def every(self) -> int:
        """The states of every so many steps are stored."""
        return self.chunk * (self.steps // self.chunk + 1) if self.store_every == "none" else self.store_every

    @property
    def has_states(self) -> bool:
        """Whether states are stored beyond the first."""
        return self.store_every != "none"

    @property
    def thinned(self) -> bool:
        """Whether states are computed that are not stored."""
        return self.every > 1
