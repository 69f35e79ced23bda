"""What Zarr reads a store through: its folder, or its URL with errors in our own words.

Zarr takes an object that is not there for one that was never written, and fills its place with NaN. In a finished store
every object is known by name, so one that is lost while it is read is an error. What a store says of its own codecs is
held to a list before Zarr reads it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable
from pathlib import Path

from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from upath import UPath
from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import FsspecStore, WrapperStore

from thermalize.errors import UserError
from thermalize.store.codecs import DESCRIPTIONS, refuse_codecs, refuse_codecs_below
from thermalize.store.place import Place, reaching

__all__ = ["Watched", "for_zarr"]


class Watched(WrapperStore[FsspecStore]):
    """A store at a URL that raises a `UserError` where it cannot be reached, or lacks one of the objects `names`."""

    def __init__(self, store: FsspecStore, root: UPath, names: Collection[str] = ()) -> None:
        super().__init__(store)
        self._root, self._names = root, names

    def _with_store(self, store: FsspecStore) -> Watched:
        return Watched(store, self._root, self._names)

    def __str__(self) -> str:
        return str(self._root)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        with reaching(self._root):
            found = self._there(key, await self._store.get(key, prototype, byte_range))
        if found is not None and key.rpartition("/")[2] in DESCRIPTIONS:
            refuse_codecs(found.to_bytes(), self._root / key)
        return found

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        key_ranges = list(key_ranges)
        with reaching(self._root):
            found = await self._store.get_partial_values(prototype, key_ranges)
        return [self._there(key, value) for (key, _), value in zip(key_ranges, found, strict=True)]

    async def exists(self, key: str) -> bool:
        with reaching(self._root):
            return await self._store.exists(key)

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        with reaching(self._root):
            async for name in self._store.list_dir(prefix):
                yield name

    def _there(self, key: str, value: Buffer | None) -> Buffer | None:
        if value is None and key in self._names:
            raise UserError(f"{self._root / key} is missing; run the stage that makes it again")
        return value


def for_zarr(place: Place, names: Collection[str] = ()) -> Path | Watched:
    """What `zarr.open_array` and `xarray.open_zarr` take for a store that is only read.

    Args:
        place: where the store lies.
        names: files that are known to belong to it.
    """
    if isinstance(place, Path):
        refuse_codecs_below(place)
        return place
    with reaching(place):
        # not an asynchronous file system of Zarr's own: one connection serves all threads, and is closed at the end
        store = FsspecStore(AsyncFileSystemWrapper(place.fs, asynchronous=True), read_only=True, path=place.path)
    return Watched(store, place, frozenset(names))
