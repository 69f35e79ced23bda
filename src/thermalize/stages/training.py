"""What the training stages share: verified data, the run with its checkpoints, the card of the result."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from thermalize.config import DiffusionConfig, Experiment, TrainedEmulatorConfig
from thermalize.models.base import Network
from thermalize.models.card import readme
from thermalize.models.describe import describe
from thermalize.models.folder import is_complete, save_model
from thermalize.runtime.devices import autocast
from thermalize.runtime.files import exclusive, explaining
from thermalize.runtime.revision import revision
from thermalize.stages.data import TrainingData, identity_card, partial
from thermalize.store.fingerprint import fingerprint
from thermalize.training.checkpoint import Checkpoints
from thermalize.training.loop import Result, Trainer
from thermalize.training.objective import Objective
from thermalize.training.processes import Processes
from thermalize.workflow.steps import STEPS, settings_of

__all__ = ["Run"]


@dataclass(frozen=True)
class Run:
    """One training: what is trained on what, where it keeps its state, and what its card says."""

    kind: str
    name: str
    experiment: Experiment
    config: TrainedEmulatorConfig | DiffusionConfig
    data: TrainingData
    seed: int
    folder: Path
    processes: Processes
    events: Path

    def __call__(
        self,
        build: Callable[[], nn.Module],
        objective: Objective,
        more: Callable[[nn.Module], dict[str, Any]] = lambda model: {},  # noqa: ARG005
    ) -> None:
        """Trains what `build` makes, or goes on where a killed training stopped, and writes the model folder.

        `more` adds to the card what only the trained model tells. A second job for the same model waits, and then finds
        it done.
        """
        with self._alone(), explaining(self.folder):
            if self.processes.agreed(is_complete(self.folder, self._fingerprint)):
                return
            checkpoints = Checkpoints(partial(self.folder), self._identity, quiet=not self.processes.first)
            model, result = self._train(build, objective, checkpoints)
            if self.processes.first:
                self._save(model, result, more)
                checkpoints.discard()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """The first process holds the lock for all of them."""
        if not self.processes.first:
            self.processes.agreed(True)
            yield
            return
        with exclusive(self.folder):
            self.processes.agreed(True)
            yield

    def _train(
        self, build: Callable[[], nn.Module], objective: Objective, checkpoints: Checkpoints
    ) -> tuple[nn.Module, Result]:
        torch.manual_seed(self.seed)
        training, device = self.config.training, self.processes.device
        model = build().to(device)
        context = autocast(training.precision, device)
        events = self.events if training.tensorboard else None
        label = f"{self.kind} {self.name}"
        trainer = Trainer(model, objective, training, self.seed, checkpoints, label, context, self.processes, events)
        result = trainer.run()
        model.load_state_dict(result.best)
        return model.eval(), result

    def _save(self, model: nn.Module, result: Result, more: Callable[[nn.Module], dict[str, Any]]) -> None:
        card = {**self._card(model, result), **more(model)}
        text = readme(card, str(self.folder), self._cost(result))
        save_model(self.folder, result.best, result.last, card, result.history, text)

    def _card(self, model: nn.Module, result: Result) -> dict[str, Any]:
        network = model.network
        assert isinstance(network, Network)
        return {
            **identity_card(self.kind, self.name, self.experiment, self.data),
            "config": json.loads(self.config.model_dump_json()),
            "fingerprint": self._fingerprint,
            "seed": self.seed,
            "parameters": sum(p.numel() for p in model.parameters()),
            "network": describe(network, network.inputs, self.data.grid),
            "best_update": result.best_update,
            "updates": result.history[-1]["update"],
            "metrics": next(row for row in result.history if row["update"] == result.best_update),
        }

    def _cost(self, result: Result) -> dict[str, str]:
        updates, size = int(result.history[-1]["update"]), self.config.training.batch_size
        where = f"{self.processes.size} process(es), {self.processes.device.type}, {torch.get_num_threads()} thread(s)"
        return {
            "updates": f"{updates:,} of {size} samples",
            "computing time": f"{result.seconds:.0f} s on {where}",
            "revision of the code": str(revision()),
        }

    @cached_property
    def _identity(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "settings": settings_of(self.experiment, self.kind, {self.kind: self.name}),
            "data": self.data.fingerprints,
            "seed": self.seed,
            "device": self.processes.device.type,
            "code": STEPS[self.kind].code(self.experiment, self.name),
            "order": {"train": self.data.train.settings},
        }

    @property
    def _fingerprint(self) -> str:
        """Of the result: a finished model stays what it is on another device, and where there is less memory now."""
        return fingerprint({key: value for key, value in self._identity.items() if key not in ("order", "device")})
