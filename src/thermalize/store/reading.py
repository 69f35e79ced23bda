"""What Zarr reads a store through, so that nothing but what was written is ever used.

Zarr takes an object that is not there for one that was never written, and fills its place with NaN; and it decodes what
it finds. In a finished store every object is known by name and digest. So one that is lost is an error, and one that
was changed is one too:

    read whole          compared as it arrives
    read in parts       on this machine compared once as a whole, before the first part; at a URL not compared
    unknown by name     not there

What a store says of its own codecs is held to a list before Zarr reads it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import FsspecStore, LocalStore, WrapperStore

from thermalize.runtime.errors import UserError
from thermalize.store.codecs import DESCRIPTIONS, refuse_codecs, refuse_codecs_below
from thermalize.store.location import Place, digest, reaching
from thermalize.store.sealed import changed

__all__ = ["Checked", "for_zarr"]


class Checked(WrapperStore[Store]):
    """A store that raises a `UserError` where it cannot be read, or is not what its digests say."""

    def __init__(self, store: Store, files: Files) -> None:
        super().__init__(store)
        self._files = files

    def _with_store(self, store: Store) -> Checked:
        return Checked(store, self._files)

    def __str__(self) -> str:
        return str(self._files.root)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        if not self._files.knows(key):
            return None
        if byte_range is not None:
            await asyncio.to_thread(self._files.compare, key)
        with self._files.reading():
            value = await self._store.get(key, prototype, byte_range)
        if value is None:
            self._files.refuse_lost(key)
            return None
        if byte_range is None:
            await asyncio.to_thread(self._files.compare, key, value)
        if key.rpartition("/")[2] in DESCRIPTIONS:
            refuse_codecs(value.to_bytes(), self._files.root / key)
        return value

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        return [await self.get(key, prototype, part) for key, part in key_ranges]

    async def exists(self, key: str) -> bool:
        with self._files.reading():
            return await self._store.exists(key)

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        with self._files.reading():
            async for name in self._store.list_dir(prefix):
                yield name


class Files:
    """The files of a store at `root` with their digests; without any digests, nothing is known and all is let in."""

    def __init__(self, root: Place, digests: Mapping[str, str]) -> None:
        self.root, self._digests = root, digests
        self._same: set[str] = set()
        self._locks: dict[str, threading.Lock] = {}

    def knows(self, key: str) -> bool:
        return not self._digests or key in self._digests

    def refuse_lost(self, key: str) -> None:
        """A file that belongs to the store is not there."""
        if key in self._digests:
            raise UserError(f"{self.root / key} is missing; run the stage that makes it again")

    def compare(self, key: str, content: Buffer | None = None) -> None:
        """Refuse a file that is not as it was written; each is looked at once, by whichever thread comes first.

        Args:
            key: its name.
            content: all of it; without it a file of this machine is read, and one at a URL believed.
        """
        if key not in self._digests or (content is None and not isinstance(self.root, Path)):
            return
        with self._locks.setdefault(key, threading.Lock()):
            if key in self._same:
                return
            if self._digest(key, content) != self._digests[key]:
                raise changed(self.root / key)
            self._same.add(key)

    def _digest(self, key: str, content: Buffer | None) -> str:
        if content is not None:
            return f"sha256:{sha256(content.as_numpy_array().data).hexdigest()}"
        with self.reading():
            try:
                return digest(self.root / key)
            except FileNotFoundError:
                self.refuse_lost(key)
                raise

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Whatever the disk or a provider says meanwhile, in our own words."""
        if not isinstance(self.root, Path):
            with reaching(self.root):
                yield
            return
        try:
            yield
        except OSError as error:
            raise UserError(f"{error.filename or self.root} cannot be read: {error.strerror}") from error


def for_zarr(place: Place, digests: Mapping[str, str] | None = None) -> Path | Checked:
    """What `zarr.open_array` and `xarray.open_zarr` take for a store that is only read.

    Args:
        place: where the store lies.
        digests: SHA-256 of the files that are known to belong to it; a folder that nothing is known of is left to Zarr.
    """
    if not isinstance(place, Path):
        with reaching(place):
            # not an asynchronous file system of Zarr's own: one connection serves all threads, and is closed at the end
            there = FsspecStore(AsyncFileSystemWrapper(place.fs, asynchronous=True), read_only=True, path=place.path)
        return Checked(there, Files(place, digests or {}))
    refuse_codecs_below(place)
    return place if digests is None else Checked(LocalStore(place, read_only=True), Files(place, digests))
