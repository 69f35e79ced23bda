"""Which blocks of an unfinished store are done, so that a killed run loses no more than the blocks it was working on.

Beside `<name>.zarr.partial` lies `<name>.zarr.partial.blocks/`: the fingerprint of what is being made, and one small
file per finished block with the digests of its shards. A block counts as done only while its shards still have these
digests; shards without a record are overwritten, and an unfinished store of another fingerprint is thrown away.
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from thermalize.errors import UserError
from thermalize.store.atomic import remove, write_text
from thermalize.store.draft import draft_at
from thermalize.store.layout import Layout, create
from thermalize.store.place import Place

__all__ = ["Ledger"]


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
        """Take up the unfinished store if it has our fingerprint, else start an empty one."""
        if not self._ours():
            self.discard()
        with TemporaryDirectory() as scratch:
            # metadata and coordinates anew, whatever became of them; finished shards stay
            skeleton = Path(scratch, self.partial.name)
            create(skeleton, layout)
            shutil.copytree(skeleton, self.partial, dirs_exist_ok=True)
        self.draft.begin()
        self.folder.mkdir(exist_ok=True)
        write_text(self._mark, self.fingerprint)

    def record(self, block: int, names: list[str], **notes: Any) -> None:
        """The shards `names` (relative to the store) of a block are written; keep `notes`, JSON values, with it."""
        entry = {"fingerprint": self.fingerprint, "digests": self.draft.digests(names), "notes": notes}
        write_text(self._entry(block), json.dumps(entry, indent=1, allow_nan=False))

    def done(self, block: int) -> bool:
        """Whether a block is recorded and its shards have not changed since."""
        try:
            known = self.entry(block)["digests"]
        except UserError:
            return False
        return self.draft.intact(known)

    def entry(self, block: int) -> dict[str, Any]:
        """{"digests": …, "notes": …} as recorded.

        Raises:
            UserError: there is no record of this block for our fingerprint.
        """
        path = self._entry(block)
        with suppress(FileNotFoundError, ValueError, TypeError):
            entry = json.loads(path.read_text(encoding="utf-8"))
            if set(entry) == {"fingerprint", "digests", "notes"} and entry["fingerprint"] == self.fingerprint:
                return dict(entry)
        raise UserError(f"{path} is missing or damaged; run the same command again")

    def discard(self) -> None:
        """Delete the unfinished store and its record, the fingerprint first so that no half of them can be taken up."""
        for path in (self._mark, self.folder):
            remove(path)
        self.draft.discard()

    def _ours(self) -> bool:
        try:
            return self._mark.read_text(encoding="utf-8") == self.fingerprint
        except (FileNotFoundError, ValueError):
            return False

    def _entry(self, block: int) -> Path:
        return self.folder / f"block-{block:04d}.json"
