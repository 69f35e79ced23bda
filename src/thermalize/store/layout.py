"""The form of a trajectory store: a Zarr v3 group that xarray opens with named dimensions, coordinates and units.

    <variable>  float32  (member, time, channel, …space)   NaN where nothing was written
    <series>             (member, time)                    further numbers per member and frame
    coordinates          member, time, channel, …space

One shard file holds a block of members × a run of frames × everything in space. It is written whole, by one task, and
never changed, because writes that share a shard lose data (pydata/xarray#8371). Within it lie inner chunks, the unit of
reading.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import zarr
from zarr.codecs import ZstdCodec

from thermalize.runtime.errors import UserError
from thermalize.runtime.files import remove, sync
from thermalize.store.ours import discard
from thermalize.store.shards import shards

__all__ = ["PARTIAL", "Layout", "create", "inner_chunk", "write"]

PARTIAL = ".partial"
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
        time: times of the frames.
        time_units: their units.
        shard: (members, frames) of a shard file.
        chunk: (members, frames) of an inner chunk; divides the shard.
        series: further (member, time) arrays, {name: (dtype, long name, units)}.
        attributes: JSON values: equation, parameters, seed, code version and so on.
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

    def __post_init__(self) -> None:
        if min(*self.shard, *self.chunk) < 1 or any(s % c for s, c in zip(self.shard, self.chunk, strict=True)):
            raise ValueError(f"the chunk {self.chunk} (members, frames) does not divide the shard {self.shard}")

    @property
    def dims(self) -> tuple[str, ...]:
        return ("member", "time", "channel", *self.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        space = (len(axis) for axis in self.axes.values())
        return (len(self.members), len(self.time), len(self.channels), *space)


def inner_chunk(shard: tuple[int, int], frame_bytes: int) -> tuple[int, int]:
    """One member × the fewest frames that divide the shard, hold a training window and fill a MiB; all if none do."""
    frames = shard[1]
    divisors = (n for n in range(1, frames) if frames % n == 0)
    enough = (n for n in divisors if n >= WINDOW and n * frame_bytes >= CHUNK_BYTES)
    return 1, next(enough, frames)


def create(path: Path, layout: Layout) -> None:
    """Write metadata and coordinates of an empty store; an unfinished one (`….partial`) at `path` is replaced.

    Raises:
        UserError: something else is at `path`.
    """
    if path.exists() and path.suffix != PARTIAL:
        raise UserError(f"{path} exists already; move it away or choose another name")
    discard(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    group = zarr.create_group(path, zarr_format=3, attributes={"variable": layout.variable, **layout.attributes})
    _create_arrays(group, layout)
    for name, values, attributes in _coordinates(layout):
        array = group.create_array(
            name,
            shape=values.shape,
            chunks=values.shape,
            dtype=str if values.dtype.kind == "U" else values.dtype,
            compressors=None,
            dimension_names=(name,),
            attributes=attributes,
            config={"write_empty_chunks": True},
        )
        array[:] = values


def write(path: Path, name: str, member: slice, time: slice, values: np.ndarray) -> list[str]:
    """Write whole shards of the array `name` and sync them to disk.

    Args:
        path: the unfinished store.
        name: the variable or one of the series.
        member, time: index ranges that begin and end at shard boundaries or at the end of the array.
        values: [member, time, …], converted to the type of the array.

    Returns:
        The shard files, relative to the store.

    Raises:
        ValueError: the ranges are not aligned to shards, or the values have another shape.
    """
    # `open_array(config=…)` would be ignored
    with zarr.config.set({"array.write_empty_chunks": True}):
        array = zarr.open_array(path, path=name, mode="r+")
    region = (_aligned(array, 0, member), _aligned(array, 1, time))
    expected = tuple(part.stop - part.start for part in region) + array.shape[2:]
    if values.shape != expected:
        raise ValueError(f"values for {name} have shape {values.shape}, the region has {expected}")
    names = [name for name, _ in shards(array, region)]
    for shard in names:
        # zarr merges into a shard that reaches over the end of the array, and fails if a killed writer left it broken
        remove(path / shard)
    array[region] = values.astype(array.dtype, copy=False)
    for shard in names:
        sync(path / shard)
    return names


def _create_arrays(group: zarr.Group, layout: Layout) -> None:
    space = layout.shape[2:]
    data = ("float32", layout.long_name, layout.units)
    for name, (dtype, long_name, units) in {layout.variable: data, **layout.series}.items():
        rest = space if name == layout.variable else ()
        group.create_array(
            name,
            shape=(*layout.shape[:2], *rest),
            shards=(*layout.shard, *rest),
            chunks=(*(layout.chunk if rest else layout.shard), *rest),
            dtype=dtype,
            fill_value=np.nan if np.dtype(dtype).kind == "f" else -1,
            compressors=COMPRESSOR,
            dimension_names=layout.dims[: 2 + len(rest)],
            attributes={"long_name": long_name, "units": units},
        )


def _coordinates(layout: Layout) -> Iterator[tuple[str, np.ndarray, dict[str, Any]]]:
    yield "member", np.asarray(layout.members, np.int64), {"long_name": "ensemble member", "units": "1"}
    yield "time", np.asarray(layout.time, np.float64), {"long_name": "time", "units": layout.time_units, "axis": "T"}
    yield "channel", np.asarray(layout.channels), {"long_name": "channel"}
    for name, values in layout.axes.items():
        attributes = {"long_name": f"{name} coordinate", "units": layout.axis_units, "axis": name.upper()}
        yield name, np.asarray(values, np.float64), attributes


def _aligned(array: zarr.Array[Any], axis: int, part: slice) -> slice:
    size, length = cast("tuple[int, ...]", array.shards)[axis], array.shape[axis]
    start, stop, step = part.indices(length)
    if step != 1 or start >= stop or start % size or (stop % size and stop != length):
        raise ValueError(
            f"{array.path}: {part.start} to {part.stop} along axis {axis} is not aligned to its shards of {size}"
        )
    return slice(start, stop)
