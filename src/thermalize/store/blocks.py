"""Which blocks of an unfinished store are done, so that a killed run loses no more than the blocks it was working on.

Beside `<name>.zarr.partial` lies `<name>.zarr.partial.blocks/`: the fingerprint of what is being made, and one small
file per finished block with the digests of its shards, and with a digest of itself. A block counts as done only while
its record is whole, of our fingerprint and about just its own shards, and these still have their digests. Whatever
else is found is not used: the run says so, and makes that block again, or all where the fingerprint is not ours.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Collection
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from thermalize.runtime.errors import UserError
from thermalize.runtime.files import read_bytes, read_json, remove, write_bytes, write_text
from thermalize.store.layout import Layout, create
from thermalize.store.location import Place
from thermalize.store.ours import RECORDS, discard, is_folder, refuse_strangers, unlink_links
from thermalize.store.staging import draft_at

__all__ = ["Ledger", "say"]

Notes = dict[str, Any]


class Ledger:
    """The record of one unfinished store.

    Args:
        partial: path of the unfinished store, `<name>.zarr.partial`.
        fingerprint: of everything its contents depend on.
        final: place of the finished store, where that is not beside the unfinished one.
    """

    def __init__(self, partial: Path, fingerprint: str, final: Place | None = None) -> None:
        self.partial, self.fingerprint, self.final = partial, fingerprint, final
        self.draft = draft_at(partial, final)
        self.folder = partial.with_name(f"{partial.name}.blocks")
        self._mark = self.folder / "fingerprint"

    def begin(self, layout: Layout) -> None:
        """Take up the unfinished store if it has our fingerprint, else start an empty one.

        Raises:
            UserError: where it or the finished one is to lie there is something else.
        """
        refuse_strangers(self.partial.with_suffix(""))
        if not self._ours():
            self._say_discarded()
            self.discard()
        refuse_strangers(self.partial)
        unlink_links(self.partial)
        unlink_links(self.folder)
        with TemporaryDirectory() as scratch:
            # metadata and coordinates anew, whatever became of them; finished shards stay
            skeleton = Path(scratch, self.partial.name)
            create(skeleton, layout)
            for source in sorted(path for path in skeleton.rglob("*") if path.is_file()):
                target = self.partial / source.relative_to(skeleton)
                target.parent.mkdir(parents=True, exist_ok=True)
                write_bytes(target, source.read_bytes())
        self.folder.mkdir(exist_ok=True)
        self.draft.begin()
        write_text(self._mark, self.fingerprint)

    def record(self, block: int, names: Collection[str], **notes: Any) -> None:
        """The shards `names` (relative to the store) of a block are written; keep `notes`, JSON values, with it."""
        entry = {
            "fingerprint": self.fingerprint,
            "block": block,
            "digests": self.draft.digests(names),
            "notes": notes,
        }
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
        entry = self._read(block)
        known = {} if entry is None else entry["digests"]
        if entry and set(known) == set(names) and (fits is None or fits(entry["notes"])) and self.draft.intact(known):
            return True
        say(f"{self._entry(block)}, or a file that it tells of, is damaged or not of this run; it is made again.")
        remove(self._entry(block))
        return False

    def entry(self, block: int) -> dict[str, Any]:
        """{"digests": …, "notes": …} as recorded.

        Raises:
            UserError: there is no record of this block for our fingerprint.
        """
        entry = self._read(block)
        if entry is None:
            raise UserError(f"{self._entry(block)} is missing or damaged; run the same command again")
        return entry

    def keep_state(self, block: int, data: bytes) -> str:
        """Keep what is needed to go on after a block; returns its digest, to be recorded with the block."""
        write_bytes(self._state(block), data)
        return digest_of(data)

    def state(self, block: int, digest: object, size: int) -> bytes | None:
        """What was kept for a block, if it has so many bytes and is as it was."""
        data = read_bytes(self._state(block), size)
        return data if data is not None and digest_of(data) == digest else None

    def discard(self) -> None:
        """Delete the unfinished store and its record, the fingerprint first so that no half of them can be taken up."""
        if is_folder(self.folder):
            remove(self._mark)
        discard(self.folder, RECORDS)
        self.draft.discard()

    def _ours(self) -> bool:
        folders = is_folder(self.folder) and is_folder(self.partial)
        return folders and read_bytes(self._mark) == self.fingerprint.encode()

    def _say_discarded(self) -> None:
        if any(os.path.lexists(path) for path in (self.partial, self.folder)):
            say(
                f"{self.partial} is left of a run with another configuration, data or code, or is damaged; "
                "it is discarded, and this one begins anew."
            )

    def _read(self, block: int) -> dict[str, Any] | None:
        entry = read_json(self._entry(block))
        if not isinstance(entry, dict) or not isinstance(entry.get("notes"), dict):
            return None
        whole = entry.get("digest") == _own_digest(entry) and isinstance(entry.get("digests"), dict)
        return entry if whole and (entry.get("fingerprint"), entry.get("block")) == (self.fingerprint, block) else None

    def _entry(self, block: int) -> Path:
        return self.folder / f"block-{block:04d}.json"

    def _state(self, block: int) -> Path:
        return self.folder / f"state-{block:04d}.safetensors"


def say(sentence: str) -> None:
    """Tell the user what was not taken up."""
    print(sentence, file=sys.stderr, flush=True)


def digest_of(data: bytes) -> str:
    """SHA-256 as "sha256:…"."""
    return f"sha256:{sha256(data).hexdigest()}"


def _own_digest(entry: dict[str, Any]) -> str:
    rest = {key: value for key, value in entry.items() if key != "digest"}
    return digest_of(json.dumps(rest, sort_keys=True).encode())
