"""The residual emulator."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from thermalize.config.base import Strict, quantity
from thermalize.config.emulators.base import TrainedEmulatorConfig
from thermalize.config.training import MOST_UPDATES

__all__ = ["EmulatorConfig", "UnrollConfig"]


class UnrollConfig(Strict):
    start: int = quantity("emulator steps", "unrolled steps at the beginning", 1, gt=0, le=10_000)
    maximum: int = quantity("emulator steps", "unrolled steps at the end", 2, gt=0, le=10_000)
    grow_every: int = quantity("updates", "updates after which one more step is unrolled", 500, gt=0, le=MOST_UPDATES)

    @model_validator(mode="after")
    def _ordered(self) -> UnrollConfig:
        if self.maximum < self.start:
            raise ValueError(f"unroll.maximum = {self.maximum} is below unroll.start = {self.start}")
        return self


class EmulatorConfig(TrainedEmulatorConfig):
    """Residual emulator x_{t+1} = x_t + F(x_t), trained on its own unrolled predictions."""

    implementation: ClassVar[str] = "thermalize.emulators.residual"

    kind: Literal["residual"] = "residual"
    unroll: UnrollConfig = UnrollConfig()
    conserve_mean: bool = Field(
        True, description="remove the domain mean of every increment: the equation conserves the mean of the state"
    )
    noise: float = quantity(
        "standard deviations of the data",
        "noise added to the state from the second unrolled step on",
        0.0,
        ge=0,
        le=100,
    )
    input_noise: float = quantity(
        "standard deviations of the data", "noise added to the state that the first step starts from", 0.0, ge=0, le=100
    )
    target: Literal["increment", "state"] = Field(
        "increment",
        description="what F is compared with: the true increment x(t+1) − x(t), or what is missing to the true state "
        "x(t+1), so that errors and noise of the step before are corrected",
    )
    pushforward: bool = Field(
        False, description="loss and gradient of the last unrolled step alone; the steps before only perturb its input"
    )

    @property
    def longest_unroll(self) -> int:
        """Steps that the last update unrolls."""
        grown = self.unroll.start + (self.training.updates - 1) // self.unroll.grow_every
        return min(self.unroll.maximum, grown)

    @property
    def least_unroll(self) -> int:
        return self.unroll.start
