"""Training an emulator into a model folder, and reading it back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from thermalize.config import EmulatorConfig, Experiment
from thermalize.emulators.base import Emulator, ResidualEmulator
from thermalize.emulators.objective import EmulatorObjective
from thermalize.models.external import Trust, require_trust
from thermalize.models.folder import load_weights, read_card, refuse_larger
from thermalize.runtime.streams import torch_seed
from thermalize.stages.data import read_data
from thermalize.stages.external import adopt_emulator, load_foreign
from thermalize.stages.training import Run
from thermalize.store.results import Results
from thermalize.training.data import Normalization
from thermalize.training.processes import Processes

__all__ = ["load_emulator", "train_emulator"]

CODE = ("thermalize.emulators", "thermalize.stages.emulator")


def train_emulator(experiment: Experiment, name: str, paths: Results, processes: Processes) -> None:
    """Trains `emulators.{name}` into its folder, from the checkpoints of an interrupted training where there are any.

    One that was trained elsewhere is only looked at and measured.
    """
    config = experiment.emulators[name]
    if not isinstance(config, EmulatorConfig):
        return adopt_emulator(experiment, name, paths)
    folder = paths.emulator(name)
    data = read_data(experiment, config.training, paths, folder, processes)
    seed = torch_seed(experiment.seed, "emulator", name)
    events = paths.tensorboard("emulators", name)
    run = Run("emulator", name, experiment, config, data, seed, folder, processes, CODE, events)
    return run(
        lambda: ResidualEmulator(config, data.dims, data.channels, data.normalization),
        EmulatorObjective(config, data.train, data.valid, seed),
    )


def load_emulator(
    folder: Path | str,
    system: dict[str, Any] | None = None,
    device: torch.device | str = "cpu",
    *,
    trust_code: Trust = False,
) -> Emulator:
    """The emulator of a model folder, for evaluation; refused when it was trained on another system than `system`.

    Its ``step`` maps physical states [batch, channel, *grid] one frame interval on, calling it does so for normalised
    ones. A folder of `kind: import` names a Python function, which is called only with `trust_code=True`, or where the
    configuration given there names the same one with the same options.
    """
    folder = Path(folder)
    card = read_card(folder, "emulator", system)
    require_trust(folder, card, trust_code)
    normalization = Normalization.of(card["normalization"])
    if card["config"].get("kind", "residual") != "residual":
        return load_foreign(folder, card, normalization, device)
    config = EmulatorConfig.model_validate(card["config"])
    refuse_larger(folder, config.network, card["dims"], card["channels"])
    model = ResidualEmulator(config, card["dims"], card["channels"], normalization)
    load_weights(folder, model, card)
    return model.to(device)
