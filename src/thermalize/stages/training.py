"""What the training stages share: verified data, the run with its checkpoints, the card of the result."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import thermalize
from thermalize.config import DiffusionConfig, EmulatorConfig, Experiment
from thermalize.device import autocast
from thermalize.store.atomic import exclusive, explaining
from thermalize.store.fingerprint import code_digest, fingerprint
from thermalize.store.manifest import check_system, open_store, read_manifest
from thermalize.training.checkpoint import Checkpoints
from thermalize.training.data import Normalization, Trajectories
from thermalize.training.folder import is_complete, save_model
from thermalize.training.loop import Objective, Trainer

__all__ = ["Run", "TrainingData", "read_data", "system_of"]

CODE = ("thermalize.training", "thermalize.models", "thermalize.seeds", "thermalize.stages.training")
History = list[dict[str, float]]


@dataclass(frozen=True)
class TrainingData:
    """Train and held-out trajectories, normalised by the train split."""

    train: Trajectories
    valid: Trajectories
    normalization: Normalization
    dims: int
    channels: int
    fingerprints: dict[str, str]


def system_of(experiment: Experiment) -> dict[str, Any]:
    """What a model card says of the system that the model was trained on."""
    return experiment.simulation.identity


def read_data(experiment: Experiment, train: Path, valid: Path, device: torch.device) -> TrainingData:
    """Reads and verifies both splits; refuses stores of another system."""
    manifests = {"train": read_manifest(train), "valid": read_manifest(valid)}
    for manifest in manifests.values():
        check_system(manifest, experiment)
    statistics = manifests["train"].statistics
    normalization = Normalization(tuple(statistics["mean"]), tuple(statistics["std"]))
    arrays = [_values(path) for path in (train, valid)]
    sets = [Trajectories(values, normalization, device) for values in arrays]
    dims, channels = arrays[0].ndim - 3, arrays[0].shape[2]
    prints = {name: manifest.fingerprint for name, manifest in manifests.items()}
    return TrainingData(sets[0], sets[1], normalization, dims, channels, prints)


def _values(manifest: Path) -> np.ndarray:
    dataset = open_store(manifest)
    return dataset[dataset.attrs["variable"]].values


@dataclass(frozen=True)
class Run:
    """One training: what is trained on what, where it keeps its state, and what its card says."""

    kind: str
    name: str
    experiment: Experiment
    config: EmulatorConfig | DiffusionConfig
    data: TrainingData
    seed: int
    folder: Path
    device: torch.device
    code: str

    def __call__(
        self,
        build: Callable[[], nn.Module],
        objective: Objective,
        describe: Callable[[nn.Module], dict[str, Any]] | None = None,
    ) -> None:
        """Trains what `build` makes, or goes on where a killed training stopped, and writes the model folder.

        A second job for the same model waits, and then finds it done.
        """
        with exclusive(self.folder), explaining(self.folder):
            if is_complete(self.folder, self._fingerprint()):
                return
            checkpoints = Checkpoints(self.folder.with_name(f"{self.folder.name}.partial"), self._fingerprint())
            model, history = self._train(build, objective, checkpoints)
            save_model(self.folder, model, {**self._card(history), **(describe(model) if describe else {})}, history)
            checkpoints.discard()

    def _train(
        self, build: Callable[[], nn.Module], objective: Objective, checkpoints: Checkpoints
    ) -> tuple[nn.Module, History]:
        torch.manual_seed(self.seed)
        context = autocast(self.config.training.precision, self.device)
        model, label = build().to(self.device), f"{self.kind} {self.name}"
        return Trainer(model, objective, self.config.training, self.seed, checkpoints, context, label).run()

    def _card(self, history: History) -> dict[str, Any]:
        normalization = self.data.normalization
        return {
            "kind": self.kind,
            "name": self.name,
            "system": system_of(self.experiment),
            "frame_interval": self.experiment.simulation.frame_interval,
            "dims": self.data.dims,
            "channels": self.data.channels,
            "normalization": {"mean": normalization.mean, "std": normalization.std},
            "config": json.loads(self.config.model_dump_json()),
            "data": self.data.fingerprints,
            "fingerprint": self._fingerprint(),
            "seed": self.seed,
            "code_version": thermalize.__version__,
            "metrics": history[-1],
        }

    def _fingerprint(self) -> str:
        code = code_digest(self.code, *CODE)
        return fingerprint(self.kind, self.config, self.data.fingerprints, self.seed, self.device.type, code)
