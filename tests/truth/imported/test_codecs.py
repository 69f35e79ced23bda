"""Chunks of imported Zarr stores under every codec, cut and lengthened: refused, or the numbers that were written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from fuzz_files import TRUTH, outcome, store
from zarr.codecs import BloscCodec, Crc32cCodec, GzipCodec, ShardingCodec, ZstdCodec

BLOSC = ("blosclz", "lz4", "lz4hc", "zlib", "zstd")
CHUNKS = {"chunks": (3, 2, 8, 8)}
TWO: dict[str, dict[str, Any]] = {
    "nothing": {"compressors": None},
    **{f"blosc-{name}": {"compressors": numcodecs.Blosc(name)} for name in BLOSC},
    "zstd": {"compressors": numcodecs.Zstd()},
    "lz4": {"compressors": numcodecs.LZ4()},
    "gzip": {"compressors": numcodecs.GZip()},
    "zlib": {"compressors": numcodecs.Zlib()},
    "bz2": {"compressors": numcodecs.BZ2()},
    "lzma": {"compressors": numcodecs.LZMA()},
    "blosc-filter": {"compressors": None, "filters": [numcodecs.Blosc("lz4")]},
    "shuffle": {"compressors": numcodecs.Blosc("lz4"), "filters": [numcodecs.Shuffle(4)]},
}
THREE: dict[str, dict[str, Any]] = {
    "nothing": {"compressors": None},
    **{f"blosc-{name}": {"compressors": BloscCodec(cname=name)} for name in BLOSC},
    "blosc-in-crc32c": {"compressors": [BloscCodec(cname="lz4"), Crc32cCodec()]},
    "zstd-in-blosc": {"compressors": [ZstdCodec(), BloscCodec(cname="lz4")]},
    "blosc-in-zstd": {"compressors": [BloscCodec(cname="lz4"), ZstdCodec()]},
    "zstd": {"compressors": ZstdCodec()},
    "gzip": {"compressors": GzipCodec()},
}
CASES = {
    **{f"2-{name}": (2, {**CHUNKS, **each}) for name, each in TWO.items()},
    **{f"3-{name}": (3, {**CHUNKS, **each}) for name, each in THREE.items()},
}
WORDS = "cut short or damaged"


def judged(path: Path) -> str:
    """What is said of a damaged store; all that is not said is as it was written."""
    found = outcome(path)
    if isinstance(found, str):
        assert str(path) in found
        return found
    np.testing.assert_array_equal(found, TRUTH)
    return ""


def damaged(path: Path, chunk: Path) -> dict[int, str]:
    """What is said of each length of a chunk; the last is longer than it was."""
    whole, found = chunk.read_bytes(), {}
    for length in sorted({1, 12, 15, 16, 17, len(whole) // 2, len(whole) - 28, len(whole) - 1, len(whole) + 9}):
        chunk.write_bytes((whole + bytes(9))[:length])
        found[length] = judged(path)
    chunk.write_bytes(whole)
    return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES)
def test_a_chunk_of_another_length_is_never_other_numbers(tmp_path: Path, case: str) -> None:
    path = tmp_path / "some.zarr"
    form, options = CASES[case]
    store(path, form, **options)
    chunk = path / "q" / ("3.0.0.0" if form == 2 else "c/3/0/0/0")
    *shorter, longer = damaged(path, chunk).values()
    assert all(shorter)
    if "blosc" in case and "blosc-in" not in case:
        assert all(WORDS in said for said in (*shorter, longer)), shorter
    assert judged(path) == ""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("index", ["start", "end"])
def test_a_shard_of_another_length_is_never_other_numbers(tmp_path: Path, index: Any) -> None:
    """With the index at the start, the inner chunk at the end is cut, and no checksum says so."""
    path = tmp_path / "some.zarr"
    inner = ShardingCodec(chunk_shape=(1, 2, 8, 8), codecs=[zarr.codecs.BytesCodec(), BloscCodec(cname="lz4")],
                          index_location=index)  # fmt: skip
    store(path, 3, chunks=(4, 2, 8, 8), serializer=inner, compressors=None)
    *shorter, _ = damaged(path, path / "q/c/2/0/0/0").values()
    assert all(shorter)
    if index == "start":
        assert WORDS in shorter[-1]
    assert judged(path) == ""


@pytest.mark.parametrize("form", [2, 3])
def test_the_guard_is_not_in_the_store(tmp_path: Path, form: int) -> None:
    path = tmp_path / "some.zarr"
    store(path, form, **CASES[f"{form}-blosc-lz4"][1])
    before = {each: each.read_bytes() for each in path.rglob("*") if each.is_file()}
    assert judged(path) == ""
    assert before == {each: each.read_bytes() for each in path.rglob("*") if each.is_file()}
    np.testing.assert_array_equal(zarr.open_array(path, path="q", mode="r")[:], TRUTH)
