"""A store as windows to train on: in memory where it fits, else read while the model trains.

How much memory data may take that are kept during a training is measured when it begins.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
import psutil
import torch
import zarr
from torch import Tensor
from zarr.abc.store import Store

from thermalize.models.normalization import Normalization
from thermalize.runtime.errors import UserError
from thermalize.training.data import Trajectories, Windows
from thermalize.training.reading import Blocks, Reader
from thermalize.training.streamed import Streamed

__all__ = ["Mode", "Streamed", "ZarrStore", "available_memory", "decide", "open_windows"]

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


Mode = Literal["auto", "memory", "stream"]
ZarrStore = Path | Store
HOST = torch.device("cpu")
# enough for hundreds of shards at a time; and most machines have it, so that the order is the same on them
STREAMING = 4_000_000_000


def open_windows(
    store: ZarrStore,
    variable: str,
    normalization: Normalization,
    device: torch.device | str = "cpu",
    mode: Mode = "auto",
    memory_bytes: int | None = None,
    members: np.ndarray | None = None,
) -> Windows:
    """Windows of a store that was verified.

    Args:
        store: the Zarr store.
        variable: its array [member, time, channel, *grid].
        normalization: of the train split.
        device: where batches are wanted.
        mode: "memory" and "stream" leave no choice; "auto" streams what does not fit into memory.
        memory_bytes: what these data may take; when left out, half of the memory that is free, or 4 GB of it to stream.
        members: identifiers of the members; the store's own when left out.

    Raises:
        UserError: there is not enough memory for this mode.
    """
    array, device = _array(store, variable), torch.device(device)
    identifiers = np.asarray(_array(store, "member")[:]) if members is None else members
    chosen = decide(store, variable, device, mode, memory_bytes)
    if chosen["mode"] == "stream":
        return Streamed(array, normalization, device, identifiers, budget_bytes=chosen["memory_bytes"])
    try:
        held = _preloaded(array, normalization, _place(array, device, memory_bytes) or HOST)
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise UserError(
            f"{store} takes {4 * array.size / 1e9:.3g} GB, more than there is; training.data: stream needs less"
        ) from error
    return Trajectories(held, None, device, identifiers)


def decide(
    store: ZarrStore, variable: str, device: torch.device | str, mode: Mode = "auto", memory_bytes: int | None = None
) -> dict[str, Any]:
    """`mode` and `memory_bytes` for `open_windows` in place of "auto" and None, which ask the machine.

    The order of the windows follows from them: processes of one training, and one that is resumed, need the same.
    """
    array = _array(store, variable)
    if mode == "memory" or (mode == "auto" and _place(array, torch.device(device), memory_bytes)):
        return {"mode": "memory"}
    return {"mode": "stream", "memory_bytes": memory_bytes or min(STREAMING, available_memory())}


def _array(store: ZarrStore, name: str) -> zarr.Array[Any]:
    return zarr.open_array(store, path=name, mode="r")


def _place(array: zarr.Array[Any], device: torch.device, memory_bytes: int | None) -> torch.device | None:
    """Where the array is kept: on a GPU that has room, else in the memory of the machine, else nowhere."""
    size = 4 * array.size
    if device.type == "cuda" and size <= min(available_memory(device), memory_bytes or size):
        return device
    return HOST if size <= (memory_bytes or available_memory()) else None


def _preloaded(array: zarr.Array[Any], normalization: Normalization, place: torch.device) -> Tensor:
    """The array normalised, [member, time, channel, *grid]; a shard at a time, so that there are no two copies."""
    reader, shards = Reader(array, normalization), array.shards or array.chunks
    blocks = Blocks((array.shape[0], array.shape[1]), (shards[0], shards[1]), length=1)
    # numpy says it when there is no memory, torch says it on a GPU
    host = place.type == "cpu"
    held = torch.from_numpy(np.empty(array.shape, np.float32)) if host else torch.empty(array.shape, device=place)
    for block in range(len(blocks.windows)):
        region = blocks.region(block)
        part = held[region] if host else torch.empty_like(held[region], device=HOST)
        reader.into(region, part.numpy())
        if not host:
            held[region] = part
    return held
