"""One training loop for every model.

AdamW with warm-up and decay, gradient-norm clipping, an exponential moving average of the weights, and validation of
the averaged weights on held-out members: the best of them are kept apart from the last. Everything random is a function
of (seed, update), so the state that a checkpoint must hold is small and a resumed training is bit-identical to a
straight one, in one process and in several.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from thermalize.config import TrainingConfig
from thermalize.runtime.errors import UserError
from thermalize.runtime.progress import track
from thermalize.runtime.streams import torch_seed
from thermalize.training.checkpoint import Checkpoints, fits
from thermalize.training.objective import Batch, Objective
from thermalize.training.passes import Passes
from thermalize.training.processes import ALONE, Processes
from thermalize.training.rates import learning_rate, moving_average
from thermalize.training.watch import Best, Events, Recent, lost

__all__ = ["Result", "Trainer"]

History = list[dict[str, float]]


@dataclass(frozen=True)
class Result:
    """A finished training: averaged weights at the best validation and at the end, history, seconds of computing."""

    best: dict[str, Tensor]
    last: dict[str, Tensor]
    best_update: int
    history: History
    seconds: float


class Trainer:
    """Trains `model` on `objective`; ``run`` returns what came of it."""

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        config: TrainingConfig,
        seed: int,
        checkpoints: Checkpoints,
        label: str,
        autocast: AbstractContextManager[Any] | None = None,
        processes: Processes = ALONE,
        events: Path | None = None,
    ) -> None:
        self.model, self.objective, self.config, self.seed = model, objective, config, seed
        self.checkpoints, self.label, self.processes, self.events = checkpoints, label, processes, events
        self.passes = Passes(
            _prepared(model, config), objective, processes, autocast or nullcontext(), config.micro_batch
        )
        self.average = AveragedModel(model, multi_avg_fn=moving_average(config.ema), use_buffers=False)
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.history: History = []
        self.update, self.seconds = 0, 0.0
        self.recent, self.best = Recent(config.clip_norm), Best()

    def run(self) -> Result:
        self._restore()
        shown, length = self.processes.first, self.config.updates
        events = Events(self.events if shown else None, self.update)
        with track(length, self.label, initial=self.update, unit="update", show=shown) as bar:
            while not self._finished():
                if row := self.advance():
                    events.row(row)
                    bar.note(train=row["train_loss"], valid=row["valid_loss"])
                bar.update()
        events.close()
        last = self.average.module.state_dict()
        return Result(self.best.weights, last, self.best.update, self.history, self.seconds)

    def advance(self) -> dict[str, float] | None:
        """One update, with validation and checkpoint where they are due; a new row of the history if there is one."""
        began = perf_counter()
        self._step()
        due = self.update == self.config.updates or self.update % self.config.validate_every == 0
        row = self._validate() if due else None
        self.seconds += perf_counter() - began
        if (due and self._finished()) or self.update % self.config.checkpoint_every == 0:
            self._save()
        return row

    def _finished(self) -> bool:
        tired = self.config.patience is not None and self.best.waited >= self.config.patience
        return tired or self.update >= self.config.updates

    def _step(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, self.update)
        self.model.train()
        batch = self._batch()
        loss = self.processes.mean(self.passes.backward(batch))
        norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm))
        if not isfinite(loss):
            raise self._lost(loss, batch)
        self.recent.note(loss, norm)
        self.optimizer.step()
        self.average.update_parameters(self.model)
        self.update += 1

    def _batch(self) -> Batch:
        generator = torch.Generator().manual_seed(torch_seed(self.seed, "update", self.update))
        return self.objective.batch(self.update, generator, self.processes.share(self.config.batch_size))

    def _lost(self, loss: float, batch: Batch) -> UserError:
        origins = self.objective.origins(self.update)[self.processes.share(self.config.batch_size)]
        where = f"{self.label}, update {self.update}"
        return lost(loss, where, self.config, self.objective, self.model, batch, origins[: len(batch[0])])

    def _validate(self) -> dict[str, float]:
        self.average.module.eval()
        with torch.inference_mode():
            metrics = self.objective.validate(self.average.module)
        row = {
            "update": self.update,
            **self.recent.take(),
            "learning_rate": learning_rate(self.config, self.update - 1),
        }
        self.history.append({**row, **self.objective.describe(self.update - 1), **metrics})
        self.best.see(metrics[self.objective.monitor], self.update, self.average.module)
        return self.history[-1]

    def _save(self) -> None:
        if self.processes.first:
            self.checkpoints.save(self.update, self._state())

    def _state(self) -> dict[str, Any]:
        return {
            "update": self.update,
            "seconds": self.seconds,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best.state(),
            "largest_pass": self.passes.largest,
            "history": self.history,
            "losses": self.recent.losses,
            "norms": self.recent.norms,
        }

    def _restore(self) -> None:
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        fresh = self._state()
        for update, state in self.checkpoints.states():
            if fits(state, fresh, parameters, update, self.config.updates):
                self._take(state)
                return
            self.checkpoints.say(f"The checkpoint of update {update} does not fit this training; it is not used.")

    def _take(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.best.restore(state["best"])
        self.update, self.history, self.seconds = state["update"], state["history"], state["seconds"]
        self.recent.losses, self.recent.norms = state["losses"], state["norms"]
        self.passes.largest = state["largest_pass"]


def _prepared(model: nn.Module, config: TrainingConfig) -> nn.Module:
    """The same parameters, laid out in memory and compiled as wanted."""
    if config.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if not config.compile:
        return model
    # The compiler has a setting of its own, which follows from this call alone.
    torch.use_deterministic_algorithms(
        torch.are_deterministic_algorithms_enabled(), warn_only=torch.is_deterministic_algorithms_warn_only_enabled()
    )
    return torch.compile(model)  # type: ignore[return-value]
