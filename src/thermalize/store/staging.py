"""Stores that are not finished yet, and stores at URLs that nobody needs any more.

Stores at URLs that no manifest names any more, or soon will not: a list beside the manifest, until they are deleted.

A store is put on the list before its manifest is replaced and deleted once the new manifest is there, so that neither a
kill in between nor a place that cannot be reached at that moment leaves data behind that nobody remembers. The list is
only a reminder: what it names is deleted where that is a place of stores of the same manifest and holds one of ours;
anything else is left, and named once.

An unfinished store, and how it gets to its final place.

    Draft        <name>.zarr.partial on this machine is renamed to <name>.zarr once it is whole
    RemoteDraft  shards are written to <name>.zarr.partial too, but each is then sent to its final place at a URL, which
                 nobody reads before there is a manifest, and deleted here

For what was sent there is a receipt with its size and digest in `<name>.zarr.partial.sent/`, written once it has
arrived. Nothing counts as sent but what the provider lists with the size of its receipt.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from upath import UPath

from thermalize.runtime.errors import UserError
from thermalize.runtime.files import read_bytes, read_json, remove, write_text
from thermalize.store import shards
from thermalize.store.home import Home, holds_store
from thermalize.store.location import Place, delete, listing, upload
from thermalize.store.ours import RECEIPTS, discard, is_folder, unlink_links
from thermalize.store.shards import Region

__all__ = ["Draft", "RemoteDraft", "clear_garbage", "draft_at", "note_garbage"]


def note_garbage(store: Path, urls: Iterable[str]) -> None:
    """Put stores on the list of `<name>.zarr`, or of its `.partial`."""
    known = _read(_list_of(store))
    merged = list(dict.fromkeys([*known, *urls]))
    if merged != known:
        write_text(_list_of(store), json.dumps(merged))


def clear_garbage(store: Path, current: str | None, home: Home | None) -> None:
    """Delete all stores of the list but the current one; one that cannot be deleted now is tried again next time."""
    left = []
    for url in _read(_list_of(store)):
        if url == current:
            continue
        try:
            _delete(url, home, _list_of(store))
        except UserError as error:
            left.append(url)
            print(f"The outdated store was not deleted: {error}", file=sys.stderr, flush=True)
    if left:
        write_text(_list_of(store), json.dumps(left))
    else:
        remove(_list_of(store))


def _delete(url: str, home: Home | None, named_by: Path) -> None:
    place = None if home is None else home.owned(url)
    if place is None or not holds_store(place):
        print(
            f"{named_by} names {url[:300]!r} to be deleted, which is no store of this manifest below the configured "
            "storage; it was left where it is",
            file=sys.stderr,
            flush=True,
        )
        return
    delete(place)


def _list_of(store: Path) -> Path:
    return store.with_name(f".{store.name.removesuffix('.partial')}.outdated")


def _read(path: Path) -> list[str]:
    found = read_json(path)
    return [url for url in found if isinstance(url, str)] if isinstance(found, list) else []


def draft_at(partial: Path, final: Place | None = None) -> Draft:
    """The unfinished store in the folder `partial` that will lie at `final`; beside it when that is left out."""
    return RemoteDraft(partial, final) if isinstance(final, UPath) else Draft(partial)


class Draft:
    """An unfinished store that stays on this machine.

    Args:
        partial: its folder, `<name>.zarr.partial`.
    """

    def __init__(self, partial: Path) -> None:
        self.partial = partial
        self.receipts = partial.with_name(f"{partial.name}.sent")
        self._mark = self.receipts / ".place"

    @property
    def url(self) -> str | None:
        """Where files are sent to."""
        return None

    @property
    def ours(self) -> bool:
        """Whether the files that were sent so far went to the same place."""
        return self._marked() == self.url

    def begin(self) -> None:
        """Metadata and coordinates are written; what was sent to another place before is forgotten."""
        if not self.ours:
            self._forget()

    def keep(self, array: str, within: Region) -> None:
        """The shards of the array in a region are written, and will not change."""

    def digests(self, names: Iterable[str]) -> dict[str, str]:
        """SHA-256 of the named files as they were written; a missing one raises FileNotFoundError."""
        return shards.digests(self.partial, names)

    def intact(self, known: dict[str, str]) -> bool:
        """Whether the files with these digests are there as they were written."""
        try:
            return self.digests(known) == known
        except (FileNotFoundError, NotADirectoryError):
            return False

    def sent(self) -> dict[str, str]:
        """Digests of the files that have arrived at their final place."""
        return {}

    def secure(self) -> dict[str, int] | None:
        """Return once all files of the store are where they survive; sizes in bytes of those that were sent."""
        shards.sync_tree(self.partial)
        return None

    def settle(self, url: str | None) -> None:
        """The store at this URL is finished: what was sent there belongs to it."""
        if url is not None and self._marked() == url:
            discard(self.receipts, RECEIPTS)

    def discard(self) -> None:
        """Delete the unfinished store; what was sent is deleted once the next store is finished."""
        self._forget()
        discard(self.partial)

    def _forget(self) -> None:
        note_garbage(self.partial, [url for url in (self._marked(),) if url])
        discard(self.receipts, RECEIPTS)

    def _marked(self) -> str | None:
        marked = read_bytes(self._mark) if is_folder(self.receipts) else None
        with suppress(UnicodeDecodeError):
            return None if marked is None else marked.decode()
        return None


class RemoteDraft(Draft):
    """An unfinished store of which whole shards are sent to a URL.

    Args:
        partial: the folder of what was not sent yet.
        final: the place of the finished store.
    """

    def __init__(self, partial: Path, final: UPath) -> None:
        super().__init__(partial)
        self.final = final

    @property
    def url(self) -> str:
        return str(self.final)

    def begin(self) -> None:
        """The same; the first file is sent, so that a place that takes none is noticed before anything is computed."""
        super().begin()
        self.receipts.mkdir(exist_ok=True)
        unlink_links(self.receipts)
        write_text(self._mark, self.url)
        upload(self.partial / "zarr.json", self.final / "zarr.json")

    def keep(self, array: str, within: Region) -> None:
        """The shards of the array in a region are sent, and deleted here."""
        for name in shards.within(self.partial, array, within):
            self._send(name)
            remove(self.partial / name)

    def digests(self, names: Iterable[str]) -> dict[str, str]:
        return {name: self._receipt(name)["digest"] for name in names}

    def intact(self, known: dict[str, str]) -> bool:
        return known.items() <= self._sent.items()

    def sent(self) -> dict[str, str]:
        return self._sent

    def secure(self) -> dict[str, int]:
        """Send what is still here, delete whatever does not belong to the store, and compare sizes with the listing."""
        names = shards.files(self.partial)
        for name in names:
            if (self.partial / name).is_file():
                self._send(name)
        expected = {name: int(self._receipt(name)["size"]) for name in names}
        found = _sizes(self.final)
        for name in found.keys() - expected.keys():
            delete(self.final / name)
        for name, size in expected.items():
            if found.get(name) != size:
                raise UserError(f"{self.final / name} did not arrive as it was sent; run the same command again")
        return expected

    @cached_property
    def _sent(self) -> dict[str, str]:
        """Looked at once: a draft is asked for it before anything is written, or when all is written."""
        found = {}
        for name, size in _sizes(self.final).items():
            with suppress(FileNotFoundError):
                receipt = self._receipt(name)
                if receipt["size"] == size:
                    found[name] = str(receipt["digest"])
        return found

    def _send(self, name: str) -> None:
        source, receipt = self.partial / name, self.receipts / name
        entry = {"digest": shards.digests(self.partial, [name])[name], "size": source.stat().st_size}
        remove(receipt)
        upload(source, self.final / name)
        receipt.parent.mkdir(parents=True, exist_ok=True)
        write_text(receipt, json.dumps(entry))

    def _receipt(self, name: str) -> dict[str, Any]:
        path = self.receipts / name
        entry = read_json(path)
        with suppress(ValueError, TypeError, KeyError):
            return {"digest": str(entry["digest"]), "size": int(entry["size"])}
        raise FileNotFoundError(f"{path} is damaged")


def _sizes(root: UPath) -> dict[str, int]:
    return {name: int(info["size"]) for name, info in listing(root).items()}
