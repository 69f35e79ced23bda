"""The card of a trained model: what it must say, and the page that people read.

What the card of a model must say for the model to be built and drawn from it.

A card whose digest matches may still be of another version, or come from anybody; what lies in it is checked once, when
it is read, and not wherever it is used.

The card of a trained model as a page for people: what it is, what it learned from, how well, at what cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from thermalize.config import DiffusionConfig
from thermalize.config.emulators import AnyEmulator
from thermalize.models.external import names_code

__all__ = ["HeldForm", "card_fault", "readme"]

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


class HeldForm(Form):
    """Largest wavenumbers of the truth."""

    grid: list[Count] = Field(min_length=1, max_length=2)
    along: list[Count]
    shell: Count

    @model_validator(mode="after")
    def _agree(self) -> HeldForm:
        if len(self.along) != len(self.grid):
            raise ValueError("the wavenumbers are not as many as the axes of the grid")
        return self


class EmulatorForm(ModelForm):
    config: AnyEmulator
    held: HeldForm | None = None
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


LOADING = {
    "emulator": """import thermalize

emulator = thermalize.load_emulator("{folder}"{trust})
u_next = emulator.step(u)  # {shape}, physical units
""",
    "diffusion": """import thermalize

diffusion = thermalize.load_diffusion("{folder}"{trust})
level = diffusion.model.level(x)  # of normalised states {shape}
""",
}


def readme(card: Mapping[str, Any], folder: str, cost: Mapping[str, str]) -> str:
    """Markdown; `folder` is where the model lies, `cost` what was measured while it was trained."""
    return "\n".join(
        (
            f"# {card['kind'].capitalize()} `{card['name']}`",
            "",
            *_table("data", _data(card)),
            *_table(f"held-out members, at update {card['best_update']}", _numbers(card["metrics"])),
            *_table("network", _numbers(card["network"])),
            *_table("cost", cost.items()),
            "## Use",
            "",
            "```python",
            LOADING[card["kind"]].format(folder=folder, shape=_shape(card), trust=_trust(card)).rstrip(),
            "```",
            "",
            "## Configuration",
            "",
            "```yaml",
            yaml.safe_dump(card["config"], sort_keys=False).rstrip(),
            "```",
            "",
        )
    )


def _data(card: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    yield "system", ", ".join(f"{key} {value}" for key, value in card["system"].items())
    yield "time between frames", f"{card['frame_interval']:g}"
    yield "mean by channel", _text(card["normalization"]["mean"])
    yield "standard deviation by channel", _text(card["normalization"]["std"])
    for split, fingerprint in card["data"].items():
        yield f"{split} split", f"`{fingerprint}`"
    yield "code", card["code_version"]


def _table(title: str, rows: Iterable[tuple[str, str]]) -> list[str]:
    return [f"| {title} | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows), ""]


def _numbers(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name.replace("_", " "), _text(value)) for name, value in values.items()]


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{_text(each)} along {axis}" for axis, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _trust(card: Mapping[str, Any]) -> str:
    return ", trust_code=True" if names_code(card["config"]) else ""


def _shape(card: Mapping[str, Any]) -> str:
    return "[batch, channel, " + ", ".join("yx"[-card["dims"] :]) + "]"
