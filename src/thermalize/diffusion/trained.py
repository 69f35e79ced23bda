"""A diffusion model as stabilizers use it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from thermalize.diffusion.denoiser import NoiseModel
from thermalize.diffusion.schedule import Schedule

__all__ = ["TrainedDiffusion"]


@dataclass(frozen=True)
class TrainedDiffusion:
    """A noise model with its schedule and the calibration from its card."""

    model: NoiseModel
    schedule: Schedule
    calibration: dict[str, Any]
