"""Trainings of a second on travelling waves, killed at an update, and compared bit by bit."""

from __future__ import annotations

import numpy as np
import torch

from thermalize.config import DiffusionConfig, EmulatorConfig, TrainingConfig, UNetConfig, UnrollConfig
from thermalize.diffusion.denoiser import Denoiser
from thermalize.diffusion.objective import DiffusionObjective
from thermalize.diffusion.schedule import build
from thermalize.emulators.objective import EmulatorObjective
from thermalize.emulators.residual import ResidualEmulator
from thermalize.models.normalization import Normalization
from thermalize.training.checkpoint import Checkpoints
from thermalize.training.data import Trajectories
from thermalize.training.loop import Result, Trainer

UNIT = Normalization((0.0,), (1.0,))
NETWORK = UNetConfig(width=4, multipliers=(1,))
TRAINING = TrainingConfig(updates=24, batch_size=8, validate_every=8, checkpoint_every=5, warmup=4)


def travelling_waves(members: int = 6, frames: int = 30, points: int = 16) -> np.ndarray:
    """u = sin(x − t + φ): the exact emulator is a shift."""
    x, t = np.arange(points) * 2 * np.pi / points, 0.3 * np.arange(frames)
    phase = np.linspace(0, 6, members)
    return np.sin(x - t[None, :, None, None] + phase[:, None, None, None]).astype(np.float32)


def emulator_trainer(tmp_path, training: TrainingConfig = TRAINING, **options) -> Trainer:
    config = EmulatorConfig(
        network=NETWORK, unroll=UnrollConfig(maximum=3, grow_every=8), noise=0.01, training=training, **options
    )
    data = Trajectories(travelling_waves(), UNIT)
    torch.manual_seed(0)
    model = ResidualEmulator(config, 1, 1, UNIT)
    objective = EmulatorObjective(config, data, data, seed=1)
    identity = {"config": config.model_dump(mode="json"), "code": "a" * 64}
    return Trainer(model, objective, training, 1, Checkpoints(tmp_path / "p", identity), "t")


def diffusion_trainer(tmp_path, training: TrainingConfig = TRAINING) -> Trainer:
    config = DiffusionConfig(network=NETWORK, train_levels=400, training=training)
    data = Trajectories(travelling_waves(), UNIT)
    torch.manual_seed(0)
    objective = DiffusionObjective(config, build(config.schedule), data, data, seed=1)
    model = Denoiser(config, 1, 1)
    return Trainer(model, objective, training, 1, Checkpoints(tmp_path / "p", {}), "t")


class Killed(Exception):
    pass


def kill_after(trainer: Trainer, update: int) -> None:
    step = trainer._step

    def stepping() -> None:
        if trainer.update == update:
            raise Killed
        step()

    trainer._step = stepping  # type: ignore[method-assign]


def same_weights(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    assert a.keys() == b.keys()
    return all(torch.equal(a[name], b[name]) for name in a)


def same(a: Result, b: Result) -> bool:
    return same_weights(a.best, b.best) and same_weights(a.last, b.last) and a.history == b.history
