"""Which blocks of an unfinished store are done, so that a killed run loses no more than the blocks it was working on.

    <name>.zarr.partial           metadata and whole shards, on this machine; renamed once all are there
    <name>-<fingerprint>.zarr     the same at a URL, in its final place: nobody reads it before it has a manifest
    <name>.zarr.partial.blocks/   what is being made, and one small file per finished block

The record of a block holds digest and size of each of its shards, as they were before they were written, and a digest
of itself. A block counts as done only while its record is whole, of our fingerprint and about just its own shards, and
these are as recorded: on this machine by their digests, at a URL by the sizes that the provider lists. Whatever else is
found is not used: the run says so, and makes that block again, or all where fingerprint or place are not ours.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Collection
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from upath import UPath

from thermalize.runtime.errors import UserError
from thermalize.runtime.files import read_bytes, read_json, remove, write_bytes, write_text
from thermalize.store.garbage import note_garbage
from thermalize.store.layout import Files, Layout, create, write
from thermalize.store.location import Place, digest_of, digests, sizes
from thermalize.store.ours import RECORDS, discard, is_folder, refuse_strangers, unlink_links

__all__ = ["BlockLog", "say"]

Notes = dict[str, Any]


class BlockLog:
    """The record of one unfinished store.

    Args:
        partial: path of an unfinished store on this machine, `<name>.zarr.partial`; the record lies beside it.
        fingerprint: of everything its contents depend on.
        final: place of the finished store; one at a URL is written there.
    """

    def __init__(self, partial: Path, fingerprint: str, final: Place | None = None) -> None:
        self.partial, self.fingerprint = partial, fingerprint
        self.place: Place = final if isinstance(final, UPath) else partial
        self.final = final or partial.with_suffix("")
        self.folder = partial.with_name(f"{partial.name}.blocks")
        self._mark = self.folder / "fingerprint"

    @property
    def url(self) -> str | None:
        """Where the store is written, if not on this machine."""
        return str(self.place) if isinstance(self.place, UPath) else None

    def begin(self, layout: Layout) -> None:
        """Take up the unfinished store if it has our fingerprint, else start an empty one.

        Metadata and coordinates are written anew, whatever became of them; so a place that takes nothing is noticed
        before anything is computed.

        Raises:
            UserError: where it or the finished one is to lie there is something else, or nothing can be written.
        """
        refuse_strangers(self.partial.with_suffix(""))
        if not self._ours():
            self._say_discarded()
            self.discard()
        refuse_strangers(self.partial)
        unlink_links(self.partial)
        unlink_links(self.folder)
        if self.url is not None:
            note_garbage(self.partial, [self.url])
        create(self.place, layout)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self._mark, self._marked())

    def write(
        self, layout: Layout, name: str, member: slice, time: slice, values: np.ndarray, allow_nan: bool = False
    ) -> Files:
        """Write whole shards of the array `name`, as `layout.write` does; what it returns is to be recorded."""
        return write(self.place, layout, name, member, time, values, allow_nan)

    def record(self, block: int, files: Files, **notes: Any) -> None:
        """The shards of a block are written; keep `notes`, JSON values, with it."""
        entry = {"fingerprint": self.fingerprint, "block": block, "files": files, "notes": notes}
        entry["digest"] = _own_digest(entry)
        write_text(self._entry(block), json.dumps(entry, indent=1, allow_nan=False))

    def done(self, block: int, names: Collection[str], fits: Callable[[Notes], bool] | None = None) -> bool:
        """Whether a block is recorded and its shards have not changed since.

        Args:
            block: its number.
            names: the shards that it consists of.
            fits: whether notes are what this block keeps.
        """
        if not os.path.lexists(self._entry(block)):
            return False
        files, notes = self._read(block) or ({}, {})
        if files and set(files) == set(names) and (fits is None or fits(notes)) and self._intact(files):
            return True
        say(f"{self._entry(block)}, or a file that it tells of, is damaged or not of this run; it is made again.")
        remove(self._entry(block))
        return False

    def entry(self, block: int) -> tuple[Files, Notes]:
        """Shards and notes as recorded.

        Raises:
            UserError: there is no record of this block for our fingerprint.
        """
        entry = self._read(block)
        if entry is None:
            raise UserError(f"{self._entry(block)} is missing or damaged; run the same command again")
        return entry

    def files(self, blocks: int) -> Files:
        """The shards of the first so many blocks."""
        return {name: known for block in range(blocks) for name, known in self.entry(block)[0].items()}

    def keep(self, name: str, data: bytes) -> str:
        """Keep what is needed to go on after a block; returns its digest, to be recorded with the block."""
        write_bytes(self.folder / name, data)
        return digest_of(data)

    def kept(self, name: str, digest: object, size: int) -> bytes | None:
        """What was kept by that name, if it has at most so many bytes and is as it was."""
        data = read_bytes(self.folder / name, size)
        return data if data is not None and digest_of(data) == digest else None

    def discard(self) -> None:
        """Delete the record, the fingerprint first so that no half can be taken up, and what lies on this machine.

        What lies at a URL is on the list of garbage, and goes once there is a finished store.
        """
        if is_folder(self.folder):
            remove(self._mark)
        discard(self.folder, RECORDS)
        discard(self.partial)

    def _ours(self) -> bool:
        there = is_folder(self.folder) and (self.url is not None or is_folder(self.partial))
        return there and read_bytes(self._mark) == self._marked().encode()

    def _marked(self) -> str:
        return self.fingerprint if self.url is None else f"{self.fingerprint} {self.url}"

    def _say_discarded(self) -> None:
        for path in (self.partial, self.folder):
            if os.path.lexists(path):
                say(
                    f"{path} is left of a run with another configuration, data or code, or is damaged; "
                    "it is discarded, and this one begins anew."
                )
                return

    def _intact(self, files: Files) -> bool:
        if isinstance(self.place, UPath):
            return all(self._sizes.get(name) == size for name, (_, size) in files.items())
        try:
            return digests(self.place, files) == {name: digest for name, (digest, _) in files.items()}
        except OSError:
            return False

    @cached_property
    def _sizes(self) -> dict[str, int]:
        """Looked at once: whether blocks are done is asked before anything is written."""
        return sizes(self.place)

    def _read(self, block: int) -> tuple[Files, Notes] | None:
        entry = read_json(self._entry(block))
        if not isinstance(entry, dict) or entry.get("digest") != _own_digest(entry):
            return None
        files, notes = entry.get("files"), entry.get("notes")
        if not isinstance(files, dict) or not isinstance(notes, dict):
            return None
        whole = all(isinstance(each, list) and [*map(type, each)] == [str, int] for each in files.values())
        ours = (entry.get("fingerprint"), entry.get("block")) == (self.fingerprint, block)
        return ({name: (digest, size) for name, (digest, size) in files.items()}, notes) if whole and ours else None

    def _entry(self, block: int) -> Path:
        return self.folder / f"block-{block:04d}.json"


def say(sentence: str) -> None:
    """Tell the user what was not taken up."""
    print(sentence, file=sys.stderr, flush=True)


def _own_digest(entry: dict[str, Any]) -> str:
    rest = {key: value for key, value in entry.items() if key != "digest"}
    return digest_of(json.dumps(rest, sort_keys=True).encode())
