"""Diffusion models: their noise levels, what the network predicts, and how the level is read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag, model_validator

from thermalize.config.base import Strict, by_kind, quantity
from thermalize.config.networks import NetworkConfig, UNetConfig
from thermalize.config.training import TrainingConfig

__all__ = [
    "CosineScheduleConfig",
    "DiffusionConfig",
    "GeometricScheduleConfig",
    "LinearScheduleConfig",
    "PowerScheduleConfig",
    "ScheduleConfig",
]

MOST_LEVELS = 100_000
PUBLISHED_LEVELS = 1000  # for which the steps of the linear schedule were published


class Levels(Strict):
    levels: int = quantity("levels", "noise levels from almost clean to pure noise", 1000, gt=1, le=MOST_LEVELS)


class CosineScheduleConfig(Levels):
    """Noise levels along a squared cosine (Nichol, Dhariwal, arXiv 2102.09672)."""

    kind: Literal["cosine"] = "cosine"


class LinearScheduleConfig(Levels):
    """Noise added in linearly growing steps (Ho, Jain, Abbeel, arXiv 2006.11239)."""

    kind: Literal["linear"]
    beta_min: float = quantity(
        "1",
        "variance that the first of 1000 levels adds; scaled by 1000/levels where there are others",
        1e-4,
        ge=1e-8,
        lt=1,
    )
    beta_max: float = quantity("1", "variance that the last of 1000 levels adds, scaled likewise", 0.02, gt=0, lt=1)

    @model_validator(mode="after")
    def _below_one(self) -> LinearScheduleConfig:
        if self.beta_max <= self.beta_min:
            raise ValueError(f"beta_max = {self.beta_max} is not above beta_min = {self.beta_min}")
        if self.beta_max * PUBLISHED_LEVELS >= self.levels:
            raise ValueError(
                f"levels = {self.levels} is too few for beta_max = {self.beta_max}: the last would add all noise at "
                f"once; try levels = {int(self.beta_max * PUBLISHED_LEVELS) + 1} or more"
            )
        return self


class Deviations(Levels):
    """Standard deviations of the noise from the lowest level to the highest."""

    sigma_min: float = quantity("standard deviations of the data", "noise of level 0", 0.002, ge=1e-5, lt=1)
    sigma_max: float = quantity("standard deviations of the data", "noise of the highest level", 0.99, gt=0, lt=1)

    @model_validator(mode="after")
    def _ordered(self) -> Deviations:
        if self.sigma_max <= self.sigma_min:
            raise ValueError(f"sigma_max = {self.sigma_max} is not above sigma_min = {self.sigma_min}")
        return self


class GeometricScheduleConfig(Deviations):
    """Equal ratios between the noise of neighbouring levels (Song, Ermon, arXiv 1907.05600)."""

    kind: Literal["geometric"]


class PowerScheduleConfig(Deviations):
    """Every level covers equally many more wavenumbers of a spectrum that falls as a power of the wavenumber."""

    kind: Literal["power"]
    exponent: float = quantity("1", "p where the variance of one mode falls as k^−p", 3.0, ge=0.5, le=1e6)


ScheduleConfig = Annotated[
    Annotated[CosineScheduleConfig, Tag("cosine")]
    | Annotated[LinearScheduleConfig, Tag("linear")]
    | Annotated[GeometricScheduleConfig, Tag("geometric")]
    | Annotated[PowerScheduleConfig, Tag("power")],
    by_kind("cosine"),
]


class DiffusionConfig(Strict):
    """Denoiser of single snapshots: predicts the noise and, from its bottleneck, the noise level."""

    network: NetworkConfig = UNetConfig(width=24)
    schedule: ScheduleConfig = CosineScheduleConfig()
    train_levels: int = quantity(
        "levels", "training sees levels 0 … train_levels−1, those thermalization uses", 200, gt=1, le=MOST_LEVELS
    )
    prediction: Literal["noise", "state", "velocity"] = Field(
        "noise",
        description="what the network predicts and the loss compares: the noise ξ, the clean state x, or the velocity "
        "√ᾱ ξ − √(1−ᾱ) x",
    )
    level_input: bool = Field(
        False, description="tell the network the noise level, as one more channel; it infers the level when false"
    )
    level_head: Literal["classifier", "regressor"] = Field(
        "classifier", description="read the level as the most probable class, or as the expected logarithm of the noise"
    )
    level_weight: float = quantity(
        "1", "weight of the level head's loss beside that of the prediction", 1.0, ge=0, le=1e6
    )
    level_distribution: Literal["uniform", "low"] = Field(
        "uniform",
        description="levels drawn for training: all equally often, or low ones more often, uniform in log(level + 1)",
    )
    training: TrainingConfig

    @model_validator(mode="after")
    def _levels_exist(self) -> DiffusionConfig:
        if self.train_levels > self.schedule.levels:
            raise ValueError(
                f"train_levels = {self.train_levels} is more than the schedule has (levels = {self.schedule.levels})"
            )
        return self
