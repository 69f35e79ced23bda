"""bfloat16 against float32, and the memory layout channels_last: what they save and what they cost.

    python -m benchmarks.precision                 some ten minutes; prints the table
    python -m benchmarks.precision --write         and puts it into docs/training.md

The emulator and the diffusion model of `configs/kolmogorov-small.yaml` are trained on a small Kolmogorov flow, every
variant from the same weights on the same batches. They take turns of a few updates, so that all see the same machine.
"""

from __future__ import annotations

import argparse
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmarks.machine import _processor
from benchmarks.report import table
from thermalize.config import DiffusionConfig, EmulatorConfig, Experiment, KolmogorovConfig, TrainingConfig
from thermalize.config.load import load_experiment
from thermalize.diffusion import schedule as schedules
from thermalize.diffusion.denoiser import Denoiser
from thermalize.diffusion.objective import DiffusionObjective
from thermalize.emulators.objective import EmulatorObjective
from thermalize.emulators.residual import ResidualEmulator
from thermalize.models.normalization import Normalization
from thermalize.runtime.devices import autocast
from thermalize.systems import Timing, build, frames
from thermalize.training.checkpoint import Checkpoints
from thermalize.training.data import Trajectories
from thermalize.training.loop import Trainer

__all__ = ["VARIANTS", "Compared", "compare", "main", "turbulence"]

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "training.md"
BEGIN, END = "<!-- precision: written by benchmarks/precision.py -->\n", "<!-- /precision -->"
VARIANTS: dict[str, dict[str, Any]] = {
    "float32": {"precision": "float32"},
    "float32, channels_last": {"precision": "float32", "channels_last": True},
    "bfloat16": {"precision": "bfloat16"},
    "bfloat16, channels_last": {"precision": "bfloat16", "channels_last": True},
}
CPU = torch.device("cpu")
TURN = 20


@dataclass(frozen=True)
class Compared:
    """Median seconds of an update and the last value of a validation metric, by variant."""

    model: str
    metric: str
    seconds: dict[str, float]
    error: dict[str, float]


def turbulence(members: int, length: int, points: int = 32) -> np.ndarray:
    """Vorticity [member, time, 1, y, x] of statistically steady Kolmogorov flow, two in ten members held out."""
    system = build(
        KolmogorovConfig(kind="kolmogorov", points=64, stored_points=points, viscosity=0.01, initial_speed=1.0)
    )
    start = torch.stack([system.initial_condition(np.random.default_rng(m)) for m in range(members)]).float()
    timing = Timing(dt=0.01, steps_per_frame=20, frames=length, spin_up_steps=4000, stepper="etdrk4")
    return np.stack([u.numpy() for u in frames(system, start, timing)], axis=1).astype(np.float32)


def compare(
    experiment: Experiment, values: np.ndarray, updates: int, variants: dict[str, dict[str, Any]] = VARIANTS
) -> list[Compared]:
    """Trains the models of an experiment on fields [member, time, channel, *grid] in every variant."""
    held = len(values) // 5
    statistics = Normalization((float(values[held:].mean()),), (float(values[held:].std()),))
    train, valid = Trajectories(values[held:], statistics), Trajectories(values[:held], statistics)
    emulator, diffusion = (next(iter(group.values())) for group in (experiment.emulators, experiment.diffusion))
    assert isinstance(emulator, EmulatorConfig)
    found = []
    for model, config in (("emulator", emulator), ("diffusion model", diffusion)):
        with TemporaryDirectory() as folder:
            trainers = {
                name: _trainer(_changed(config, updates, variant), train, valid, statistics, Path(folder) / name)
                for name, variant in variants.items()
            }
            seconds = _in_turns(trainers, updates)
        metric = "valid_loss"
        error = {name: trainer.history[-1][metric] for name, trainer in trainers.items()}
        found.append(Compared(model, metric, seconds, error))
    return found


def _changed(config: Any, updates: int, variant: dict[str, Any]) -> Any:
    training = {"updates": updates, "validate_every": updates, "checkpoint_every": updates, **variant}
    settings = TrainingConfig.model_validate({**config.training.model_dump(), **training})
    return config.model_copy(update={"training": settings})


def _trainer(
    config: EmulatorConfig | DiffusionConfig,
    train: Trajectories,
    valid: Trajectories,
    scale: Normalization,
    folder: Path,
) -> Trainer:
    torch.manual_seed(0)
    dims, channels = train.values.ndim - 3, train.values.shape[2]
    model: torch.nn.Module
    objective: Any
    if isinstance(config, EmulatorConfig):
        model, objective = ResidualEmulator(config, dims, channels, scale), EmulatorObjective(config, train, valid, 0)
    else:
        schedule = schedules.build(config.schedule)
        model, objective = Denoiser(config, dims, channels), DiffusionObjective(config, schedule, train, valid, 0)
    context = autocast(config.training.precision, CPU)
    return Trainer(model, objective, config.training, 0, Checkpoints(folder, {}), str(folder), context)


def _in_turns(trainers: dict[str, Trainer], updates: int) -> dict[str, float]:
    """Median seconds of an update over the turns."""
    turns: dict[str, list[float]] = {name: [] for name in trainers}
    for until in range(TURN, updates + TURN, TURN):
        for name, trainer in trainers.items():
            before, done = trainer.seconds, trainer.update
            while trainer.update < min(until, updates):
                trainer.advance()
            turns[name].append((trainer.seconds - before) / (trainer.update - done))
    return {name: median(each) for name, each in turns.items()}


def _rows(found: Compared) -> list[list[str]]:
    base = "float32"
    return [
        [
            found.model,
            name,
            f"{1e3 * seconds:.0f}",
            f"{found.seconds[base] / seconds:.2f}×",
            f"{found.error[name]:.4g}",
            f"{100 * (found.error[name] / found.error[base] - 1):+.1f} %",
        ]
        for name, seconds in found.seconds.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--updates", type=int, default=400, help="updates of each training")
    parser.add_argument("--write", action="store_true", help="put the table into docs/training.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    experiment = load_experiment(ROOT / "configs" / "kolmogorov-small.yaml")
    found = compare(experiment, turbulence(20, 200), arguments.updates)
    head = ["model", "variant", "ms per update", "speed", "held-out loss", "against float32"]
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy"))
    text = (
        f"{arguments.updates} updates of the models of `configs/kolmogorov-small.yaml`, from the same weights on the "
        f"same batches, in turns, on one thread ({_processor()}, Python {platform.python_version()}, {versions}):\n\n"
        f"{table(head, [row for each in found for row in _rows(each)])}\n"
    )
    print(text)
    if arguments.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}{text}{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
