"""What the Snakefile asks of a configuration: which figures there are, and which settings a stage depends on.

What a stabilizer needs of other results, as the workflow declares it and the stages read it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from thermalize.config import (
    Experiment,
    ExportedEmulatorConfig,
    ImportConfig,
    ImportedEmulatorConfig,
    NoStabilizerConfig,
    ThermalizerConfig,
)
from thermalize.config.texts import is_url
from thermalize.config.training import COMPUTED_HOW
from thermalize.store.results import Results
from thermalize.truth.imported.paths import matches, stamp

__all__ = [
    "emulator_files_of",
    "figures_of",
    "gpus_of",
    "is_lost",
    "run_package_of",
    "settings_of",
    "simulation_gpus_of",
    "simulation_threads_of",
    "source_files_of",
    "source_stamp_of",
    "stores_for",
    "training_gpus_of",
]

FIGURES = ("overview", "spacetime", "spectra", "distributions", "survival", "health", "training")
TRAINING: Any = {"__all__": {"training": COMPUTED_HOW}}
WHICH = ("stabilizers", "sweeps")
"""Keys of `rollouts` that say which rollouts there are, and nothing about any one of them."""

COSMETIC: Any = {
    "storage": True,
    "simulation": {"dask", "device"},
    "device": True,
    "emulators": TRAINING,
    "diffusion": TRAINING,
}


def figures_of(experiment: Experiment) -> tuple[str, ...]:
    """Names of the figures of an experiment; some need two dimensions, a diffusion model, several seeds or a sweep."""
    conditional = {
        "fields": len(experiment.simulation.grid) > 1,
        "calibration": bool(experiment.diffusion),
        "samples": bool(experiment.diffusion),
        "ensemble": experiment.has_ensembles,
        "ablation": bool(experiment.sweeps),
    }
    return (*FIGURES, *(name for name, drawn in conditional.items() if drawn))


def gpus_of(experiment: Experiment) -> int:
    """GPUs that a rule with networks asks for: one on `device: cuda`, and on `auto` where this machine has one."""
    return _gpus(experiment.device)


def training_gpus_of(experiment: Experiment, section: str, name: str) -> int:
    """GPUs that training `{section}.{name}` asks for: none where a rule with networks asks for none."""
    training = getattr(getattr(experiment, section)[name], "training", None)
    return gpus_of(experiment) * (training.gpus if training else 1)


def emulator_files_of(experiment: Experiment, name: str) -> list[str]:
    """Files that an emulator from elsewhere is made of."""
    config = experiment.emulators[name]
    if isinstance(config, ExportedEmulatorConfig):
        return [config.program]
    return [*config.files] if isinstance(config, ImportedEmulatorConfig) else []


def simulation_gpus_of(experiment: Experiment) -> int:
    """GPUs that simulating a split asks for: as for networks, but none where other machines compute."""
    simulation = experiment.simulation
    if isinstance(simulation, ImportConfig) or simulation.dask.elsewhere:
        return 0
    return _gpus(simulation.device)


def simulation_threads_of(experiment: Experiment) -> int:
    """Processes that simulate a split here: one where a GPU or other machines compute."""
    dask = experiment.simulation.dask
    return 1 if dask.elsewhere or simulation_gpus_of(experiment) else dask.workers


def _gpus(device: str) -> int:
    here = shutil.which("nvidia-smi") is not None or Path("/dev/nvidiactl").exists()
    return int(device == "cuda" or (device == "auto" and here))


def source_files_of(experiment: Experiment) -> list[str]:
    """Files and stores that are imported from this machine; what lies at URLs is looked at by the stage alone.

    A pattern that matches nothing stands for itself, as a missing input: a report needs no data, and can still be made.
    """
    if not isinstance(experiment.simulation, ImportConfig):
        return []
    patterns = [pattern for pattern in experiment.simulation.source if not is_url(pattern)]
    found = {str(path): None for pattern in patterns for path in matches(pattern) or [Path(pattern)]}
    return list(found)


def source_stamp_of(experiment: Experiment) -> str:
    """Digest of sizes and times of change of all imported files: a Zarr store changes without its folder changing."""
    paths = map(Path, source_files_of(experiment))
    return stamp([path for path in paths if path.exists()])


def run_package_of(source: Path) -> None:
    """From here on, processes that are started import the package from the folder `source`, wherever they run."""
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(source), os.environ.get("PYTHONPATH"))))


def is_lost(metadata: Path, manifest: Path) -> bool:
    """Whether the store beside a manifest has gone, which is known by its metadata.

    A manifest that is damaged, or names a URL, is no reason to look for a store here.
    """
    if metadata.exists() or not manifest.exists():
        return False
    try:
        record = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(record, dict) and record.get("url") is None


def settings_of(experiment: Experiment, stage: str, wildcards: Mapping[str, str]) -> str:
    """Digest of the part of the configuration that `stage` depends on, for the result named by `wildcards`.

    Worker counts, scheduler addresses and the device are left out: they are no reason to compute anything again. What
    comes after the truth depends on all settings of it, since a change of any makes it again.
    """
    whole = experiment.model_dump(mode="json", exclude=COSMETIC)
    simulation = whole["simulation"]
    physics = {name: value for name, value in simulation.items() if name != "splits"}
    rollouts = {name: value for name, value in whole["rollouts"].items() if name not in WHICH}
    diagnostics = {name: value for name, value in whole["diagnostics"].items() if name != "samples"}
    choose: dict[str, Callable[[], object]] = {
        "simulate": lambda: (physics, _split(experiment, simulation["splits"], wildcards), experiment.seed),
        "emulator": lambda: (simulation, whole["emulators"][wildcards["emulator"]], experiment.seed),
        "diffusion": lambda: (simulation, whole["diffusion"][wildcards["diffusion"]], experiment.seed),
        "rollout": lambda: (simulation, rollouts, _stabilizer(experiment, wildcards["stabilizer"]), experiment.seed),
        "cost": lambda: whole,
        "sample": lambda: (simulation, whole["diagnostics"], experiment.seed),
        "diagnose": lambda: (simulation, rollouts, diagnostics, experiment.seed),
        "ensemble": lambda: (choose["diagnose"](), experiment.seeds),
        "artifacts": lambda: whole,
    }
    return sha256(json.dumps(choose[stage](), sort_keys=True).encode()).hexdigest()[:16]


def _split(experiment: Experiment, splits: Any, wildcards: Mapping[str, str]) -> object:
    """Imported splits follow each other through the files, so that each depends on those before it."""
    return splits if isinstance(experiment.simulation, ImportConfig) else splits[wildcards["split"]]


def _stabilizer(experiment: Experiment, label: str) -> object:
    stabilizer = experiment.stabilizers[label]
    return stabilizer.model_dump(mode="json") if isinstance(stabilizer, ThermalizerConfig) else stabilizer.kind


def stores_for(
    config: NoStabilizerConfig | ThermalizerConfig, paths: Results, emulator: str, seed: int | str
) -> list[Path]:
    """Manifests of the rollout that it is like and of the truth that it compares band energies with, where it does."""
    if not isinstance(config, ThermalizerConfig):
        return []
    like = [] if config.like is None else [paths.rollout(emulator, config.like, seed)]
    return like + ([] if config.drift is None else [paths.simulation("train")])
