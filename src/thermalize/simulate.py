"""Ensembles into a store: member block by member block, as independent tasks.

    u_m(0)  →  spin-up  →  frames every `frame_interval`  →  shards  →  sealed store and manifest

One task integrates one block of members and streams its frames into the block's own shard files, so memory does not
grow with the number of frames, and neither the worker count nor the order of the blocks touches a bit of the result. A
finished block is recorded; the same call after a kill repeats only the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import reduce
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thermalize.cluster import each, refuse_within_worker, stopping_on_sigterm
from thermalize.config import Experiment
from thermalize.ensemble import layout_of, made_from, split_of, states, windows_per_shard
from thermalize.errors import UserError
from thermalize.progress import track
from thermalize.store.atomic import exclusive, explaining
from thermalize.store.fingerprint import code_digest
from thermalize.store.layout import write
from thermalize.store.ledger import Ledger
from thermalize.store.manifest import Manifest, completed, partial_path, seal, store_path
from thermalize.store.moments import Moments

__all__ = ["CODE", "Block", "integrate", "simulate"]

CODE = (
    "thermalize.device",
    "thermalize.ensemble",
    "thermalize.seeds",
    "thermalize.simulate",
    "thermalize.store",
    "thermalize.systems",
)


@dataclass(frozen=True)
class Block:
    """One task: `simulation.block` members of a split, into their shards of an unfinished store."""

    experiment: Experiment
    split: str
    index: int
    partial: Path
    fingerprint: str

    @property
    def rows(self) -> slice:
        """Where the block lies along the member axis of the store."""
        size = self.experiment.simulation.block * split_of(self.experiment.simulation, self.split).windows
        return slice(self.index * size, (self.index + 1) * size)


def simulate(
    experiment: Experiment, split: str, manifest: Path, workers: int | None = None, code: str | None = None
) -> Manifest:
    """Make the store of a split, or whatever of it is missing; return at once if it is there.

    Args:
        experiment: the configuration.
        split: "train", "valid" or "test".
        manifest: `…/<name>.manifest.json`; the store becomes `…/<name>.zarr` beside it.
        workers: processes on this machine instead of `simulation.dask.workers`.
        code: digest of the code the result depends on, computed from the source when left out.

    Raises:
        UserError: the solution diverges, the disk is full, the folder is read-only, a scheduler does not answer and
            so on; blocks finished before are kept.
    """
    refuse_within_worker()
    manifest = manifest.absolute()
    layout, fingerprint = layout_of(experiment, split), made_from(experiment, split, code or code_digest(*CODE))
    ledger = Ledger(partial_path(manifest), fingerprint)
    with stopping_on_sigterm(), explaining(manifest), exclusive(store_path(manifest)):
        record = completed(manifest, fingerprint)
        if record is None:
            ledger.begin(layout)
            entries = _integrate_missing(experiment, split, ledger, workers)
            record = _seal(ledger, manifest, entries)
        ledger.discard()
    return record


def integrate(block: Block) -> int:
    """Integrate a block, stream it into its shards and record it; returns its index.

    Raises:
        UserError: the solution diverged, or the disk refused; the message names the members.
    """
    if not block.partial.is_dir():
        raise UserError(f"A Dask worker does not see {block.partial}; all workers need the file system of this machine")
    moments, names = Moments(), list[str]()
    variable = layout_of(block.experiment, block.split).variable
    with _naming(block), explaining(block.partial), _one_thread():
        for rows, time, values in _shards(block):
            for frame in range(values.shape[1]):
                moments = moments.merge(Moments.of(values[:, frame]))
            names += write(block.partial, variable, rows, time, values)
        Ledger(block.partial, block.fingerprint).record(block.index, names, moments=moments.to_json())
    return block.index


def _integrate_missing(experiment: Experiment, split: str, ledger: Ledger, workers: int | None) -> list[dict[str, Any]]:
    """Integrate the blocks that are not done; the ledger's entries of all blocks in order."""
    simulation = experiment.simulation
    count = split_of(simulation, split).members // simulation.block
    missing = [index for index in range(count) if not ledger.done(index)]
    tasks = [Block(experiment, split, index, ledger.partial, ledger.fingerprint) for index in missing]
    results = each(integrate, tasks, workers or simulation.dask.workers, simulation.dask.scheduler)
    with track(count, f"simulate {split}", initial=count - len(tasks), unit="block") as bar, closing(results):
        for _ in results:
            bar.update()
    return [ledger.entry(index) for index in range(count)]


def _seal(ledger: Ledger, manifest: Path, entries: list[dict[str, Any]]) -> Manifest:
    moments = reduce(Moments.merge, (Moments.from_json(entry["notes"]["moments"]) for entry in entries))
    digests = {name: digest for entry in entries for name, digest in entry["digests"].items()}
    final = store_path(manifest)
    return seal(ledger.partial, final, manifest, ledger.fingerprint, statistics=moments.statistics(), digests=digests)


def _shards(block: Block) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """The shards of a block as they fill: rows, index range along time, values [row, frame, channel, *grid]."""
    simulation = block.experiment.simulation
    chosen, together = split_of(simulation, block.split), windows_per_shard(simulation, block.split)
    coming = states(block.experiment, block.split, block.index)
    for window in range(0, chosen.windows, together):
        first = block.rows.start + window * simulation.block
        rows = slice(first, first + together * simulation.block)
        for start in range(0, chosen.frames, simulation.shard_frames):
            frames = min(simulation.shard_frames, chosen.frames - start)
            yield rows, slice(start, start + frames), _collect(coming, together, frames)


def _collect(coming: Iterator[Tensor], windows: int, frames: int) -> np.ndarray:
    """The next frames of some windows, [window × member, frame, channel, *grid] in float32."""
    collected: list[np.ndarray] = []
    for _ in range(windows):
        values = np.stack([state.to("cpu", torch.float32).numpy() for state in islice(coming, frames)], axis=1)
        collected.append(values)
    return np.concatenate(collected)


@contextmanager
def _naming(block: Block) -> Iterator[None]:
    """Say which members an error is about; as a plain `UserError` it also survives the way back from a worker."""
    try:
        yield
    except UserError as error:
        first, last = block.rows.start, block.rows.stop - 1
        raise UserError(f"{block.split}, block {block.index} with members {first} to {last}: {error}") from None


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
