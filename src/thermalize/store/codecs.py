"""Which codecs a Zarr store may name: those that turn bytes into numbers and text, and no others.

The description of an array says how its bytes were made, and Zarr looks every codec up in the registries of what is
installed. One of them unpickles objects, which runs what a file says; of others nobody here has heard.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from thermalize.runtime.errors import UserError

__all__ = ["DESCRIPTIONS", "refuse_codecs", "refuse_codecs_below"]

DESCRIPTIONS = ("zarr.json", ".zarray", ".zmetadata")
"""Files that describe arrays, in format 3 and 2."""
NUMBERS = {
    *("adler32", "astype", "bitround", "blosc", "bz2", "crc32", "crc32c", "delta", "fixedscaleoffset", "fletcher32"),
    *("gzip", "jenkins_lookup3", "lz4", "lzma", "packbits", "pcodec", "quantize", "shuffle", "zfpy", "zlib", "zstd"),
}
TEXT = {"json2", "vlen-bytes", "vlen-utf8"}
LAYOUT = {"bytes", "endian", "sharding_indexed", "transpose"}
KNOWN = NUMBERS | TEXT | LAYOUT | {f"numcodecs.{name}" for name in NUMBERS}
LISTS = ("codecs", "index_codecs", "filters")


def refuse_codecs_below(root: Path) -> None:
    """Raises UserError where an array of the store in `root` names a codec that is not known."""
    for name in DESCRIPTIONS:
        for path in (root / name, *root.glob(f"*/{name}")):
            if path.is_file():
                refuse_codecs(path.read_bytes(), path)


def refuse_codecs(description: bytes, where: object) -> None:
    """Raises UserError where the description of an array names a codec that is not known."""
    try:
        found = [name for name in _codecs(json.loads(description)) if str(name) not in KNOWN]
    except (ValueError, RecursionError):
        return  # not read by Zarr either, which says so
    if found:
        raise UserError(
            f"{where} names the codec {found[0]!r}, which is not among those that hold numbers and text alone"
        )


def _codecs(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for each in value:
            yield from _codecs(each)
    if not isinstance(value, dict):
        return
    for key, each in value.items():
        if key in LISTS and isinstance(each, list):
            yield from chain.from_iterable(map(_names, each))
        if key == "compressor" and each is not None:
            yield from _names(each)
        # among the descriptions that lie side by side in a consolidated one, it is the name of an array
        if key != "attributes" or not isinstance(value.get("zarr_format"), int):
            yield from _codecs(each)


def _names(codec: Any) -> list[Any]:
    """What either format may take for the name of a codec."""
    if not isinstance(codec, dict):
        return [codec]
    return [codec[key] for key in ("id", "name") if key in codec] or [None]
