"""Training and calibrating a diffusion model into a model folder, and reading it back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from thermalize.config import DiffusionConfig, Experiment
from thermalize.diffusion import schedule as schedules
from thermalize.diffusion.calibration import calibrate
from thermalize.diffusion.denoiser import Denoiser
from thermalize.diffusion.objective import DiffusionObjective
from thermalize.diffusion.trained import TrainedDiffusion
from thermalize.models.external import Trust, require_trust
from thermalize.models.folder import load_weights, read_card, refuse_larger
from thermalize.runtime.streams import torch_seed
from thermalize.stages.data import TrainingData, read_data
from thermalize.stages.training import Run
from thermalize.store.results import Results
from thermalize.training.processes import Processes

__all__ = ["load_diffusion", "train_diffusion"]

CODE = ("thermalize.diffusion", "thermalize.stages.diffusion")
CALIBRATION_STATES = 4096


def train_diffusion(experiment: Experiment, name: str, paths: Results, processes: Processes) -> None:
    """Trains `diffusion.{name}` into its folder and calibrates its level head on held-out truth."""
    config = experiment.diffusion[name]
    folder = paths.diffusion(name)
    data = read_data(experiment, config.training, paths, folder, processes)
    seed = torch_seed(experiment.seed, "diffusion", name)
    events = paths.tensorboard("diffusion", name)
    run = Run("diffusion", name, experiment, config, data, seed, folder, processes, CODE, events)
    run(
        lambda: Denoiser(config, data.dims, data.channels),
        DiffusionObjective(config, schedules.build(config.schedule), data.train, data.valid, seed),
        lambda model: {"calibration": _calibration(model, config, data, seed)},
    )


def _calibration(model: nn.Module, config: DiffusionConfig, data: TrainingData, seed: int) -> dict[str, Any]:
    assert isinstance(model, Denoiser)
    truth = data.valid.spread(CALIBRATION_STATES, 1)[:, 0]
    return calibrate(model, schedules.build(config.schedule), truth, config.train_levels, seed)


def load_diffusion(
    folder: Path | str,
    system: dict[str, Any] | None = None,
    device: torch.device | str = "cpu",
    *,
    trust_code: Trust = False,
) -> TrainedDiffusion:
    """Denoiser, schedule and calibration of a model folder; refused where it is of another system than `system`.

    A network of `kind: import` names a Python function, which is called only with `trust_code=True`, or where the
    configuration given there names the same one with the same options.
    """
    folder = Path(folder)
    card = read_card(folder, "diffusion", system)
    require_trust(folder, card, trust_code)
    config = DiffusionConfig.model_validate(card["config"])
    refuse_larger(folder, config.network, card["dims"], card["channels"])
    model = Denoiser(config, card["dims"], card["channels"])
    load_weights(folder, model, card)
    return TrainedDiffusion(model.to(device), schedules.build(config.schedule), card["calibration"])
