"""Training an emulator into a model folder, and reading it back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from thermalize.config import EmulatorConfig, Experiment
from thermalize.emulators import EmulatorObjective, ResidualEmulator
from thermalize.seeds import torch_seed
from thermalize.stages.training import Run, read_data
from thermalize.training.data import Normalization
from thermalize.training.folder import load_weights, read_card

__all__ = ["load_emulator", "train_emulator"]


def train_emulator(
    experiment: Experiment, name: str, train: Path, valid: Path, folder: Path, device: torch.device
) -> None:
    """Trains `emulators.{name}` into `folder`; continues from the checkpoints of an interrupted training."""
    config = experiment.emulators[name]
    data = read_data(experiment, train, valid, device)
    seed = torch_seed(experiment.seed, "emulator", name)
    run = Run("emulator", name, experiment, config, data, seed, folder, device, "thermalize.emulators")
    run(
        lambda: ResidualEmulator(config, data.dims, data.channels, data.normalization),
        EmulatorObjective(config, data.train, data.valid, seed),
    )


def load_emulator(folder: Path, system: dict[str, Any] | None = None) -> ResidualEmulator:
    """The emulator of a model folder; refused when it was trained on another system than `system`."""
    card = read_card(folder, "emulator", system)
    normalization = Normalization(tuple(card["normalization"]["mean"]), tuple(card["normalization"]["std"]))
    model = ResidualEmulator(
        EmulatorConfig.model_validate(card["config"]), card["dims"], card["channels"], normalization
    )
    load_weights(folder, model, card)
    return model
