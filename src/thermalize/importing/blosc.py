"""Blosc that refuses a buffer of another length than its own header says.

The library asks for 16 bytes of header and believes them: where the buffer ends sooner, as a copy that was cut short
does, it reads on in whatever lies behind it in memory, and hands that out as numbers. Held to its length, it checks all
else itself. The header (c-blosc, README_CHUNK_FORMAT) ends with the number of bytes of the whole buffer:

    version  versionlz  flags  typesize  nbytes[4]  blocksize[4]  cbytes[4]          integers in little-endian order
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import numcodecs
import zarr.registry
from numcodecs.compat import ensure_contiguous_ndarray
from zarr.abc.codec import BytesBytesCodec
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import Buffer

__all__ = ["guarded"]

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
