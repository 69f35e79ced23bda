"""One training loop for every model.

AdamW with linear warm-up and cosine decay, gradient-norm clipping, an exponential moving average of the weights, and
validation of the averaged weights on held-out members. Everything random is a function of (seed, update), so the state
that a checkpoint must hold is small and a resumed training is bit-identical to a straight one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from math import cos, isfinite, pi
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from thermalize.config import TrainingConfig
from thermalize.errors import UserError
from thermalize.progress import track
from thermalize.seeds import torch_seed
from thermalize.training.checkpoint import Checkpoints

__all__ = ["Objective", "Trainer", "learning_rate"]

History = list[dict[str, float]]
Tensors = tuple[Tensor, ...] | list[Tensor]


class Objective(Protocol):
    """What is minimised. Losses see the update's number and its own random generator, nothing else that changes."""

    def loss(self, model: nn.Module, update: int, generator: torch.Generator) -> Tensor: ...

    def validate(self, model: nn.Module) -> dict[str, float]: ...

    def describe(self, update: int) -> dict[str, float]: ...


def learning_rate(config: TrainingConfig, update: int) -> float:
    """Linear warm-up to the peak, then a cosine to `final_learning_rate` of it at the last update."""
    if update < config.warmup:
        return config.learning_rate * (update + 1) / config.warmup
    progress = (update - config.warmup) / max(1, config.updates - config.warmup)
    return config.learning_rate * (
        config.final_learning_rate + (1 - config.final_learning_rate) * 0.5 * (1 + cos(pi * min(1.0, progress)))
    )


def moving_average(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """θ̄ ← d θ̄ + (1 − d) θ with d = min(decay, (1 + n)/(10 + n)) after n updates: short trainings are not behind."""

    @torch.no_grad()
    def update(averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
        n = int(count)
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + n) / (10 + n)))

    return update


class Trainer:
    """Trains `model` on `objective`; ``run`` returns the averaged model and the history."""

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        config: TrainingConfig,
        seed: int,
        checkpoints: Checkpoints,
        autocast: AbstractContextManager[Any],
        label: str,
    ) -> None:
        self.model, self.objective, self.config, self.seed = model, objective, config, seed
        self.checkpoints, self.autocast, self.label = checkpoints, autocast, label
        self.average = AveragedModel(model, multi_avg_fn=moving_average(config.ema), use_buffers=False)
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.history: History = []
        self.update = 0
        self._losses: list[float] = []
        self._norms: list[float] = []

    def run(self) -> tuple[nn.Module, History]:
        self._restore()
        with track(self.config.updates, self.label, initial=self.update, unit="update") as bar:
            while self.update < self.config.updates:
                self._step()
                self._look(bar)
                bar.update()
        return self.average.module, self.history

    def _step(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, self.update)
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        generator = torch.Generator().manual_seed(torch_seed(self.seed, "update", self.update))
        with self.autocast:
            loss = self.objective.loss(self.model, self.update, generator)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self._note(float(loss.detach()), float(norm))
        self.optimizer.step()
        self.average.update_parameters(self.model)
        self.update += 1

    def _note(self, loss: float, norm: float) -> None:
        if not isfinite(loss):
            raise UserError(
                f"{self.label}: the loss became {loss} at update {self.update}; "
                f"try learning_rate: {self.config.learning_rate / 3:.2g}"
            )
        self._losses.append(loss)
        self._norms.append(norm)

    def _look(self, bar: track) -> None:
        last = self.update == self.config.updates
        if last or self.update % self.config.validate_every == 0:
            self._validate()
            bar.note(train=self.history[-1]["train_loss"], valid=self.history[-1]["valid_loss"])
        if last or self.update % self.config.checkpoint_every == 0:
            self.checkpoints.save(self.update, self._state())

    def _validate(self) -> None:
        self.average.module.eval()
        with torch.inference_mode():
            metrics = self.objective.validate(self.average.module)
        row = {
            "update": self.update,
            "train_loss": sum(self._losses) / len(self._losses),
            "grad_norm": sum(self._norms) / len(self._norms),
            "learning_rate": learning_rate(self.config, self.update - 1),
        }
        self.history.append({**row, **self.objective.describe(self.update - 1), **metrics})
        self._losses, self._norms = [], []

    def _state(self) -> dict[str, Any]:
        return {
            "update": self.update,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": self.history,
            "losses": self._losses,
            "norms": self._norms,
        }

    def _restore(self) -> None:
        state = self.checkpoints.load()
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.update, self.history = state["update"], state["history"]
        self._losses, self._norms = state["losses"], state["norms"]
