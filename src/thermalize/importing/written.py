"""Which numbers of a Zarr store were never written.

Where a chunk is not there, or an inner chunk of a shard, Zarr hands out `fill_value`, and many writers leave out chunks
that consist of it. So a zero may be a zero or nothing at all, and no number tells which. Here the *description* of an
array is changed on its way, never the store: with another `fill_value`, exactly what was never written reads otherwise.

    a: read with fill_value A        b: read with fill_value B        never written  =  (a = A) ∧ (b = B)

A is the lowest number of the type, so that the second look is hardly ever needed.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore, WrapperStore

from thermalize.importing.blosc import guarded
from thermalize.store.place import Place
from thermalize.store.reading import Checked, for_zarr

__all__ = ["FILL", "Stated", "Substituting", "lowest_and_highest", "substituting"]

DOCUMENTS = {"zarr.json": "data_type", ".zarray": "dtype"}
"""Name of the description of an array, and its entry for the type, in format 3 and 2."""
ATTRIBUTES = ".zattrs"
FILL = "_FillValue"


@dataclass
class Stated:
    """What the description of an array says of missing numbers, before it was changed."""

    fill_value: Any = None
    zarr_format: int = 3
    attribute: Any = None
    """`_FillValue`, which xarray reads in one of the ways only in which it may be written."""


class Substituting(WrapperStore[Store]):
    """A store whose arrays `names` are read with another `fill_value`: the lowest or highest number of their type."""

    def __init__(
        self, store: Store, names: Collection[str], highest: bool = False, stated: dict[str, Stated] | None = None
    ) -> None:
        super().__init__(store)
        self._names, self._highest = names, highest
        self.stated: dict[str, Stated] = {} if stated is None else stated
        """Of every array that was opened."""

    def _with_store(self, store: Store) -> Substituting:
        return Substituting(store, self._names, self._highest, self.stated)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        found = await self._store.get(key, prototype, byte_range)
        name, _, document = key.rpartition("/")
        if found is None or byte_range is not None or document not in (*DOCUMENTS, ATTRIBUTES):
            return found
        try:
            described = json.loads(found.to_bytes())
        except ValueError:
            return found
        described = described if document == ATTRIBUTES else guarded(described)
        try:
            stated = self.stated.setdefault(name, Stated())
            if document == ATTRIBUTES:
                stated.attribute = described.pop(FILL, None)
            else:
                self._change(described, stated, DOCUMENTS[document], name in self._names)
        except (AttributeError, KeyError, TypeError, ValueError):  # of what holds no real numbers
            pass
        return prototype.buffer.from_bytes(json.dumps(described).encode())

    def _change(self, described: dict[str, Any], stated: Stated, entry: str, substituted: bool) -> None:
        """Another `fill_value` into the description of an array of real numbers; all else raises."""
        numbers = lowest_and_highest(np.dtype(described[entry]))
        stated.zarr_format = int(described["zarr_format"])
        stated.fill_value = described["fill_value"]
        if stated.zarr_format == 3:
            stated.attribute = described.get("attributes", {}).pop(FILL, None)
        if substituted:
            described["fill_value"] = numbers[self._highest].item()


def lowest_and_highest(dtype: np.dtype[Any]) -> tuple[np.generic, np.generic]:
    """Of a type of real numbers.

    Raises:
        ValueError: it is another type.
    """
    if dtype.kind not in "fiu":
        raise ValueError(f"{dtype} is no type of real numbers")
    limits: Any = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    return dtype.type(limits.min), dtype.type(limits.max)


def substituting(place: Place, names: Collection[str], highest: bool = False) -> Substituting:
    """What `xarray.open_zarr` takes for a store of the user's."""
    source = for_zarr(place)
    return Substituting(source if isinstance(source, Checked) else LocalStore(source, read_only=True), names, highest)
