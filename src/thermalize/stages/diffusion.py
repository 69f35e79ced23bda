"""Training and calibrating a diffusion model into a model folder, and reading it back."""

from __future__ import annotations

from typing import Any

from torch import nn

from thermalize.config import DiffusionConfig, Experiment
from thermalize.diffusion import schedule as schedules
from thermalize.diffusion.calibration import calibrate
from thermalize.diffusion.denoiser import Denoiser
from thermalize.diffusion.objective import DiffusionObjective
from thermalize.runtime.streams import torch_seed
from thermalize.stages.data import TrainingData, read_data
from thermalize.stages.training import Run
from thermalize.store.results import Results
from thermalize.training.processes import Processes

__all__ = ["train_diffusion"]

CALIBRATION_STATES = 4096


def train_diffusion(experiment: Experiment, name: str, paths: Results, processes: Processes) -> None:
    """Trains `diffusion.{name}` into its folder and calibrates its level head on held-out truth."""
    config = experiment.diffusion[name]
    folder = paths.diffusion(name)
    data = read_data(experiment, config.training, paths, folder, processes)
    seed = torch_seed(experiment.seed, "diffusion", name)
    events = paths.tensorboard("diffusion", name)
    run = Run("diffusion", name, experiment, config, data, seed, folder, processes, events)
    run(
        lambda: Denoiser(config, data.dims, data.channels),
        DiffusionObjective(config, schedules.build(config.schedule), data.train, data.valid, seed),
        lambda model: {"calibration": _calibration(model, config, data, seed)},
    )


def _calibration(model: nn.Module, config: DiffusionConfig, data: TrainingData, seed: int) -> dict[str, Any]:
    assert isinstance(model, Denoiser)
    truth = data.valid.spread(CALIBRATION_STATES, 1)[:, 0]
    return calibrate(model, schedules.build(config.schedule), truth, config.train_levels, seed)
