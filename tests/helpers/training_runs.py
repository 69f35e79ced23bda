"""Trainings from their command line, alone and under torchrun, on a small data set."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from store_data import stored
from workflow_run import environment, python

from thermalize.config.load import load_experiment
from thermalize.store.results import Results
from thermalize.truth.simulated import layout_of

SPLITS = ("train", "valid", "test")


def settings(**training: Any) -> dict[str, Any]:
    """An experiment whose emulator learns in twelve updates, and a diffusion model likewise."""
    network = {"kind": "unet", "width": 4, "multipliers": [1, 2]}
    schedule = {"updates": 12, "batch_size": 8, "validate_every": 6, "checkpoint_every": 2, "warmup": 2, **training}
    return {
        "name": "small",
        "seed": 3,
        "device": "cpu",
        "simulation": {
            "system": {"kind": "ks", "length": 22.0, "points": 32},
            "dt": 0.25,
            "frame_interval": 0.5,
            "spin_up": 20.0,
            "block": 2,
            "shard_frames": 20,
            "splits": {name: {"members": 4, "frames": 40} for name in SPLITS},
        },
        "emulators": {
            "unet": {
                "network": network,
                "unroll": {"start": 1, "maximum": 2, "grow_every": 4},
                "noise": 0.01,
                "training": schedule,
            }
        },
        "diffusion": {"unet": {"network": network, "train_levels": 50, "training": schedule}},
        "rollouts": {"members": 2, "steps": 20, "stabilizers": {"raw": {"kind": "none"}}},
    }


def store(config: Path, splits: tuple[str, ...] = ("train", "valid")) -> Results:
    """Waves that travel, one per member, in place of a simulation; returns the paths of the results."""
    experiment = load_experiment(config)
    paths = Results(experiment.name, config.parent / "results")
    for number, split in enumerate(splits):
        layout = layout_of(experiment, split)
        member, time, _, points = layout.shape
        x = np.arange(points) * 2 * np.pi / points - 0.3 * np.arange(time)[:, None]
        values = np.stack([np.sin(x + m + 10 * number) + 0.3 * np.sin(2 * x + m) for m in range(member)])
        manifest = paths.simulation(split)
        manifest.parent.mkdir(parents=True, exist_ok=True)
        statistics = {"mean": [float(values.mean())], "std": [float(values.std())]}
        fields = values[:, :, None].astype(np.float32)
        stored(manifest, fields, layout, f"waves {split}", statistics=statistics)
    return paths


def written(folder: Path, content: dict[str, Any]) -> Path:
    """A configuration file in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def command(config: Path, stage: str, *arguments: str, processes: int = 1) -> list[str]:
    """The command of a training, under torchrun where several processes share it."""
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "--no-python"]
    start = [sys.executable, *launch, str(python())] if processes > 1 else [str(python())]
    return [*start, "-m", "thermalize", stage, str(config), *arguments]


def run(config: Path, stage: str, *arguments: str, processes: int = 1) -> subprocess.CompletedProcess[str]:
    """Runs a stage in the folder of its configuration."""
    return subprocess.run(
        command(config, stage, *arguments, processes=processes),
        capture_output=True, text=True, check=False, cwd=config.parent, env=environment(),
    )  # fmt: skip
