"""From configuration to stabilizer: kinds are registered here by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from thermalize.config import DriftConfig, NoStabilizerConfig, ThermalizerConfig
from thermalize.diffusion import samplers
from thermalize.diffusion.calibration import auto_start, auto_stop
from thermalize.diffusion.schedule import CLEAN
from thermalize.diffusion.trained import TrainedDiffusion
from thermalize.stabilizers.bands import Bands
from thermalize.stabilizers.base import Raw, Stabilizer
from thermalize.stabilizers.drift import BandControl, BandEnergies, BandStatistics
from thermalize.stabilizers.thermalizer import Thermalizer
from thermalize.stabilizers.triggers import Batch, Every, Member, Random, Trigger

__all__ = ["Needs", "build", "thresholds"]


def thresholds(config: ThermalizerConfig, diffusion: TrainedDiffusion) -> tuple[int, int]:
    """(start, stop) as noise levels, `auto` resolved from the calibration; stop −1 is clean."""
    start = auto_start(diffusion.calibration, config.false_trigger_rate) if config.start == "auto" else config.start
    if config.stop == "auto":
        return start, auto_stop(diffusion.calibration, diffusion.schedule, start)
    return start, CLEAN if config.stop == "clean" else min(config.stop, start)


@dataclass(frozen=True)
class Needs:
    """What stabilizers may need besides their settings."""

    diffusion: TrainedDiffusion | None = None
    """the diffusion model that the settings name"""
    like: Callable[[], Random] | None = None
    """the trigger of thermalizations at random times"""
    truth: Callable[[], BandEnergies] | None = None
    """band energies of normalised true trajectories"""


def build(config: NoStabilizerConfig | ThermalizerConfig, needs: Needs) -> Stabilizer:
    """The stabilizer that the configuration names."""
    return BUILDERS[config.kind](config, needs)


def raw(config: NoStabilizerConfig, needs: Needs) -> Stabilizer:  # noqa: ARG001
    return Raw()


def thermalizer(config: ThermalizerConfig, needs: Needs) -> Stabilizer:
    assert needs.diffusion is not None, "a thermalizer needs a diffusion model"
    start, stop = thresholds(config, needs.diffusion)
    trigger = TRIGGERS[config.trigger](config, needs, start)
    sampler = samplers.build(config, needs.diffusion.schedule)
    settings = (config.forward_noise, config.conserve_mean, config.guard)
    inner = Thermalizer(needs.diffusion.model, sampler, trigger, stop, *settings)
    return inner if config.drift is None else controlled(config.drift, inner, needs)


def controlled(config: DriftConfig, inner: Stabilizer, needs: Needs) -> BandControl:
    assert needs.truth is not None, "control of band energies needs those of true trajectories"
    truth = needs.truth()
    statistics = BandStatistics.of_energies(truth.energy, config.memory)
    return BandControl(inner, Bands(truth.grid), statistics, config.threshold, config.floor)


def at_random(config: ThermalizerConfig, needs: Needs, start: int) -> Trigger:  # noqa: ARG001
    assert needs.like is not None, "random times need a rollout to be like"
    return needs.like()


def looking(kind: type[Member]) -> Callable[[ThermalizerConfig, Needs, int], Trigger]:
    def trigger(config: ThermalizerConfig, needs: Needs, start: int) -> Trigger:
        assert needs.diffusion is not None, "levels are those of a diffusion model"
        return kind(needs.diffusion.model, start, config.check_every)

    return trigger


TRIGGERS: dict[str, Callable[[ThermalizerConfig, Needs, int], Trigger]] = {
    "member": looking(Member),
    "batch": looking(Batch),
    "every": lambda config, needs, start: Every(start, config.check_every),  # noqa: ARG005
    "random": at_random,
}
BUILDERS: dict[str, Callable[[Any, Needs], Stabilizer]] = {"none": raw, "thermalizer": thermalizer}
