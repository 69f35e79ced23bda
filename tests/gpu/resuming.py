"""Trainings and rollouts that are killed and continued, on the device: the same bits as without the interruption."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import torch
from torch import Tensor

from gpu.learning import Config, Killed, Truth, trainer_of, truth_of
from gpu.report import Row, judged, measured
from gpu.running import Check, difference
from gpu.stepping import START, STOP, rollout_of
from thermalize.config import DriftConfig, ThermalizerConfig, TrainingConfig
from thermalize.rollouts.engine import State

__all__ = ["rows"]

UPDATES, KILLED, CHECKPOINT = 8, 5, 3
STEPS = 4
SAFETY = 10.0


def rows(check: Check) -> Iterator[Row]:
    truth = truth_of(check, check.size.data, check.size.windows)
    for label, config in (("emulator", check.size.emulator), ("diffusion", check.size.diffusion)):
        yield from _training(check, label, config, truth)
    yield _rollout(check, truth)


def _training(check: Check, label: str, config: Config, truth: Truth) -> Iterator[Row]:
    straight = _weights(check, config, truth, "straight")
    apart = difference(_weights(check, config, truth, "again"), straight)
    yield measured(f"{label}: the same training twice differs by", apart)
    found = difference(_weights(check, config, truth, "killed", KILLED), straight)
    tolerance = SAFETY * apart
    reason = (
        "bit for bit, as a training repeats itself" if not apart else f"at most {tolerance:.2g}: as it repeats itself"
    )
    yield judged(f"{label}: killed before update {KILLED} and continued", found <= tolerance, reason, found)


def _weights(check: Check, config: Config, truth: Truth, name: str, killed: int | None = None) -> Tensor:
    """All weights after a short training at the configured size."""
    settings = {"updates": UPDATES, "checkpoint_every": CHECKPOINT, "validate_every": UPDATES}
    training = TrainingConfig(**{**_kept(config.training), **settings})
    folder = check.folder / f"{type(config).__name__}-{name}"
    if killed is not None:
        first = trainer_of(config, truth, check.device, folder, training)
        first.until = killed
        with suppress(Killed):
            first.run()
    trainer = trainer_of(config, truth, check.device, folder, training)
    trainer.run()
    trainer.checkpoints.discard()
    return check.fetch(torch.cat([p.flatten() for p in trainer.model.parameters()]))


def _kept(training: TrainingConfig) -> dict[str, object]:
    return {name: getattr(training, name) for name in ("batch_size", "learning_rate", "weight_decay", "precision")}


def _rollout(check: Check, truth: Truth) -> Row:
    """The state goes through the CPU's memory, as it does through the file that is kept beside a store."""
    config = ThermalizerConfig(kind="thermalizer", start=START, stop=STOP, trigger="every", drift=DriftConfig())
    start = truth.normalised()[: check.size.members, 0].to(check.device)
    straight = State(start.clone())
    rollout_of(check, config, truth).advance(straight, STEPS)
    broken = State(start.clone())
    rollout_of(check, config, truth).advance(broken, STEPS // 2)
    memory = {name: tensor.clone() for name, tensor in broken.memory.items()}
    resumed = State(broken.x.cpu().to(check.device), broken.step, broken.lost_step, broken.lost_cause, memory)
    rollout_of(check, config, truth).advance(resumed, STEPS - STEPS // 2)
    found = difference(check.fetch(resumed.x), check.fetch(straight.x))
    return judged("thermalized rollout: stopped in the middle and continued", found == 0, "bit for bit", found)
