"""The data of a training: both splits, normalised by the train split, in memory or streamed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import thermalize
from thermalize.config import EmulatorSettings, Experiment, TrainingConfig
from thermalize.emulators.projection import Held, held_wavenumbers
from thermalize.models.normalization import Normalization
from thermalize.runtime.errors import UserError
from thermalize.store.manifest import check_system, open_store, read_manifest, zarr_store
from thermalize.store.results import Results
from thermalize.training.checkpoint import Checkpoints
from thermalize.training.data import Windows
from thermalize.training.processes import ALONE, Processes
from thermalize.training.stream import ZarrStore, decide, open_windows

__all__ = ["TrainingData", "held_by", "identity_card", "partial", "read_data"]

STATES = 256
"""Held-out states that show which wavenumbers there are."""


@dataclass(frozen=True)
class TrainingData:
    """Train and held-out trajectories, normalised by the train split."""

    train: Windows
    valid: Windows
    normalization: Normalization
    grid: tuple[int, ...]
    channels: int
    fingerprints: dict[str, str]

    @property
    def dims(self) -> int:
        return len(self.grid)


def read_data(
    experiment: Experiment, training: TrainingConfig, paths: Results, folder: Path, processes: Processes = ALONE
) -> TrainingData:
    """Opens both splits for the model in `folder`; refuses stores of another system. Files are compared when read."""
    splits = {"train": paths.simulation("train"), "valid": paths.simulation("valid")}
    manifests = {name: read_manifest(path) for name, path in splits.items()}
    for manifest in manifests.values():
        check_system(manifest, experiment)
    statistics, shape = manifests["train"].statistics, manifests["train"].shape
    if {"mean", "std"} - statistics.keys() or not min(statistics["std"]) > 0:
        raise UserError(f"{splits['train']} lacks the deviation of a channel, or it is 0; simulate the split again")
    normalization = Normalization.of(statistics)
    prints = {name: manifest.fingerprint for name, manifest in manifests.items()}
    begun = Checkpoints.begun(partial(folder))
    then = begun.get("order") if begun.get("data") == prints else None
    windows = {}
    for name, path in splits.items():
        open_store(path, experiment.storage)
        store, variable = zarr_store(path, experiment.storage), manifests[name].variable
        order = processes.agreed(_order(store, variable, training, _part(then, name), processes.device))
        windows[name] = open_windows(store, variable, normalization, processes.device, **order)
    return TrainingData(windows["train"], windows["valid"], normalization, tuple(shape[3:]), shape[2], prints)


def _order(
    store: ZarrStore, variable: str, training: TrainingConfig, begun: Any, device: torch.device
) -> dict[str, Any]:
    """How the windows are read, on which their order depends: as an interrupted training began, else as it fits now."""
    if _is_order(begun) and training.data in ("auto", begun["mode"]):
        return begun
    return decide(
        store, variable, device, training.data, None if training.memory is None else int(training.memory * 1e9)
    )


def _part(values: Any, name: str) -> Any:
    return values.get(name) if isinstance(values, dict) else None


def _is_order(begun: Any) -> bool:
    """Whether it is what `decide` gives, and not something else that stood in a checkpoint."""
    if not isinstance(begun, dict):
        return False
    memory = begun.get("memory_bytes")
    stream = begun.keys() == {"mode", "memory_bytes"} and type(memory) is int and memory > 0
    return begun == {"mode": "memory"} or (begun.get("mode") == "stream" and stream)


def held_by(config: EmulatorSettings, data: TrainingData) -> Held | None:
    """The wavenumbers on which an emulator projects: those of held-out states, which are all in memory."""
    return (
        held_wavenumbers(data.valid.spread(STATES, 1)[:, 0], data.normalization) if config.project == "auto" else None
    )


def partial(folder: Path) -> Path:
    """Where a model is trained until it is finished."""
    return folder.with_name(f"{folder.name}.partial")


def identity_card(kind: str, name: str, experiment: Experiment, data: TrainingData) -> dict[str, Any]:
    """What the card of any model says of the system and the data that it belongs to."""
    return {
        "kind": kind,
        "name": name,
        "system": experiment.simulation.identity,
        "frame_interval": experiment.simulation.frame_interval,
        "dims": data.dims,
        "channels": data.channels,
        "normalization": {"mean": data.normalization.mean, "std": data.normalization.std},
        "data": data.fingerprints,
        "code_version": thermalize.__version__,
    }
