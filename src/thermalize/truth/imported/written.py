"""Zarr stores of the user's, read so that what was never written, or was cut short, is no number.

Blosc that refuses a buffer of another length than its own header says.

The library asks for 16 bytes of header and believes them: where the buffer ends sooner, as a copy that was cut short
does, it reads on in whatever lies behind it in memory, and hands that out as numbers. Held to its length, it checks all
else itself. The header (c-blosc, README_CHUNK_FORMAT) ends with the number of bytes of the whole buffer:

    version  versionlz  flags  typesize  nbytes[4]  blocksize[4]  cbytes[4]          integers in little-endian order

Which numbers of a Zarr store were never written.

Where a chunk is not there, or an inner chunk of a shard, Zarr hands out `fill_value`, and many writers leave out chunks
that consist of it. So a zero may be a zero or nothing at all, and no number tells which. Here the *description* of an
array is changed on its way, never the store: with another `fill_value`, exactly what was never written reads otherwise.

    a: read with fill_value A        b: read with fill_value B        never written  =  (a = A) ∧ (b = B)

A is the lowest number of the type, so that the second look is hardly ever needed.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Self

import numcodecs
import numpy as np
import zarr.registry
from numcodecs.compat import ensure_contiguous_ndarray
from zarr.abc.codec import BytesBytesCodec
from zarr.abc.store import ByteRequest, Store
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore, WrapperStore

from thermalize.store.location import Place
from thermalize.store.reading import Checked, for_zarr

__all__ = ["FILL", "Stated", "Substituting", "guarded", "lowest_and_highest", "substituting"]

CODECS = ("codecs", "index_codecs", "filters", "compressor")
BLOSC = ("blosc", "numcodecs.blosc")
GUARD = "thermalize.blosc"
HEADER, LENGTH = 16, slice(12, 16)


def guarded(described: Any) -> Any:
    """The description of an array, in either format, with a look at the length of every buffer before Blosc reads it.

    What has another form than a description has is handed back as it is: Zarr says what is wrong with it.
    """
    if not isinstance(described, dict):
        return described
    found = {key: _of(each) if key in CODECS else each for key, each in described.items()}
    if "configuration" in found:  # of a codec that holds others, as that of shards does
        found["configuration"] = guarded(found["configuration"])
    return found


def _of(codecs: Any) -> Any:
    if isinstance(codecs, dict):
        return {**codecs, "id": GUARD} if codecs.get("id") == "blosc" else guarded(codecs)
    if not isinstance(codecs, list):
        return codecs
    found = []
    for codec in codecs:
        found.append(_of(codec))
        # the last of the list is the first to read
        if (codec.get("name") if isinstance(codec, dict) else codec) in BLOSC:
            found.append({"name": GUARD})
    return found


def _refuse_cut(data: Any) -> None:
    if len(data) < HEADER or int.from_bytes(bytes(data[LENGTH]), "little") != len(data):
        raise ValueError(f"a chunk of {len(data)} bytes is not as long as it says itself: it was cut short or damaged")


class Whole(numcodecs.Blosc):  # type: ignore[misc]
    """In place of Blosc, in format 2."""

    codec_id = GUARD

    def decode(self, buf: Any, out: Any = None) -> Any:
        _refuse_cut(ensure_contiguous_ndarray(buf).view("u1"))
        return super().decode(buf, out)


class Length(BytesBytesCodec):
    """After Blosc in the list of format 3, so before it in reading."""

    is_fixed_size = True

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:  # noqa: ARG003
        return cls()

    def to_dict(self) -> dict[str, Any]:
        return {"name": GUARD}

    async def decode(self, chunks_and_specs: Iterable[tuple[Buffer | None, ArraySpec]]) -> list[Buffer | None]:
        chunks = [chunk for chunk, _ in chunks_and_specs]
        for chunk in chunks:
            if chunk is not None:
                _refuse_cut(chunk.as_numpy_array())
        return chunks

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:  # noqa: ARG002
        return input_byte_length


numcodecs.register_codec(Whole)
zarr.registry.register_codec(GUARD, Length)


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
