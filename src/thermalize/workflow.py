"""What the Snakefile asks of a configuration: which figures there are, and which settings a stage depends on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from thermalize.config import Experiment, ThermalizerConfig

__all__ = ["figures_of", "gpus_of", "settings_of"]

FIGURES = ("overview", "spacetime", "spectra", "distributions", "survival", "health", "training")
COSMETIC: Any = {"simulation": {"dask", "device"}, "device": True}


def figures_of(experiment: Experiment) -> tuple[str, ...]:
    """Names of the figures of an experiment; a calibration needs a diffusion model."""
    return (*FIGURES, "calibration") if experiment.diffusion else FIGURES


def gpus_of(experiment: Experiment) -> int:
    """GPUs that a rule with networks asks for: one on `device: cuda`, and on `auto` where this machine has one."""
    here = shutil.which("nvidia-smi") is not None or Path("/dev/nvidiactl").exists()
    return int(experiment.device == "cuda" or (experiment.device == "auto" and here))


def settings_of(experiment: Experiment, stage: str, wildcards: Mapping[str, str]) -> str:
    """Digest of the part of the configuration that `stage` depends on, for the result named by `wildcards`.

    Worker counts, scheduler addresses and the device are left out: they are no reason to compute anything again.
    """
    whole = experiment.model_dump(mode="json", exclude=COSMETIC)
    simulation = whole["simulation"]
    physics = {name: value for name, value in simulation.items() if name != "splits"}
    rollouts = {name: value for name, value in whole["rollouts"].items() if name != "stabilizers"}
    choose: dict[str, Callable[[], object]] = {
        "simulate": lambda: (physics, simulation["splits"][wildcards["split"]], experiment.seed),
        "emulator": lambda: (simulation, whole["emulators"][wildcards["emulator"]], experiment.seed),
        "diffusion": lambda: (simulation, whole["diffusion"][wildcards["diffusion"]], experiment.seed),
        "rollout": lambda: (rollouts, _stabilizer(experiment, wildcards["stabilizer"]), experiment.seed),
        "cost": lambda: whole,
        "diagnose": lambda: (simulation["splits"]["test"], rollouts, whole["diagnostics"], experiment.seed),
        "artifacts": lambda: whole,
    }
    return sha256(json.dumps(choose[stage](), sort_keys=True).encode()).hexdigest()[:16]


def _stabilizer(experiment: Experiment, label: str) -> object:
    stabilizer = experiment.stabilizers[label]
    return stabilizer.model_dump(mode="json") if isinstance(stabilizer, ThermalizerConfig) else stabilizer.kind
