"""What a command was granted: threads and GPUs, taken before anything is computed.

Everything heavy is imported where it is needed, so that `--help` answers at once.
"""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from thermalize.workflow.resources import gpus_of

if TYPE_CHECKING:
    import torch

    from thermalize.config import Experiment
    from thermalize.training.processes import Processes

__all__ = ["device_of", "processes_of", "take"]


def device_of(experiment: Experiment, threads: int, gpus: int | None, needed: int | None = None) -> torch.device:
    """The device of a stage with networks, which has so many threads; `needed` is one GPU where nothing is said.

    Raises:
        UserError: a GPU is demanded and not there, or fewer were granted than are needed.
    """
    import torch

    from thermalize.runtime.devices import resolve

    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("warn")  # without the compiler, whose import takes seconds
    needed = gpus_of(experiment) if needed is None else needed
    take(gpus, needed)
    return resolve(experiment.device, gpus, needed)


def take(gpus: int | None, needed: int) -> None:
    """Takes the GPUs that are needed, before CUDA starts; where fewer were granted, `resolve` has a sentence on it."""
    from thermalize.runtime.leases import lease

    if gpus and gpus >= needed > 0:
        lease(needed)


def processes_of(
    experiment: Experiment, threads: int, gpus: int | None, needed: int
) -> AbstractContextManager[Processes]:
    """The processes of a training: this one, or with several GPUs one for each, which this one only starts."""
    from thermalize.training.processes import processes

    device = device_of(experiment, threads, gpus, needed)
    if gpus and needed > 1 and device.type == "cuda" and "TORCHELASTIC_RUN_ID" not in os.environ:
        from thermalize.training.processes import torchrun

        sys.exit(torchrun(needed))
    return processes(device)
