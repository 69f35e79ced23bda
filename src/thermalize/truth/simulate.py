"""Ensembles into a store: member block by member block, as independent tasks.

    u_m(0)  →  spin-up  →  frames every `frame_interval`  →  shards  →  sealed store and manifest
    the user's own files  →  frames of their members      →  shards  →  sealed store and manifest

One task integrates (or reads) one block of members and streams its frames into the block's own shard files, so memory
does not grow with the number of frames, and neither the worker count nor the order of the blocks touches a bit of the
result. A finished block is recorded; the same call after a kill repeats only the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import reduce
from math import prod
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from thermalize.config import DaskConfig, Experiment, ImportConfig
from thermalize.runtime.errors import UserError
from thermalize.runtime.files import exclusive, explaining
from thermalize.runtime.progress import track_blocks
from thermalize.store.blocks import BlockLog
from thermalize.store.fingerprint import code_of, fingerprint
from thermalize.store.home import Home
from thermalize.store.layout import Files, Layout
from thermalize.store.location import Place
from thermalize.store.manifest import Manifest, completed, partial_path, seal, store_path
from thermalize.store.results import Results
from thermalize.truth import runs, unused
from thermalize.truth.cluster import each, refuse_within_worker, stopping_on_sigterm
from thermalize.truth.imported.source import imported
from thermalize.truth.moments import Moments
from thermalize.truth.simulated import Ensemble, device_of

__all__ = ["Block", "integrate", "simulate"]


class Source(Protocol):
    """Where the trajectories of a split come from, in blocks that do not depend on each other."""

    @property
    def layout(self) -> Layout: ...

    @property
    def blocks(self) -> int: ...

    def rows(self, block: int) -> slice: ...

    def shards(self, block: int) -> Iterator[tuple[slice, slice, np.ndarray]]: ...

    def made_from(self, code: str) -> str: ...


@dataclass(frozen=True)
class Block:
    """One task: `simulation.block` members of a split, into their shards of an unfinished store."""

    experiment: Experiment
    split: str
    index: int
    partial: Path
    fingerprint: str
    files: Source | None = None
    """The checked files of an import, which are not looked at again for every block."""
    device: str = "cpu"
    final: Place | None = None
    """Where the store is to lie, if not beside the unfinished one."""

    @property
    def log(self) -> BlockLog:
        return BlockLog(self.partial, self.fingerprint, self.final)

    @property
    def source(self) -> Source:
        return self.files or Ensemble(self.experiment, self.split, self.device)

    @property
    def rows(self) -> slice:
        """Where the block lies along the member axis of the store."""
        return self.source.rows(self.index)


def simulate(
    experiment: Experiment,
    split: str,
    manifest: Path,
    workers: int | None = None,
    code: str | None = None,
    gpus: int | None = None,
) -> Manifest:
    """Make the store of a split, or whatever of it is missing; return at once if it is there.

    Args:
        experiment: the configuration.
        split: "train", "valid" or "test".
        manifest: `…/<name>.manifest.json`; the store becomes `…/<name>.zarr` beside it, or one below `storage`.
        workers: processes on this machine instead of `simulation.dask.workers`.
        code: digest of the code the result depends on, computed from the source when left out.
        gpus: how many the scheduler granted (None: not asked).

    Raises:
        UserError: a GPU is not there, the solution diverges, the disk is full, the folder is read-only, a scheduler
            or a URL does not answer and so on; blocks finished before are kept.
    """
    refuse_within_worker()
    manifest = manifest.absolute()
    source = source_of(experiment, split, manifest.parent, gpus)
    code = code or fingerprint(code_of(__name__, unused(experiment), runs(experiment)))
    layout, key = source.layout, source.made_from(code)
    home = Home(experiment.storage, Results(experiment.name, Path()).simulation(split))
    final = home.place(key) or store_path(manifest)
    log = BlockLog(partial_path(manifest), key, final)
    with stopping_on_sigterm(), explaining(manifest), exclusive(store_path(manifest)):
        record = completed(manifest, key, home)
        if record is None:
            log.begin(layout)
            _integrate_missing(experiment, split, source, log, workers)
            record = _seal(log, source.blocks, home, manifest, layout)
    return record


def source_of(experiment: Experiment, split: str, folder: Path, gpus: int | None = None) -> Source:
    """What a split is made from; `folder` keeps what is known of files."""
    simulation = experiment.simulation
    if isinstance(simulation, ImportConfig):
        return imported(experiment, simulation, split, folder)
    return Ensemble(experiment, split, device_of(simulation, gpus))


def integrate(block: Block) -> int:
    """Integrate or read a block, stream it into its shards and record it; returns its index.

    Raises:
        UserError: the solution diverged, or the disk refused; the message names the members.
    """
    log, layout = block.log, block.source.layout
    if not log.folder.is_dir():
        raise UserError(f"A Dask worker does not see {log.folder}; all workers need the file system of this machine")
    if _is_done(log, layout, block.index, block.rows):  # by a worker that was lost before it could say so
        return block.index
    moments, files = Moments(), Files()
    with _naming(block), explaining(block.partial), _one_thread():
        for rows, time, values in block.source.shards(block.index):
            for frame in range(values.shape[1]):
                moments = moments.merge(Moments.of(values[:, frame]))
            files |= log.write(layout, layout.variable, rows, time, values)
        log.record(block.index, files, moments=moments.to_json())
    return block.index


def _integrate_missing(experiment: Experiment, split: str, source: Source, log: BlockLog, workers: int | None) -> None:
    """Integrate the blocks that are not done."""
    dask, count, layout = experiment.simulation.dask, source.blocks, source.layout
    missing = [index for index in range(count) if not _is_done(log, layout, index, source.rows(index))]
    files, device, steps = (None, source.device, source.steps) if isinstance(source, Ensemble) else (source, "cpu", 1)
    common = (log.partial, log.fingerprint, files, device, log.final)
    tasks = [Block(experiment, split, index, *common) for index in missing]
    with track_blocks(count, steps, f"simulate {split}", done=count - len(tasks)) as bar:
        number = _workers(dask, device, workers)
        results = each(integrate, tasks, number, dask.scheduler, dask.jobqueue, lambda told: bar.reach(*told))
        with closing(results):
            for index in results:
                bar.finish(index)


def _is_done(log: BlockLog, layout: Layout, block: int, rows: slice) -> bool:
    """Whether the record of a block tells of just its shards and of moments that its numbers may have."""
    values = (rows.stop - rows.start) * layout.shape[1] * prod(layout.shape[3:])

    def fits(notes: dict[str, Any]) -> bool:
        try:
            moments = Moments.from_json(notes["moments"])
        except (KeyError, TypeError, ValueError):
            return False
        return moments.count == values and np.shape(moments.mean) == (len(layout.channels),)

    return log.done(block, [name for name, _ in layout.shards(layout.variable, rows)], fits)


def _workers(dask: DaskConfig, device: str, wanted: int | None) -> int:
    """A GPU of this machine has one process; how many are free here does not concern other machines."""
    if dask.elsewhere:
        return dask.workers
    return 1 if device == "cuda" else wanted or dask.workers


def _seal(log: BlockLog, blocks: int, home: Home, manifest: Path, layout: Layout) -> Manifest:
    found = (Moments.from_json(log.entry(block)[1]["moments"]) for block in range(blocks))
    statistics = reduce(Moments.merge, found).statistics()
    _refuse_constant(layout, statistics)
    return seal(log, layout, manifest, log.files(blocks), statistics, home=home)


def _refuse_constant(layout: Layout, statistics: dict[str, list[float]]) -> None:
    """A channel without variance cannot be normalised, and there is nothing to learn in it."""
    for name, mean, std in zip(layout.channels, statistics["mean"], statistics["std"], strict=True):
        if std <= np.finfo(np.float32).eps * abs(mean):
            raise UserError(
                f"The channel {name} of {layout.variable} has the value {mean:g} everywhere in this split; leave it out"
            )


@contextmanager
def _naming(block: Block) -> Iterator[None]:
    """Say which members an error is about; as a plain `UserError` it also survives the way back from a worker."""
    try:
        yield
    except UserError as error:
        first, last = block.rows.start, block.rows.stop - 1
        members = f"members {first} to {last}" if last > first else f"member {first}"
        raise UserError(f"{block.split}, block {block.index} with {members}: {error}") from None


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
