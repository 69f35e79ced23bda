"""From an unfinished store to a finished one with a manifest.

Whatever moment it is killed at, a reader finds the old store, no store, or the new one:

    every shard there, decodable, finite → statistics and consolidated metadata → sync → old manifest away →
    copy of the new manifest → old store aside → rename → manifest → old store deleted

At a URL, where nothing can be renamed, the new store is sent to a place of its own instead:

    … → whatever is not there yet is sent, names and sizes compared → old manifest away → copy → manifest →
    old store deleted

The copy (`.<name>.manifest.json`) lets the next run finish what was interrupted, and recognise a finished store whose
manifest was deleted, as Snakemake does with declared outputs before it runs a rule.
"""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from thermalize import __version__
from thermalize.runtime.errors import UserError
from thermalize.runtime.files import remove, sync, write_text
from thermalize.store import shards, staging
from thermalize.store.home import Home, StrangerError
from thermalize.store.location import Place, UnreachableError
from thermalize.store.ours import discard
from thermalize.store.record import Manifest, look, partial_path, read_manifest, store_path
from thermalize.store.staging import draft_at

__all__ = ["completed", "seal"]


def seal(
    partial: Path,
    final: Place,
    manifest: Path,
    fingerprint: str,
    statistics: dict[str, Any] | None = None,
    attributes: dict[str, Any] | None = None,
    allow_nan: bool = False,
    digests: dict[str, str] | None = None,
    home: Home | None = None,
) -> Manifest:
    """Verify the unfinished store `partial`, make it the store `final` and write its manifest.

    Args:
        partial, manifest: paths in one folder.
        final: another path there, or a place at a URL. The store that the old manifest named is deleted once the new
            one is in its place.
        fingerprint: of everything the contents depend on.
        statistics: per-channel "mean" and "std" and the like; also become attributes of the store.
        attributes: further JSON values, known only now; also become attributes of the store.
        allow_nan: accept NaN in the data, as in rollouts that lost a member.
        digests: of shards that were read after they were written, to be compared with what is found; the others are
            read now.
        home: where stores of this manifest lie at URLs, and outdated ones may be deleted.

    Raises:
        UserError: a shard is missing, broken, changed since it was written, or not finite.
    """
    if not (partial / "zarr.json").is_file():
        raise UserError(f"{partial} is no unfinished store; run the stage that writes it again")
    draft = draft_at(partial, final)
    sent = draft.sent()
    shards.sweep(partial)
    shards.check(partial, allow_nan, digests or {}, sent)
    _finish_metadata(partial, {**(statistics or {}), **(attributes or {})})
    found = _digests(partial, sent)
    changed = [name for name, digest in (digests or {}).items() if found.get(name) != digest]
    if changed:
        raise UserError(f"{partial / changed[0]} changed after it was written; run the same command again")
    sizes = draft.secure()
    described = _describe(partial, final.name, fingerprint, statistics or {}, found)
    record = described.model_copy(update={"url": draft.url, "sizes": sizes})
    _publish(partial, final, manifest, record, home)
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


def _digests(partial: Path, sent: dict[str, str]) -> dict[str, str]:
    """Of every file of the store, wherever it lies by now."""
    names = shards.files(partial)
    here = shards.digests(partial, [name for name in names if name not in sent or (partial / name).is_file()])
    return {name: here.get(name) or sent[name] for name in names}


def _finish_metadata(partial: Path, attributes: dict[str, Any]) -> None:
    group = zarr.open_group(partial, mode="r+", use_consolidated=False)
    group.attrs.update(attributes)
    with warnings.catch_warnings():
        # xarray and zarr both read it, the specification of version 3 has yet to name it
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        zarr.consolidate_metadata(partial)


def _describe(
    partial: Path, store: str, fingerprint: str, statistics: dict[str, Any], digests: dict[str, str]
) -> Manifest:
    group = zarr.open_group(partial, mode="r", use_consolidated=False)
    attributes = dict(group.attrs)
    array = group[str(attributes["variable"])]
    assert isinstance(array, zarr.Array)
    return Manifest(
        store=store,
        variable=array.basename,
        dims=tuple(str(name) for name in getattr(array.metadata, "dimension_names", ())),
        shape=array.shape,
        chunks=array.chunks,
        shards=array.shards or array.chunks,
        dtype=np.dtype(array.dtype).name,
        fingerprint=fingerprint,
        code_version=__version__,
        statistics=statistics,
        attributes=attributes,
        digests=digests,
    )


def _publish(partial: Path, final: Place, manifest: Path, record: Manifest, home: Home | None) -> None:
    staging.note_garbage(store_path(manifest), _urls(manifest) - {record.url})
    remove(manifest)
    write_text(_copy(manifest), record.text())
    if isinstance(final, Path):
        _move(partial, final)
    write_text(manifest, record.text())
    _tidy(manifest, record, home)


def _move(partial: Path, final: Path) -> None:
    if os.path.lexists(final):
        discard(_aside(final))
        final.rename(_aside(final))
    partial.rename(final)
    sync(final.parent)


def _tidy(manifest: Path, record: Manifest, home: Home | None) -> None:
    """Delete the stores that a manifest named before, and the receipts of the one that it names now."""
    draft_at(partial_path(manifest)).settle(record.url)
    discard(_aside(store_path(manifest)))
    if record.url is not None:
        discard(store_path(manifest))
    staging.clear_garbage(store_path(manifest), record.url, home)


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
