"""How much memory data may take that are kept during a training."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import psutil
import torch

__all__ = ["available_memory"]

GROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def available_memory(place: torch.device | str = "cpu") -> int:
    """Bytes, half of what is free now on a GPU, or to this process, whose control group or `ulimit -v` may allow less.

    The other half is for the model, its activations and whoever else computes here. Processes that torchrun started on
    this machine share its memory.
    """
    if torch.device(place).type == "cuda":
        return int(torch.cuda.mem_get_info(place)[0]) // 2
    free = max(0, min([psutil.virtual_memory().available, *_granted(), *_addressable()]))
    return free // 2 // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def _granted() -> Iterator[int]:
    """What the control groups (version 2) of this process, such as a container or a batch job, have left."""
    for folder in _folders():
        try:
            limit = (folder / "memory.max").read_text().strip()
            used = int((folder / "memory.current").read_text())
            facts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        except (OSError, ValueError):
            continue
        if limit != "max":
            # files that were read are counted as used, but given up for whoever needs memory
            yield int(limit) - used + int(facts.get("inactive_file", 0)) + int(facts.get("active_file", 0))


def _folders() -> Iterator[Path]:
    """Folders of the control groups that this process is in, from its own to the root; a container sees one root."""
    try:
        lines = OWN.read_text().splitlines()
    except OSError:
        return
    path = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "/")
    own = PurePosixPath(path.lstrip("/"))
    yield from (GROUPS / each for each in (own, *own.parents))


def _addressable() -> Iterator[int]:
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY:
        yield limit - psutil.Process().memory_info().vms
