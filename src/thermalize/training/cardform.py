"""What the card of a model must say for the model to be built and drawn from it.

A card whose digest matches may still be of another version, or come from anybody; what lies in it is checked once, when
it is read, and not wherever it is used.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from thermalize.config import DiffusionConfig
from thermalize.config.experiment import AnyEmulator

__all__ = ["card_fault"]

LARGEST = 1e30  # far from the ends of single precision
MOST_STATES = 2**53

Value = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
Deviation = Annotated[float, Field(ge=1 / LARGEST, le=LARGEST)]
Count = Annotated[int, Field(ge=0, le=MOST_STATES)]


class Form(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, allow_inf_nan=False)


class NormalizationForm(Form):
    """Per channel."""

    mean: list[Value]
    std: list[Deviation]


class CalibrationForm(Form):
    """What the level head said of held-out states, by true level; how many clean ones have which level."""

    level: list[Count] = Field(min_length=1)
    predicted_mean: list[Value]
    predicted_low: list[Value]
    predicted_high: list[Value]
    band: Annotated[list[Value], Field(min_length=2, max_length=2)]
    clean_level_counts: list[Count]
    clean_noise_rms: Annotated[Value, Field(ge=0)]

    @model_validator(mode="after")
    def _agree(self) -> CalibrationForm:
        if {len(self.predicted_mean), len(self.predicted_low), len(self.predicted_high)} != {len(self.level)}:
            raise ValueError("the predictions are not as many as the levels")
        if not sum(self.clean_level_counts):
            raise ValueError("there are no clean states")
        return self


class ModelForm(Form):
    """What is common to all models."""

    system: dict[str, Any]
    dims: Literal[1, 2]
    channels: Annotated[int, Field(ge=1, le=65_536)]
    normalization: NormalizationForm
    weights_digest: str

    @model_validator(mode="after")
    def _channels(self) -> ModelForm:
        if not len(self.normalization.mean) == len(self.normalization.std) == self.channels:
            raise ValueError(f"the normalization is not that of {self.channels} channels")
        return self


class EmulatorForm(ModelForm):
    config: AnyEmulator
    program_digest: str | None = None

    @model_validator(mode="after")
    def _program(self) -> EmulatorForm:
        if self.config.kind == "exported" and self.program_digest is None:
            raise ValueError("the digest of the program is missing")
        return self


class DiffusionForm(ModelForm):
    config: DiffusionConfig
    calibration: CalibrationForm

    @model_validator(mode="after")
    def _levels(self) -> DiffusionForm:
        levels = self.config.schedule.levels
        if max(len(self.calibration.clean_level_counts), *self.calibration.level) > levels:
            raise ValueError(f"the calibration speaks of levels that the schedule does not have (levels = {levels})")
        return self


FORMS: dict[str, type[ModelForm]] = {"emulator": EmulatorForm, "diffusion": DiffusionForm}


def card_fault(card: dict[str, Any], kind: str) -> str | None:
    """Where and how a card of this kind is not as it must be; None where it is."""
    try:
        FORMS[kind].model_validate(card)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return f"{where}: {first['msg']}" if where else str(first["msg"])
    return None
