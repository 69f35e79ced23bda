"""How rollouts are compared with the truth, and metrics and figures of the user's own."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from thermalize.config.base import Line, Strict, quantity
from thermalize.config.external import Imported
from thermalize.config.simulation import MOST_FRAMES

__all__ = ["DiagnosticsConfig", "ImportedFigureConfig", "ImportedMetricConfig", "OwnName"]

OwnName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=50)]
"""Of a metric or figure of the user's own; begins the names of variables, columns and rules."""


OF_TABLES = re.compile(
    "(emulator|stabilizer|system|seeds|members|steps|confidence|sweep|left_out|(key|value)_[12]|mean|truth|stable|log|"
    "wasserstein|correlation|trigger|reverse|level|network|rescaled|integral|slow|seconds|cost)(_.*)?"
)
"""Columns of the tables, whose first words no metric of the user's own may begin with."""


def _is_no_column(name: str) -> str:
    if OF_TABLES.fullmatch(name):
        raise ValueError(f"a metric is called {name!r}, like a column of the tables; begin its name with another word")
    return name


MetricName = Annotated[OwnName, AfterValidator(_is_no_column)]


class ImportedMetricConfig(Imported):
    """A metric measured by a Python function of the user's own."""

    kind: Literal["import"]


class ImportedFigureConfig(Imported):
    """A figure drawn by a Python function of the user's own."""

    kind: Literal["import"]
    caption: Line | None = Field(None, description="path of its caption in the report (.rst)")

    @property
    def sources(self) -> tuple[str, ...]:
        return (*self.files, *([] if self.caption is None else [self.caption]))


class DiagnosticsConfig(Strict):
    energy_fraction: float = quantity(
        "1", "share of the truth's variance in the energy-containing shells", 0.999, gt=0, lt=1
    )
    correlation_thresholds: tuple[Annotated[float, Field(gt=-1, lt=1)], ...] = Field(
        (0.8, 0.9, 0.95), min_length=1, max_length=20, description="high-correlation thresholds [1]"
    )
    spectrum_window: int = quantity(
        "frames", "frames averaged for a member's spectrum in the envelope", 50, gt=0, le=MOST_FRAMES
    )
    frozen_steps: int = quantity(
        "emulator steps", "consecutive motionless steps that count as frozen", 20, gt=0, le=MOST_FRAMES
    )
    frozen_fraction: float = quantity(
        "1", "motionless: increment below this share of the truth's median", 0.01, gt=0, lt=1
    )
    pdf_bins: int = quantity("1", "bins of the probability densities", 100, gt=1, le=10_000)
    max_lag: int = quantity("emulator steps", "longest lag of the autocorrelation", 100, gt=0, le=100_000)
    samples: int = quantity(
        "states",
        "states that every diffusion model makes, to be compared with as many true ones",
        512,
        gt=0,
        le=1_000_000,
    )
    resamples: int = quantity("1", "bootstrap resamples behind every interval", 1000, gt=0, le=100_000)
    confidence: float = quantity("1", "confidence of every interval", 0.95, gt=0, lt=1)
    metrics: dict[MetricName, ImportedMetricConfig] = Field(
        default_factory=dict, max_length=100, description="named metrics of the user's own, measured on every rollout"
    )
