"""Rollouts, what stabilises them, and their diagnostics."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from thermalize.config.base import Name, Strict, quantity
from thermalize.config.simulation import MOST_FRAMES, MOST_MEMBERS, MOST_STEPS
from thermalize.config.stabilizers import AnyStabilizer, SweepConfig

__all__ = ["DiagnosticsConfig", "RolloutsConfig"]


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
    stabilizers: dict[Name, AnyStabilizer] = Field(
        min_length=1, max_length=100, description="named ways to run the emulator"
    )
    sweeps: dict[Name, SweepConfig] = Field(
        default_factory=dict, max_length=100, description="named ablations: further ways, one per combination of values"
    )


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
