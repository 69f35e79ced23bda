"""The simulation: solver, ensemble, splits, and where it is computed."""

from __future__ import annotations

from math import ceil, isclose
from typing import Any, Literal

from pydantic import Field, model_validator

from thermalize.config.base import SplitName, Strict, quantity
from thermalize.config.cluster import DaskConfig
from thermalize.config.systems import StepperName, SystemConfig

__all__ = ["MOST_FRAMES", "MOST_MEMBERS", "SimulationConfig", "SplitConfig"]

MOST_MEMBERS = 1_000_000
"""Identifiers of the members of a split, which no other split uses."""

MOST_FRAMES = 100_000_000
MOST_STEPS = 10**12
SHORTEST_STEP = 1e-6


class SplitConfig(Strict):
    """Ensemble members, each from its own initial condition: one trajectory each, or many short windows of it."""

    members: int = quantity("1", "integrated members", gt=0, le=MOST_MEMBERS)
    frames: int = quantity("1", "stored frames per member, or per window", gt=1, le=MOST_FRAMES)
    windows: int = quantity(
        "1", "windows per member, `window_interval` apart; each is stored as a member", 1, gt=0, le=MOST_MEMBERS
    )

    @property
    def stored_members(self) -> int:
        """Rows of the store: every window of every member."""
        return self.members * self.windows


class SimulationConfig(Strict):
    system: SystemConfig = Field(description="equation, domain and grid")
    stepper: StepperName = Field(
        "etdrk4", description="Runge–Kutta of order 4, or Adams–Bashforth of order 3 or 4; the linear part is exact"
    )
    dt: float = quantity("time units", "step of the solver", gt=0, le=1e9)
    frame_interval: float = quantity(
        "time units", "time between stored frames, which is the emulator's step", ge=1e-9, le=1e12
    )
    spin_up: float = quantity("time units", "time discarded before the first frame", 200.0, ge=0, le=1e15)
    window_interval: float | None = quantity(
        "time units", "time from the beginning of a window to that of the next, for states that are decorrelated",
        None, ge=1e-9, le=1e15,
    )  # fmt: skip
    precision: Literal["float32", "float64"] = Field("float64", description="arithmetic of the solver")
    device: Literal["auto", "cpu", "cuda"] = Field("cpu", description="where the solver runs")
    block: int = quantity(
        "1", "members that one Dask task integrates and writes as its own shards", 8, gt=0, le=MOST_MEMBERS
    )
    shard_frames: int = quantity("1", "frames per shard file, the unit of streaming", 200, gt=0, le=MOST_FRAMES)
    splits: dict[SplitName, SplitConfig] = Field(description="train, valid and test; their members are different")
    dask: DaskConfig = DaskConfig()

    @property
    def steps_per_frame(self) -> int:
        return round(self.frame_interval / self.dt)

    @property
    def steps_per_window(self) -> int:
        """Solver steps from the beginning of a window to that of the next; 0 where there is one window."""
        return round((self.window_interval or 0.0) / self.dt)

    @property
    def grid(self) -> tuple[int, ...]:
        """Points of the stored fields along each axis."""
        return self.system.stored_grid

    @property
    def channel_count(self) -> int:
        return self.system.channel_count

    @property
    def identity(self) -> dict[str, Any]:
        """What a model must agree with to be used on these data, beside the frame interval."""
        return self.system.model_dump(mode="json")

    @property
    def label(self) -> str:
        """The system in a few words, for tables."""
        return self.system.label

    @model_validator(mode="after")
    def _time_steps_fit(self) -> SimulationConfig:
        limit = self.system.dt_limit(self.stepper)
        if self.dt < SHORTEST_STEP * min(limit, self.frame_interval):
            raise ValueError(
                f"dt = {self.dt:g} time units is a million times shorter than frame_interval = "
                f"{self.frame_interval:g} or the stability limit {limit:.3g}; try dt = "
                f"{self.frame_interval / ceil(self.frame_interval / limit):.6g}"
            )
        if self.dt > limit:
            steps = -int(-self.frame_interval // limit)
            raise ValueError(
                f"dt = {self.dt:g} time units is above the stability limit {limit:.3g} of this system and solver; "
                f"try dt = {self.frame_interval / steps:.6g}"
            )
        if self.steps_per_frame < 1 or not isclose(self.steps_per_frame * self.dt, self.frame_interval, rel_tol=1e-9):
            raise ValueError(
                f"frame_interval = {self.frame_interval:g} is not a whole number of steps dt = {self.dt:g}; "
                f"try dt = {self.frame_interval / max(1, self.steps_per_frame):.6g}"
            )
        return self

    @model_validator(mode="after")
    def _is_unsteady(self) -> SimulationConfig:
        if fault := self.system.rest_fault():
            raise ValueError(f"system.{fault}")
        return self

    @model_validator(mode="after")
    def _device_is_known(self) -> SimulationConfig:
        if self.device == "auto" and self.dask.elsewhere:
            raise ValueError("device = auto looks at this machine, but dask computes on others; write cpu or cuda")
        return self

    @model_validator(mode="after")
    def _splits_fit(self) -> SimulationConfig:
        missing = {"train", "valid", "test"} - set(self.splits)
        if missing:
            raise ValueError(f"splits lacks {', '.join(sorted(missing))}")
        for name, split in self.splits.items():
            if split.members % self.block:
                raise ValueError(
                    f"splits.{name}.members = {split.members} is not divisible by block = {self.block}; "
                    f"try members: {self.block * -(-split.members // self.block)}"
                )
            if split.stored_members > MOST_MEMBERS:
                raise ValueError(
                    f"splits.{name}.windows = {split.windows} of members = {split.members} make "
                    f"{split.stored_members} rows, more than a split can hold ({MOST_MEMBERS}); lower one of the two"
                )
        return self

    @model_validator(mode="after")
    def _windows_fit(self) -> SimulationConfig:
        for name, split in self.splits.items():
            if split.windows == 1:
                continue
            if name == "test":
                raise ValueError("splits.test.windows must be 1: rollouts are compared with independent trajectories")
            if self.window_interval is None:
                raise ValueError(
                    f"splits.{name}.windows = {split.windows} needs window_interval, the time between them"
                )
            shortest = (split.frames - 1) * self.frame_interval
            if self.steps_per_window * self.dt <= shortest or not isclose(
                self.steps_per_window * self.dt, self.window_interval, rel_tol=1e-9
            ):
                raise ValueError(
                    f"window_interval = {self.window_interval:g} must be a whole number of steps dt = {self.dt:g} and "
                    f"longer than the windows of splits.{name} ({shortest:g})"
                )
        return self
