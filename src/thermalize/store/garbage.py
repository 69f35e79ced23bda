"""Stores at URLs that no manifest names: a list beside the manifest, until they are deleted.

A store is on the list before its first file is sent, and again before its manifest is replaced; all but the one that
the manifest names are deleted once there is a new one. So neither a kill in between nor a place that cannot be reached
at that moment leaves data behind that nobody remembers. The list is only a reminder: what it names is deleted where
that is a place of stores of the same manifest and holds one of ours; anything else is left, and named once.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from thermalize.runtime.errors import UserError
from thermalize.runtime.files import read_json, remove, write_text
from thermalize.store.home import Home, holds_store
from thermalize.store.location import delete

__all__ = ["clear_garbage", "note_garbage"]


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
    return store.with_name(f".{store.name.removesuffix('.partial')}.garbage")


def _read(path: Path) -> list[str]:
    found = read_json(path)
    return [url for url in found if isinstance(url, str)] if isinstance(found, list) else []
