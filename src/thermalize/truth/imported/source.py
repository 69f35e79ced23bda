"""An imported split as `simulate` sees it, and the contents of its files by which it is known.

Contents of the source files as SHA-256: what a store was made from is told by what was in the files.

Size and time of change alone would make the same data another truth after a copy, and with it every model trained on
it. Reading terabytes at every call would cost more than the import. So contents are digested once and kept in a small
file beside the stores together with size and time of change, which only say when to look at the contents again.

At a URL a digest of the contents would double what has to be sent. There the names and sizes of all objects count, and
the checksums that the provider lists with them, or the times of change where it lists none.

What `simulate` asks of an imported split: its layout, its shards and what it was made from.

A row of the store is a run of frames of one member; a task copies one block of rows, shard by shard, so that memory
does not grow with the size of the files. Dask distributes the blocks. Within one, files are sliced as xarray opens
them: a Dask array would read whole chunks of the file where a slice is asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from upath import UPath

from thermalize import __version__
from thermalize.config import Experiment, ImportConfig
from thermalize.config.base import SplitName
from thermalize.runtime.errors import UserError
from thermalize.runtime.files import exclusive, explaining, read_json, write_text
from thermalize.store.fingerprint import fingerprint
from thermalize.store.layout import Layout, inner_chunk
from thermalize.store.location import Place, listing
from thermalize.store.location import digests as digests_of
from thermalize.truth.imported.archive import Archive, survey
from thermalize.truth.imported.copies import refuse_copies
from thermalize.truth.imported.patterns import contents, stamp
from thermalize.truth.imported.splits import Row, rows, spans
from thermalize.truth.simulated import FIRST_MEMBER

__all__ = ["CACHE", "Imported", "digests", "imported"]

CACHE = ".sources.json"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
VERSIONS = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "mtime")
"""What providers list of an object, the best first."""


def digests(paths: Sequence[Place], folder: Path) -> dict[Place, str]:
    """SHA-256 of every file, or of all files of a Zarr store; those known from before are looked up in `folder`."""
    cache = folder / CACHE
    with explaining(cache), exclusive(cache):
        known = _read(cache)
        found = {str(path): _entry(path, known.get(str(path), {})) for path in paths}
        if any(known.get(name) != entry for name, entry in found.items()):
            write_text(cache, json.dumps({**known, **found}, indent=1))
    return {path: found[str(path)]["digest"] for path in paths}


def _read(cache: Path) -> dict[str, Any]:
    known = read_json(cache)
    whole = isinstance(known, dict) and all(isinstance(entry, dict) for entry in known.values())
    return known if whole else {}


def _entry(path: Place, known: dict[str, str]) -> dict[str, str]:
    if isinstance(path, UPath):
        return {"digest": _listed(path)}
    now = stamp([path])
    if known.get("stamp") == now and DIGEST.fullmatch(str(known.get("digest"))):
        return {"stamp": now, "digest": known["digest"]}
    if not path.is_dir():
        return {"stamp": now, "digest": digests_of(path.parent, [path.name])[path.name]}
    each = digests_of(path, [file.relative_to(path).as_posix() for file in contents(path)])
    return {"stamp": now, "digest": f"sha256:{sha256(json.dumps(each, sort_keys=True).encode()).hexdigest()}"}


def _listed(path: UPath) -> str:
    digest = sha256()
    for name, info in listing(path).items():
        version = next((info[key] for key in VERSIONS if info.get(key) is not None), "")
        digest.update(f"{name}:{info['size']}:{version}\n".encode())
    return f"listing:{digest.hexdigest()}"


APART = {"source", "files", "split", "gap", "splits", "spin_up", "unusual", "dask"}
"""Settings whose effect on a split is in its pieces of files, or that have none."""


@dataclass(frozen=True)
class Imported:
    """A split of the user's own trajectories."""

    config: ImportConfig
    split: SplitName
    archive: Archive
    chosen: tuple[Row, ...]
    digests: dict[Place, str]

    @property
    def blocks(self) -> int:
        return -(-len(self.chosen) // self.config.block)

    def rows(self, block: int) -> slice:
        """Where a block lies along the member axis of the store."""
        return slice(block * self.config.block, min((block + 1) * self.config.block, len(self.chosen)))

    def shards(self, block: int) -> Iterator[tuple[slice, slice, np.ndarray]]:
        """The shards of a block: rows, index range along time, values [row, frame, channel, *grid]."""
        rows, frames = self.rows(block), self.config.splits[self.split].frames
        before: list[np.ndarray | None] = [None] * len(self.chosen[rows])
        for start in range(0, frames, self.config.shard_frames):
            stop = min(start + self.config.shard_frames, frames)
            each = zip(self.chosen[rows], before, strict=True)
            values = np.stack([self.archive.frames(row, start, stop, last) for row, last in each])
            yield rows, slice(start, stop), values
            before = [row[-1].copy() for row in values]

    def made_from(self, code: str) -> str:
        """Fingerprint of all that the bits depend on: files, their contents and frames of them, names and units.

        The folder of a file does not count, but its name does, because the store says it.
        """
        whole = [self.archive.pieces(row, 0, row.frames) for row in self.chosen]
        pieces = [[(p.path.name, self.digests[p.path], p.member, p.start, p.frames) for p in row] for row in whole]
        settings = self.config.model_dump(mode="json", exclude=APART)
        return fingerprint("import", settings, self.split, pieces, list(self.archive.begins), code)

    @property
    def layout(self) -> Layout:
        """The store: a shard is a block of rows × `shard_frames`."""
        config, form = self.config, self.archive.form
        frames = config.splits[self.split].frames
        shard = (config.block, min(config.shard_frames, frames))
        frame_bytes = 4 * len(form.channels) * prod(len(axis) for axis in form.axes.values())
        return Layout(
            variable=config.variable,
            long_name=form.long_name,
            units=config.units,
            channels=form.channels,
            axes=form.axes,
            axis_units=form.axis_units,
            members=FIRST_MEMBER[self.split] + np.arange(len(self.chosen)),
            time=config.frame_interval * np.arange(frames),
            time_units=config.time_units,
            shard=shard,
            chunk=inner_chunk(shard, frame_bytes),
            attributes=self._attributes(),
        )

    def _attributes(self) -> dict[str, Any]:
        config, form = self.config, self.archive.form
        return {
            "title": f"{form.long_name}: {self.split} members",
            "equation": "not known: imported data",
            "system": json.dumps(config.identity),
            "split": self.split,
            "frame_interval": config.frame_interval,
            "source_files": [path.name for path in self.digests],
            "source_digests": [*self.digests.values()],
            "source_variables": [*(config.channels or {config.variable: config.variable}).values()],
            "source_dims": config.dims.model_dump(exclude_none=True),
            **({"source_cell_methods": form.cell_methods} if form.cell_methods else {}),
            "first_time": [self.archive.begin(row) for row in self.chosen],
            "first_time_units": f"{config.time_units} since {form.reference}" if form.reference else config.time_units,
            "code_version": __version__,
        }


def imported(experiment: Experiment, config: ImportConfig, split: str, folder: Path) -> Imported:
    """Check all files and choose the frames of a split.

    Args:
        experiment: whose networks must fit the grid.
        config: `experiment.simulation`.
        split: "train", "valid" or "test".
        folder: where the digests of the files are kept.

    Raises:
        UserError: there is no such split; or whatever `survey`, the splits or the networks find wrong.
    """
    name = next((each for each in config.splits if each == split), None)
    if name is None:
        raise UserError(f"There is no split {split!r}; the splits are {', '.join(config.splits)}")
    archive = survey(config)
    if fault := experiment.grid_fault(tuple(len(axis) for axis in archive.form.axes.values())):
        raise UserError(fault)
    chosen = rows(config, archive.lengths)
    refuse_copies(archive, [row for each in chosen.values() for row in each])
    for row in spans(chosen[name]):
        archive.look(row)
    used = dict.fromkeys(piece.path for row in chosen[name] for piece in archive.pieces(row, 0, row.frames))
    return Imported(config, name, archive, chosen[name], digests([*used], folder))
