"""From an unfinished store to a finished one with a manifest.

Whatever moment it is killed at, a reader finds the old store, no store, or the new one:

    every file there with its size → sync → old manifest away → copy of the new manifest → old store aside → rename →
    manifest → old store deleted

At a URL, where nothing can be renamed, the new store was written to a place of its own, and the manifest alone makes it
one that is read:

    … → old manifest away → copy → manifest → old store deleted

The copy (`.<name>.manifest.json`) lets the next run finish what was interrupted, and recognise a finished store whose
manifest was deleted, as Snakemake does with declared outputs before it runs a rule.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import xarray as xr

from thermalize import __version__
from thermalize.runtime.errors import UserError
from thermalize.runtime.files import remove, sync, write_text
from thermalize.store.blocks import BlockLog
from thermalize.store.garbage import clear_garbage, note_garbage
from thermalize.store.home import Home, StrangerError
from thermalize.store.layout import Files, Layout, keep, skeleton
from thermalize.store.location import Place, UnreachableError, delete, digest_of, sizes, sync_folders
from thermalize.store.ours import discard, refuse_strangers, unlink_links
from thermalize.store.record import METADATA, Manifest, look, partial_path, read_manifest, store_path

__all__ = ["completed", "seal"]


def seal(
    log: BlockLog,
    layout: Layout,
    manifest: Path,
    files: Files,
    statistics: dict[str, Any] | None = None,
    attributes: dict[str, Any] | None = None,
    measured: Mapping[str, xr.Variable] | None = None,
    home: Home | None = None,
) -> Manifest:
    """Make the unfinished store of `log` the finished one and write its manifest.

    Nothing is read: every file has the digest that its writer took while it was in memory, and is there with its size.

    Args:
        log: of the unfinished store; it says where the finished one is to lie. The store that the old manifest named is
            deleted once the new one is in its place.
        layout: that the store was begun with.
        manifest: path beside the log.
        files: digests and sizes of all shards.
        statistics: per-channel "mean" and "std" and the like; also become attributes of the store.
        attributes: further JSON values, known only now; also become attributes of the store.
        measured: further arrays of the store, known only now.
        home: where stores of this manifest lie at URLs, and outdated ones may be deleted.

    Raises:
        UserError: a file is missing, or has another size than it was written with.
    """
    statistics = statistics or {}
    described = skeleton(layout, {**statistics, **(attributes or {})}, measured)
    known = {**files, **{name: (digest_of(content), len(content)) for name, content in described.items()}}
    began = skeleton(layout)
    keep(log.place, [(name, content) for name, content in described.items() if began.get(name) != content])
    _compare(log.place, known)
    record = Manifest(
        store=log.final.name,
        variable=layout.variable,
        dims=layout.dims,
        shape=layout.shape,
        chunks=(*layout.stored_chunk, *layout.shape[2:]),
        shards=(*layout.stored_shard, *layout.shape[2:]),
        dtype="float32",
        fingerprint=log.fingerprint,
        code_version=__version__,
        statistics=statistics,
        attributes=json.loads(described[METADATA])["attributes"],
        digests={name: known[name][0] for name in sorted(known)},
        url=log.url,
        sizes=None if log.url is None else {name: known[name][1] for name in sorted(known)},
    )
    _publish(log, manifest, record, home)
    return record


def completed(manifest: Path, fingerprint: str, home: Home | None = None) -> Manifest | None:
    """The manifest of the finished, intact store of this fingerprint, if there is one; restores it from its copy.

    Raises:
        UnreachableError: it lies at a URL that does not answer, so that nobody can tell.
        StrangerError: it is said to lie at a URL that the user never named.
    """
    for path in (manifest, _copy(manifest)):
        try:
            record = read_manifest(path)
            if record.fingerprint != fingerprint:
                continue
            look(record, manifest.parent, home.storage if home else None)
        except (UnreachableError, StrangerError):
            raise
        except UserError:
            continue
        if path != manifest:
            write_text(manifest, record.text())
        _tidy(manifest, record, home)
        return record
    return None


def _compare(root: Place, known: Files) -> None:
    """Delete whatever does not belong to a store, and refuse it where a file has not the size that it was written with;
    on this machine return once all names are on the disk, too."""
    if isinstance(root, Path):
        unlink_links(root)
        refuse_strangers(root)
    found = sizes(root)
    for name in found.keys() - known.keys():
        delete(root / name)
    for name, (_, size) in known.items():
        if found.get(name) != size:
            raise UserError(f"{root / name} is missing or is not as it was written; run the same command again")
    if isinstance(root, Path):
        sync_folders(root)


def _publish(log: BlockLog, manifest: Path, record: Manifest, home: Home | None) -> None:
    note_garbage(store_path(manifest), _urls(manifest) - {record.url})
    remove(manifest)
    write_text(_copy(manifest), record.text())
    if isinstance(log.final, Path):
        _move(log.partial, log.final)
    write_text(manifest, record.text())
    _tidy(manifest, record, home)


def _move(partial: Path, final: Path) -> None:
    if os.path.lexists(final):
        discard(_aside(final))
        final.rename(_aside(final))
    partial.rename(final)
    sync(final.parent)


def _tidy(manifest: Path, record: Manifest, home: Home | None) -> None:
    """Delete unfinished work, and the stores that a manifest named before."""
    BlockLog(partial_path(manifest), record.fingerprint).discard()
    discard(_aside(store_path(manifest)))
    if record.url is not None:
        discard(store_path(manifest))
    clear_garbage(store_path(manifest), record.url, home)


def _urls(manifest: Path) -> set[str]:
    """Where the stores of a manifest and of its copy lie, if elsewhere."""
    found = set()
    for path in (manifest, _copy(manifest)):
        with suppress(UserError):
            found.add(read_manifest(path).url)
    return {url for url in found if url is not None}


def _copy(manifest: Path) -> Path:
    return manifest.with_name(f".{manifest.name}")


def _aside(final: Path) -> Path:
    return final.with_name(f"{final.name}.old")
