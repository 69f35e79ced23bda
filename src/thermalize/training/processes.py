"""The processes of one training, and how there come to be several.

The processes of one training: a single one, or several started by ``torchrun``, each on its share of every batch.

Every process holds the same weights, averages and history; only the first writes files and shows progress. Gradients
are averaged by torch's DistributedDataParallel, over NCCL between GPUs and over gloo between CPUs.

The command of this process once more, in several processes of this machine.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed, nn
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run
from torch.nn.parallel import DistributedDataParallel

from thermalize.runtime.errors import UserError

__all__ = ["ALONE", "Processes", "processes", "torchrun"]

T = TypeVar("T")

PATIENCE = timedelta(days=1)  # the first process may wait for another job that trains the same model


@dataclass(frozen=True)
class Processes:
    """Which of how many processes this is, and the device that it computes on."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share(self, batch_size: int) -> slice:
        """The samples of every batch that this process computes; shares are equal."""
        if batch_size % self.size:
            raise UserError(f"batch_size = {batch_size} is not divisible among {self.size} processes")
        own = batch_size // self.size
        return slice(self.rank * own, (self.rank + 1) * own)

    def parallel(self, model: nn.Module) -> nn.Module:
        """The module whose backward pass averages gradients over all processes."""
        if self.size == 1:
            return model
        return DistributedDataParallel(model, forward_sync_buffers=False)

    def mean(self, value: float) -> float:
        """Mean over all processes."""
        if self.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64 if self.device.type != "mps" else None, device=self.device)
        distributed.all_reduce(total)
        return float(total) / self.size

    def agreed(self, value: T) -> T:
        """The first process's value, in all processes."""
        said = [value]
        if self.size > 1:
            distributed.broadcast_object_list(said, src=0, device=self.device)
        return said[0]


ALONE = Processes()


@contextmanager
def processes(device: torch.device) -> Iterator[Processes]:
    """Joins the processes that torchrun started; without it this process trains alone on `device`."""
    if not distributed.is_torchelastic_launched() or int(os.environ["WORLD_SIZE"]) == 1:
        yield Processes(device=device)
        return
    own = _own(device)
    distributed.init_process_group("nccl" if own.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size(), own)
    finally:
        distributed.destroy_process_group()


def _own(device: torch.device) -> torch.device:
    """The GPU of this process among those of its node."""
    if device.type != "cuda":
        return device
    local, present = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if local >= present:
        raise UserError(f"{local + 1} processes were started on a machine with {present} GPU(s); lower training.gpus")
    torch.cuda.set_device(local)
    return torch.device("cuda", local)


def torchrun(count: int) -> int:
    """Runs the command line of this process in `count` processes, one per visible GPU; returns its exit status.

    This process stays, and with it the GPUs that it has leased.
    """
    try:
        run(parse_args(["--standalone", "--nproc-per-node", str(count), "-m", "thermalize", *sys.argv[1:]]))
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        return failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode
    except SignalException as stopped:
        return 128 + stopped.sigval
    return 0
