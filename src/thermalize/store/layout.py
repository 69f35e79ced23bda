"""The form of a trajectory store: a Zarr v3 group that xarray opens with named dimensions, coordinates and units.

    <variable>  float32  (member, time, channel, …space)   NaN where nothing was written
    <series>             (member, time)                    further numbers per member and frame
    <measured>           any                               what was measured on the way, once it is finished
    coordinates          member, time, channel, …space

Of a thinned store the variable holds every n-th frame, 0, n, 2n, …; its series lie along `step`, which counts them all.

One shard file holds a block of members × a run of frames × everything in space. It is written whole, by one task, and
never changed, because writes that share a shard lose data (pydata/xarray#8371). Within it lie inner chunks, the unit of
reading. Files are encoded in memory, where they get their digests, and written once to where they will be read:

    values  →  bytes of a shard  →  SHA-256, size  →  disk or URL
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, product
from typing import Any

import numpy as np
import xarray as xr
import zarr
from zarr.abc.store import Store
from zarr.codecs import ZstdCodec
from zarr.core.buffer import Buffer
from zarr.storage import MemoryStore

from thermalize.runtime.errors import UserError
from thermalize.runtime.members import STEP
from thermalize.store.location import Place, digest_of, put

__all__ = ["Files", "Layout", "create", "inner_chunk", "keep", "skeleton", "write"]

Files = dict[str, tuple[str, int]]
"""SHA-256 as "sha256:…" and size in bytes of files, by their name relative to the store."""

Region = tuple[slice, slice]
ALL = slice(None)
WINDOW = 8
CHUNK_BYTES = 1 << 20
# not Blosc: its threads place blocks in the order they finish, so the same numbers would give other bytes every time
COMPRESSOR = ZstdCodec(level=1)


@dataclass(frozen=True)
class Layout:
    """Everything that defines a store before a number is written.

    Args:
        variable, long_name, units: of the data.
        channels: names along the channel axis.
        axes: spatial coordinates in the order of the array axes.
        axis_units: their units.
        members: identifiers of the members, integers.
        time: times of all frames.
        time_units: their units.
        shard: (members, frames) of a shard file.
        chunk: (members, frames) of an inner chunk; divides the shard.
        series: further (member, time) arrays, {name: (dtype, long name, units)}.
        attributes: JSON values: equation, parameters, seed, code version and so on.
        every: the frames of the variable that are stored, which divides those of a shard or is a multiple of them.
    """

    variable: str
    long_name: str
    units: str
    channels: tuple[str, ...]
    axes: dict[str, np.ndarray]
    axis_units: str
    members: np.ndarray
    time: np.ndarray
    time_units: str
    shard: tuple[int, int]
    chunk: tuple[int, int]
    series: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    every: int = 1

    def __post_init__(self) -> None:
        if min(*self.shard, *self.chunk) < 1 or any(s % c for s, c in zip(self.shard, self.chunk, strict=True)):
            raise ValueError(f"the chunk {self.chunk} (members, frames) does not divide the shard {self.shard}")
        if self.shard[1] % self.every and self.every % self.shard[1]:
            raise ValueError(f"every {self.every} frames neither divides a shard of {self.shard[1]} nor is a multiple")

    @property
    def dims(self) -> tuple[str, ...]:
        return ("member", "time", "channel", *self.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        space = (len(axis) for axis in self.axes.values())
        return (len(self.members), -(-len(self.time) // self.every), len(self.channels), *space)

    @property
    def stored_shard(self) -> tuple[int, int]:
        """(members, stored frames) of a shard file of the variable."""
        return self.shard[0], max(1, self.shard[1] // self.every)

    @property
    def stored_chunk(self) -> tuple[int, int]:
        """(members, stored frames) of an inner chunk of the variable; small ones are those of a whole shard."""
        frames = self.stored_shard[1]
        return self.chunk[0], frames if self.every > 1 else self.chunk[1]

    def stored(self, frames: slice) -> slice:
        """Which frames of the variable are those of a range of all frames that are stored."""
        return slice(-(-frames.start // self.every), -(-frames.stop // self.every))

    def shards(self, name: str, member: slice = ALL, time: slice = ALL) -> Iterator[tuple[str, Region]]:
        """Every shard file of the array `name` in a region, with the members and frames (of the variable: stored ones)
        that it holds.

        Raises:
            ValueError: the region does not begin and end at shard boundaries or at the end of the array.
        """
        space = "/0" * len(self.shape[2:]) if name == self.variable else ""
        parts = [_parts(self, name, axis, part) for axis, part in enumerate((member, time))]
        for (i, rows), (j, columns) in product(*parts):
            yield f"{name}/c/{i}/{j}{space}", (rows, columns)


def inner_chunk(shard: tuple[int, int], frame_bytes: int) -> tuple[int, int]:
    """One member × the fewest frames that divide the shard, hold a training window and fill a MiB; all if none do."""
    frames = shard[1]
    divisors = (n for n in range(1, frames) if frames % n == 0)
    enough = (n for n in divisors if n >= WINDOW and n * frame_bytes >= CHUNK_BYTES)
    return 1, next(enough, frames)


def skeleton(
    layout: Layout, attributes: dict[str, Any] | None = None, measured: Mapping[str, xr.Variable] | None = None
) -> dict[str, bytes]:
    """Metadata and coordinates: every file of a store but its shards, by name.

    Args:
        layout: of the store.
        attributes: further ones of a store that is finished, whose metadata are consolidated.
        measured: further arrays of such a store.
    """
    files: dict[str, Buffer] = {}
    store = MemoryStore(files)
    described = {"variable": layout.variable, **layout.attributes, **(attributes or {})}
    group = zarr.create_group(store, zarr_format=3, attributes=described)
    for name in (layout.variable, *layout.series):
        _array(store, layout, name)
    known = ((name, xr.Variable((name,), values, notes)) for name, values, notes in _coordinates(layout))
    for name, variable in chain(known, (measured or {}).items()):
        values = variable.to_numpy()
        array = group.create_array(
            name,
            shape=values.shape,
            chunks=values.shape,
            dtype=str if values.dtype.kind == "U" else values.dtype,
            compressors=None,
            dimension_names=[str(dim) for dim in variable.dims],
            attributes=variable.attrs,
            config={"write_empty_chunks": True},
        )
        array[...] = values
    if attributes is not None:
        with warnings.catch_warnings():
            # xarray and zarr both read it, the specification of version 3 has yet to name it
            warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
            zarr.consolidate_metadata(store)
    return {name: content.to_bytes() for name, content in files.items()}


def create(place: Place, layout: Layout) -> None:
    """Write metadata and coordinates of a store to its place; shards that lie there stay."""
    keep(place, skeleton(layout).items())


def write(
    place: Place, layout: Layout, name: str, member: slice, time: slice, values: np.ndarray, allow_nan: bool = True
) -> Files:
    """Write whole shards of the array `name`, one at a time; they are on the disk, or have arrived, afterwards.

    Args:
        place: of the unfinished store.
        layout: of the store.
        name: the variable or one of the series.
        member, time: index ranges that begin and end at shard boundaries or at the end of the array.
        values: [member, time, …], converted to the type of the array.
        allow_nan: accept NaN and infinity, as in rollouts that lost a member.

    Returns:
        Digest and size of each shard, as it was before it was written.

    Raises:
        ValueError: the ranges are not aligned to shards, or the values have another shape.
        UserError: a shard is not finite.
    """
    files: dict[str, Buffer] = {}
    array = _array(MemoryStore(files), layout, name)
    shards = list(layout.shards(name, member, time))
    (_, first), (_, last) = shards[0], shards[-1]
    start = [part.start for part in first]
    expected = (*(b.stop - a.start for a, b in zip(first, last, strict=True)), *array.shape[2:])
    if values.shape != expected:
        raise ValueError(f"values for {name} have shape {values.shape}, the region has {expected}")

    def encoded() -> Iterator[tuple[str, bytes]]:
        for shard, region in shards:
            here = tuple(slice(part.start - at, part.stop - at) for part, at in zip(region, start, strict=True))
            found = values[here].astype(array.dtype, copy=False)
            if not allow_nan and not np.isfinite(found).all():
                raise UserError(f"{place / shard} would hold NaN or infinity; run the stage that writes it again")
            array[region] = found
            yield shard, files.pop(shard).to_bytes()

    return keep(place, encoded())


def keep(place: Place, files: Iterable[tuple[str, bytes]]) -> Files:
    """Write files of a store, one at a time; their digests and sizes."""
    kept = {}
    for name, content in files:
        kept[name] = digest_of(content), len(content)
        put(place / name, content)
    return kept


def _array(store: Store, layout: Layout, name: str) -> zarr.Array[Any]:
    """The empty array of the variable or of a series."""
    data = ("float32", layout.long_name, layout.units)
    dtype, long_name, units = data if name == layout.variable else layout.series[name]
    rest = layout.shape[2:] if name == layout.variable else ()
    return zarr.create_array(
        store,
        name=name,
        zarr_format=3,
        shape=(*_extent(layout, name), *rest),
        shards=(*_shard(layout, name), *rest),
        chunks=(*(layout.stored_chunk if rest else layout.shard), *rest),
        dtype=dtype,
        fill_value=np.nan if np.dtype(dtype).kind == "f" else -1,
        compressors=COMPRESSOR,
        dimension_names=layout.dims if rest else (layout.dims[0], STEP if layout.every > 1 else layout.dims[1]),
        attributes={"long_name": long_name, "units": units},
        config={"write_empty_chunks": True},
    )


def _extent(layout: Layout, name: str) -> tuple[int, int]:
    """Members and frames of the array `name`."""
    return len(layout.members), layout.shape[1] if name == layout.variable else len(layout.time)


def _shard(layout: Layout, name: str) -> tuple[int, int]:
    """Members and frames of a shard of the array `name`."""
    return layout.stored_shard if name == layout.variable else layout.shard


def _coordinates(layout: Layout) -> Iterator[tuple[str, np.ndarray, dict[str, Any]]]:
    yield "member", np.asarray(layout.members, np.int64), {"long_name": "ensemble member", "units": "1"}
    time = np.asarray(layout.time, np.float64)
    yield "time", time[:: layout.every], {"long_name": "time", "units": layout.time_units, "axis": "T"}
    if layout.every > 1:
        yield STEP, np.arange(len(time)), {"long_name": "emulator step", "units": "1"}
    yield "channel", np.asarray(layout.channels), {"long_name": "channel"}
    for name, values in layout.axes.items():
        attributes = {"long_name": f"{name} coordinate", "units": layout.axis_units, "axis": name.upper()}
        yield name, np.asarray(values, np.float64), attributes


def _parts(layout: Layout, name: str, axis: int, part: slice) -> list[tuple[int, slice]]:
    """Index along an axis of each shard in a range, with the indices that it holds."""
    size, length = _shard(layout, name)[axis], _extent(layout, name)[axis]
    start, stop, step = part.indices(length)
    if step != 1 or start >= stop or start % size or (stop % size and stop != length):
        raise ValueError(
            f"{name}: {part.start} to {part.stop} along axis {axis} is not aligned to its shards of {size}"
        )
    return [(first // size, slice(first, min(first + size, stop))) for first in range(start, stop, size)]
