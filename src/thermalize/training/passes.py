"""Forward and backward passes of one update, in as many parts as the memory asks for.

    ∇ loss = Σ_parts (samples of the part / samples) ∇ loss(part)

The batch is drawn whole, so the samples and the noise of an update are the same in however many parts it is computed.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from thermalize.runtime.errors import UserError
from thermalize.training.objective import Batch, Objective
from thermalize.training.processes import Processes

__all__ = ["Passes"]

OUT_OF_MEMORY = "can't allocate memory"  # what torch's CPU allocator says


class Passes:
    """Computes loss and gradients of `model` for whole batches; `largest` is the most samples per pass."""

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        processes: Processes,
        autocast: AbstractContextManager[Any],
        largest: int | None,
    ) -> None:
        self.module = processes.parallel(_Loss(model, objective))
        self.processes, self.autocast, self.largest = processes, autocast, largest

    def backward(self, batch: Batch) -> float:
        """Leaves the gradients in the parameters and returns the loss; halves the parts where memory is short."""
        while True:
            try:
                return self._accumulate(batch)
            except (RuntimeError, MemoryError) as error:  # the first includes torch's own
                if not _memory_is_short(error):
                    raise
                self._halve(len(batch[0]))

    def _accumulate(self, batch: Batch) -> float:
        self.module.zero_grad(set_to_none=True)
        count = len(batch[0])
        parts = list(zip(*(tensor.split(self.largest or count) for tensor in batch), strict=True))
        total = 0.0
        for number, part in enumerate(parts):
            with self._waiting(number < len(parts) - 1), self.autocast:
                loss: Tensor = self.module(*part) * (len(part[0]) / count)
            loss.backward()
            total += float(loss.detach())
        return total

    def _waiting(self, more: bool) -> AbstractContextManager[None]:
        """Gradients are exchanged between processes once per update."""
        if more and isinstance(self.module, DistributedDataParallel):
            return self.module.no_sync()
        return nullcontext()

    def _halve(self, count: int) -> None:
        present = min(self.largest or count, count)
        if present == 1:
            raise UserError("a single sample does not fit into memory; choose a smaller network or checkpointing: true")
        if self.processes.size > 1:
            raise UserError(f"{present} samples do not fit into memory; set training.micro_batch: {present // 2}")
        self.largest = (present + 1) // 2
        self.module.zero_grad(set_to_none=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        print(f"Memory is short: {self.largest} samples per pass from here on.", file=sys.stderr, flush=True)


class _Loss(nn.Module):
    """The loss as a module, so that gradients are exchanged once however often it runs the network."""

    def __init__(self, model: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.model, self.objective = model, objective

    def forward(self, *batch: Tensor) -> Tensor:
        return self.objective.loss(self.model, batch)


def _memory_is_short(error: BaseException) -> bool:
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or OUT_OF_MEMORY in str(error)
