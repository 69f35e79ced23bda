"""From configuration to stabilizer: kinds are registered here by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thermalize.config import NoStabilizerConfig, ThermalizerConfig
from thermalize.diffusion import samplers
from thermalize.diffusion.calibration import auto_start, auto_stop
from thermalize.diffusion.schedule import CLEAN
from thermalize.diffusion.trained import TrainedDiffusion
from thermalize.stabilizers.base import Raw, Stabilizer
from thermalize.stabilizers.thermalizer import Thermalizer

__all__ = ["build", "thresholds"]


def thresholds(config: ThermalizerConfig, diffusion: TrainedDiffusion) -> tuple[int, int]:
    """(start, stop) as noise levels, `auto` resolved from the calibration; stop −1 is clean."""
    start = auto_start(diffusion.calibration, config.false_trigger_rate) if config.start == "auto" else config.start
    if config.stop == "auto":
        return start, auto_stop(diffusion.calibration, diffusion.schedule, start)
    return start, CLEAN if config.stop == "clean" else min(config.stop, start)


def build(config: NoStabilizerConfig | ThermalizerConfig, diffusion: TrainedDiffusion | None) -> Stabilizer:
    """The stabilizer that the configuration names."""
    return BUILDERS[config.kind](config, diffusion)


def raw(config: NoStabilizerConfig, diffusion: TrainedDiffusion | None) -> Stabilizer:  # noqa: ARG001
    return Raw()


def thermalizer(config: ThermalizerConfig, diffusion: TrainedDiffusion | None) -> Stabilizer:
    assert diffusion is not None, "a thermalizer needs a diffusion model"
    start, stop = thresholds(config, diffusion)
    sampler = samplers.build(config, diffusion.schedule)
    settings = (config.forward_noise, config.check_every, config.conserve_mean)
    return Thermalizer(diffusion.model, sampler, start, stop, *settings)


BUILDERS: dict[str, Callable[[Any, TrainedDiffusion | None], Stabilizer]] = {"none": raw, "thermalizer": thermalizer}
