"""Training an emulator into a model folder, and reading it back."""

from __future__ import annotations

from importlib import import_module

from thermalize.config import Experiment, TrainedEmulatorConfig
from thermalize.emulators.base import Emulator
from thermalize.runtime.streams import torch_seed
from thermalize.stages.data import held_by, read_data
from thermalize.stages.external import adopt_emulator
from thermalize.stages.training import Run
from thermalize.store.results import Results
from thermalize.training.processes import Processes

__all__ = ["train_emulator"]


def train_emulator(experiment: Experiment, name: str, paths: Results, processes: Processes) -> None:
    """Trains `emulators.{name}` into its folder, from the checkpoints of an interrupted training where there are any.

    One that was trained elsewhere is only looked at and measured.
    """
    config = experiment.emulators[name]
    if not isinstance(config, TrainedEmulatorConfig):
        return adopt_emulator(experiment, name, paths)
    folder = paths.emulator(name)
    data = read_data(experiment, config.training, paths, folder, processes)
    seed = torch_seed(experiment.seed, "emulator", name)
    events = paths.tensorboard("emulators", name)
    run = Run("emulator", name, experiment, config, data, seed, folder, processes, events)
    kind, objective = import_module(config.implementation), import_module(config.objective)
    held = held_by(config, data)

    def build() -> Emulator:
        model: Emulator = kind.build(config, data.dims, data.channels, data.normalization)
        model.held = held
        return model

    card = {"held": held and held.card()}
    return run(build, objective.build(config, data.train, data.valid, seed), lambda _: card)
