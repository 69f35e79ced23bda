"""What a training says of itself, and of the samples that a loss was lost on.

Which samples a loss was lost on.

What a training says of itself: the rows of its history, the state worth keeping, events for TensorBoard.
"""

from __future__ import annotations

from math import inf, isfinite, isnan
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from thermalize.config import TrainingConfig
from thermalize.runtime.errors import UserError
from thermalize.training.objective import Batch, Objective

__all__ = ["Best", "Events", "Recent", "lost"]

NAMED = 5
Origins = list[tuple[int, int]]


def lost(
    loss: float, where: str, config: TrainingConfig, objective: Objective, model: nn.Module, batch: Batch, of: Origins
) -> UserError:
    """The error for a loss that is not finite: when, on which samples, and what to try.

    `of` are member and first frame of each sample of `batch`.
    """
    slower = f"try learning_rate: {config.learning_rate / 3:.2g}"
    if not all(bool(torch.isfinite(p).all()) for p in model.parameters()):
        return UserError(f"{where}: the loss became {loss} because weights are no longer finite; {slower}")
    guilty = [origin for origin, value in zip(of, _each(objective, model, batch), strict=True) if not isfinite(value)]
    if not guilty:
        return UserError(f"{where}: the loss became {loss} though every sample by itself has a finite one; {slower}")
    if len(guilty) == len(of):
        return UserError(f"{where}: the loss became {loss} on every sample ({_named(guilty)}); {slower}")
    return UserError(f"{where}: the loss became {loss} on {_named(guilty)}; look at the data there, or {slower}")


@torch.no_grad()
def _each(objective: Objective, model: nn.Module, batch: Batch) -> list[float]:
    return [float(objective.loss(model, part)) for part in zip(*(tensor.split(1) for tensor in batch), strict=True)]


def _named(origins: Origins) -> str:
    named = ", ".join(f"member {member} from frame {frame}" for member, frame in origins[:NAMED])
    return named + (f" and {len(origins) - NAMED} more" if len(origins) > NAMED else "")


class Recent:
    """Loss and gradient norm of the updates since the last validation."""

    def __init__(self, clip_norm: float) -> None:
        self.clip_norm = clip_norm
        self.losses: list[float] = []
        self.norms: list[float] = []

    def note(self, loss: float, norm: float) -> None:
        self.losses.append(loss)
        self.norms.append(norm)

    def take(self) -> dict[str, float]:
        """Means, and the share of updates whose gradient was longer than allowed; begins anew."""
        count = len(self.losses)
        row = {
            "train_loss": sum(self.losses) / count,
            "grad_norm": sum(self.norms) / count,
            "clipped": sum(norm > self.clip_norm for norm in self.norms) / count,
        }
        self.losses, self.norms = [], []
        return row


class Best:
    """The averaged weights at the best validation so far, and how many validations ago that was."""

    def __init__(self) -> None:
        self.value, self.update, self.waited = inf, 0, 0
        self.weights: dict[str, Tensor] = {}

    def see(self, value: float, update: int, model: nn.Module) -> None:
        """A validation; the first one counts whatever its value, one that is not a number never as better."""
        if self.weights and (isnan(value) or value >= self.value):
            self.waited += 1
            return
        self.value, self.update, self.waited = inf if isnan(value) else value, update, 0
        self.weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    def state(self) -> dict[str, Any]:
        return {"value": self.value, "update": self.update, "waited": self.waited, "weights": self.weights}

    def restore(self, state: dict[str, Any]) -> None:
        self.value, self.update, self.waited = state["value"], state["update"], state["waited"]
        self.weights = state["weights"]


class Events:
    """TensorBoard event files, one scalar per column of the history; nothing where no folder is given."""

    def __init__(self, folder: Path | None, update: int = 0) -> None:
        """`update` is where the training begins or goes on: later events of an interrupted one are dropped."""
        self._writer = None if folder is None else _writer(folder, update)

    def row(self, row: dict[str, float]) -> None:
        if self._writer is None:
            return
        for name, value in row.items():
            if name != "update":
                self._writer.add_scalar(name, value, int(row["update"]))
        self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _writer(folder: Path, update: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415
    except ImportError:
        raise UserError(
            "training.tensorboard needs the package tensorboard; pip install 'thermalize[tensorboard]'"
        ) from None
    return SummaryWriter(str(folder), purge_step=update + 1)
