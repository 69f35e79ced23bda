"""Stores at URLs that no manifest names any more, or soon will not: a list beside the manifest, until they are deleted.

A store is put on the list before its manifest is replaced and deleted once the new manifest is there, so that neither a
kill in between nor a place that cannot be reached at that moment leaves data behind that nobody remembers.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from thermalize.errors import UserError
from thermalize.store.atomic import write_text
from thermalize.store.place import delete, elsewhere

__all__ = ["clear", "note"]


def note(store: Path, urls: Iterable[str]) -> None:
    """Put stores on the list of `<name>.zarr`, or of its `.partial`."""
    known = _read(_list_of(store))
    merged = list(dict.fromkeys([*known, *urls]))
    if merged != known:
        write_text(_list_of(store), json.dumps(merged))


def clear(store: Path, current: str | None) -> None:
    """Delete all stores of the list but the current one; one that cannot be deleted now is tried again next time."""
    left = []
    for url in _read(_list_of(store)):
        if url == current:
            continue
        try:
            delete(elsewhere(url))
        except UserError as error:
            left.append(url)
            print(f"The outdated store was not deleted: {error}", file=sys.stderr, flush=True)
    if left:
        write_text(_list_of(store), json.dumps(left))
    else:
        _list_of(store).unlink(missing_ok=True)


def _list_of(store: Path) -> Path:
    return store.with_name(f".{store.name.removesuffix('.partial')}.outdated")


def _read(path: Path) -> list[str]:
    with suppress(FileNotFoundError, ValueError):
        return [str(url) for url in json.loads(path.read_text(encoding="utf-8"))]
    return []
