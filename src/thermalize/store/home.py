"""Which stores at URLs are ours to read and to delete: those below a place that the user named, and no others.

A manifest or a list that names a URL may come from somebody else. What they name is reached only where it
lies below the `storage` of the configuration, or below one of the URLs, separated by spaces, in the environment
variable `THERMALIZE_STORAGE`: both are the user's own words. It is deleted only where it has, below one of these, the
very place that a store of the same manifest has, and holds one.

    <storage>/<experiment>/<folder>/<name>-<12 hexadecimal digits>.zarr
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from upath import UPath

from thermalize.config.texts import url_fault
from thermalize.runtime.errors import UserError
from thermalize.store.location import elsewhere, listing, reaching
from thermalize.store.ours import strangers

__all__ = ["FURTHER", "Home", "StrangerError", "holds_store", "named_place"]

FURTHER = "THERMALIZE_STORAGE"
NAME = re.compile(r"(?P<stem>[^/\\]+)-[0-9a-f]{12}\.zarr")
LOCAL = ("file", "local")
METADATA_BYTES = 1 << 24


@dataclass(frozen=True)
class Home:
    """Where the stores of one manifest lie at URLs.

    Args:
        storage: as configured; None where stores lie beside their manifests.
        name: of the manifest below the folder of all results, `<experiment>/simulation/train.manifest.json`.
    """

    storage: str | None
    name: Path

    @property
    def stem(self) -> str:
        return self.name.name.removesuffix(".manifest.json")

    def place(self, fingerprint: str) -> UPath | None:
        """Where a new store is to lie; None for beside its manifest.

        There no store can take the place of another, so each has a place of its own, named by what it was made from.
        """
        if self.storage is None:
            return None
        return elsewhere(self.storage) / self.name.parent.as_posix() / f"{self.stem}-{fingerprint[:12]}.zarr"

    def owned(self, url: str) -> UPath | None:
        """The place of a URL, if it is one where stores of this manifest lie."""
        for root in _roots(self.storage):
            folder, _, last = url.rpartition("/")
            form = NAME.fullmatch(last)
            if form and form["stem"] == self.stem and folder == f"{root}/{self.name.parent.as_posix()}":
                return _within(url, root)
        return None


class StrangerError(UserError):
    """A file names a place that the user never named."""


def named_place(url: str, storage: str | None, folder: Path) -> UPath:
    """The place of a store that a manifest in `folder` names.

    Raises:
        StrangerError: it does not lie below `storage` or a place that the environment names; nothing was asked of it.
    """
    fault = url_fault(url)
    if fault is None and NAME.fullmatch(url.rpartition("/")[2]):
        for root in _roots(storage):
            if (found := _within(url, root)) is not None:
                return found
    where = "no storage is configured" if storage is None else f"the configured storage is {storage}"
    raise StrangerError(
        f"A manifest in {folder} says that its store lies at {_shown(url)}, but {where}; if you trust that place, name "
        f"it as `storage` or in the environment variable {FURTHER}, else delete the manifest and make the store again"
    )


def holds_store(place: UPath) -> bool:
    """Whether a place that answers holds a store of ours and nothing else, or nothing at all."""
    names = listing(place)
    if not names:
        return True
    found = names.get("zarr.json", {}).get("size", METADATA_BYTES)
    if strangers(names) or found >= METADATA_BYTES:
        return False
    with reaching(place), suppress(ValueError, RecursionError, AttributeError):
        metadata = json.loads((place / "zarr.json").read_bytes())
        return metadata.get("node_type") == "group" and "variable" in metadata["attributes"]
    return False


def _roots(storage: str | None) -> list[str]:
    named = [*([] if storage is None else [storage]), *os.environ.get(FURTHER, "").split()]
    return [str(elsewhere(each)).rstrip("/") for each in named if url_fault(each) is None]


def _within(url: str, root: str) -> UPath | None:
    """The place of the URL if it lies below the root as it is written, and on this machine in truth."""
    if not url.startswith(f"{root}/") or {"", ".", ".."} & set(url.removeprefix(f"{root}/").split("/")):
        return None
    place = elsewhere(url)
    if url.partition("://")[0] in LOCAL:
        path, within = Path(place.path), Path(elsewhere(root).path).resolve()
        if path.is_symlink() or not path.resolve().is_relative_to(within):
            return None
    return place


def _shown(url: str) -> str:
    return url if url_fault(url) is None and url.isprintable() and len(url) < 300 else "something that is no URL"
