"""What trainings of this check have in common: a flow to learn, models, and a loop that can be watched and cut off."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gpu.running import Check
from thermalize.config import DiffusionConfig, EmulatorConfig, TrainingConfig
from thermalize.diffusion import schedule as schedules
from thermalize.diffusion.denoiser import Denoiser
from thermalize.diffusion.objective import DiffusionObjective
from thermalize.emulators.objective import EmulatorObjective
from thermalize.emulators.residual import ResidualEmulator
from thermalize.models.normalization import Normalization
from thermalize.runtime.devices import autocast
from thermalize.runtime.streams import stream
from thermalize.systems import Timing, build, frames
from thermalize.training.checkpoint import Checkpoints
from thermalize.training.data import Trajectories
from thermalize.training.loop import Trainer
from thermalize.training.objective import Objective

__all__ = ["Interrupted", "Killed", "Truth", "model_of", "trainer_of", "truth_of"]

SEED = 1
Config = EmulatorConfig | DiffusionConfig


@dataclass(frozen=True)
class Truth:
    """Trajectories [member, time, channel, *grid] in physical units, half to learn from and half held out."""

    values: Tensor
    normalization: Normalization

    @property
    def half(self) -> int:
        return len(self.values) // 2

    def windows(self, device: torch.device, held_out: bool = False) -> Trajectories:
        part = self.values[: self.half] if held_out else self.values[self.half :]
        return Trajectories(part, self.normalization, device)

    def normalised(self) -> Tensor:
        mean, std = self.normalization.tensors(self.values.ndim - 3)
        return (self.values - mean) / std


def truth_of(check: Check, flow: Any, windows: tuple[int, int, int, int]) -> Truth:
    """Frames of a flow, integrated on the device in float32, once."""
    if flow.label not in check.kept:
        check.kept[flow.label] = _simulated(check, flow, windows)
    return check.kept[flow.label]


def _simulated(check: Check, flow: Any, windows: tuple[int, int, int, int]) -> Truth:
    members, length, spin_up, between = windows
    system = build(flow.system, torch.float32, check.device)
    start = torch.stack([system.initial_condition(stream(SEED, "gpu", m)) for m in range(members)])
    timing = Timing(flow.dt, between, length, spin_up_steps=spin_up, stepper=flow.stepper)
    values = torch.stack([u.cpu() for u in frames(system, start, timing)], dim=1)
    return Truth(values, Normalization((float(values.mean()),), (float(values.std()),)))


def model_of(config: Config, truth: Truth) -> nn.Module:
    """The same weights every time."""
    torch.manual_seed(SEED)
    dims = truth.values.ndim - 3
    if isinstance(config, EmulatorConfig):
        return ResidualEmulator(config, dims, 1, truth.normalization)
    return Denoiser(config, dims, 1)


def _objective(config: Config, truth: Truth, device: torch.device) -> Objective:
    train, valid = truth.windows(device), truth.windows(device, held_out=True)
    if isinstance(config, EmulatorConfig):
        return EmulatorObjective(config, train, valid, SEED)
    return DiffusionObjective(config, schedules.build(config.schedule), train, valid, SEED)


class Killed(Exception):
    """A training that was cut off."""


class Interrupted(Trainer):
    """A training that is killed before update `until`, if that is set."""

    until: int | None = None

    def advance(self) -> dict[str, float] | None:
        if self.update == self.until:
            raise Killed
        return super().advance()


def trainer_of(
    config: Config, truth: Truth, device: torch.device, folder: Path, training: TrainingConfig | None = None
) -> Interrupted:
    """A training as a stage sets it up, on the device; `training` in place of the configured one."""
    chosen = training or config.training
    model = model_of(config, truth).to(device)
    context = autocast(chosen.precision, device)
    return Interrupted(
        model, _objective(config, truth, device), chosen, SEED, Checkpoints(folder, {}), "gpu-check", context
    )
