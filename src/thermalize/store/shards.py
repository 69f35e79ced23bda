"""The files of a Zarr v3 store: which there must be, whether they hold finite numbers, and their digests.

An array of shape n in shards of shape s consists of ∏ ⌈nᵢ/sᵢ⌉ files `<array>/c/<i₁>/<i₂>/…`. Zarr reads a missing one
as fill values without a word, so stores are counted before they are sealed and digested before they are read.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Container, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import file_digest
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import zarr

from thermalize.runtime.errors import UserError
from thermalize.runtime.files import remove, sync
from thermalize.store.codecs import refuse_codecs
from thermalize.store.location import Place
from thermalize.store.ours import refuse_strangers, unlink_links

if TYPE_CHECKING:
    from io import BufferedReader

__all__ = [
    "HASHING_THREADS",
    "Region",
    "check",
    "digest",
    "digests",
    "files",
    "read_back",
    "shards",
    "sweep",
    "sync_tree",
    "within",
]

Region = tuple[slice, ...]
HASHING_THREADS = 4


def shards(array: zarr.Array[Any], within: Region = ()) -> Iterator[tuple[str, Region]]:
    """Every shard file, relative to the store, with the region of the array that it holds.

    Args:
        array: an array of the store.
        within: leading index ranges, aligned to shards, to stay in; everything when left out.
    """
    shape, size = array.shape, array.shards or array.chunks
    bounds = [*((part.start, part.stop) for part in within), *((0, n) for n in shape[len(within) :])]
    for index in product(*(range(start // s, -(-stop // s)) for (start, stop), s in zip(bounds, size, strict=True))):
        region = tuple(slice(i * s, min((i + 1) * s, n)) for i, s, n in zip(index, size, shape, strict=True))
        yield f"{array.path}/{array.metadata.encode_chunk_key(index)}", region


def files(root: Path) -> list[str]:
    """Every file that the store at `root` consists of, relative to it, sorted: metadata and shards."""
    found = ["zarr.json"]
    for array in _arrays(root):
        found.append(f"{array.path}/zarr.json")
        found += [name for name, _ in shards(array)]
    return sorted(found)


def check(
    root: Path, allow_nan: bool = False, read_before: Container[str] = (), elsewhere: Container[str] = ()
) -> None:
    """Look for every shard, and read it, one at a time.

    Args:
        root: the store.
        allow_nan: accept NaN and infinity.
        read_before: shards that were read after they were written; it is enough that these are there.
        elsewhere: shards that were read and are known to lie at another place, where nobody looks for them now.

    Raises:
        UserError: a shard is missing, cannot be decoded, or (unless allowed) holds NaN or infinity; names it.
    """
    for array in _arrays(root):
        for name, region in shards(array):
            if name not in elsewhere and (name not in read_before or not (root / name).is_file()):
                _check(root / name, array, region, allow_nan)


def read_back(root: Path, name: str, within: Region, allow_nan: bool = False) -> None:
    """The same for the shards of the array `name` in a region; what one process wrote need not wait for another."""
    array = _array(root, name)
    for shard, region in shards(array, within):
        _check(root / shard, array, region, allow_nan)


def within(root: Path, name: str, region: Region) -> list[str]:
    """The shard files of the array `name` in a region, relative to the store."""
    return [shard for shard, _ in shards(_array(root, name), region)]


def digests(root: Place, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of the named files as "sha256:…"; a missing one raises FileNotFoundError."""
    names = list(names)
    with ThreadPoolExecutor(HASHING_THREADS) as pool:
        return dict(zip(names, pool.map(lambda name: digest(root / name), names), strict=True))


def sweep(root: Path) -> None:
    """Delete whatever does not belong to the store, such as temporary files of a writer that was killed."""
    unlink_links(root)
    refuse_strangers(root)
    wanted = set(files(root))
    found = [Path(folder, name).relative_to(root).as_posix() for folder, _, names in os.walk(root) for name in names]
    for name in set(found) - wanted:
        remove(root / name)


def sync_tree(root: Path) -> None:
    """Return once every file and folder below `root` is on the disk."""
    for folder, _, names in os.walk(root):
        for name in names:
            sync(Path(folder) / name)
        sync(Path(folder))


def _arrays(root: Path) -> list[zarr.Array[Any]]:
    names = sorted(path.parent.name for path in root.glob("*/zarr.json"))
    return [_array(root, name) for name in names]


def _array(root: Path, name: str) -> zarr.Array[Any]:
    refuse_codecs((root / name / "zarr.json").read_bytes(), root / name)
    return zarr.open_array(root, path=name, mode="r")


def _check(path: Path, array: zarr.Array[Any], region: Region, allow_nan: bool) -> None:
    values = _read(path, array, region)
    if values.dtype.kind == "f" and not allow_nan and not np.isfinite(values).all():
        raise UserError(f"{path} holds NaN or infinity; run the stage that writes it again")


def _read(path: Path, array: zarr.Array[Any], region: Region) -> np.ndarray:
    if not path.is_file():
        raise UserError(f"{path} is missing: the store is not complete; run the stage that writes it again")
    try:
        return np.asarray(array[region])
    except Exception as error:
        raise UserError(f"{path} cannot be decoded ({error}); run the stage that writes it again") from error


def digest(path: Place) -> str:
    """SHA-256 of a file as "sha256:…"."""
    if isinstance(path, Path) and path.exists() and not path.is_file():  # a pipe would be waited for
        raise OSError(errno.EISDIR if path.is_dir() else errno.EINVAL, "it is not a file", str(path))
    with path.open("rb") as file:
        return f"sha256:{file_digest(cast('BufferedReader', file), 'sha256').hexdigest()}"
