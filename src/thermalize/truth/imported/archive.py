"""All files together: one grid, one set of channels, and members that each follow a chain of files through time."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import xarray as xr

from thermalize.config import ImportConfig
from thermalize.config.texts import plainly
from thermalize.runtime.errors import UserError
from thermalize.store.location import Place
from thermalize.truth.imported.files import fields, opened, read
from thermalize.truth.imported.grid import axes_of
from thermalize.truth.imported.paths import find
from thermalize.truth.imported.plausible import ACCEPT, first_stuck
from thermalize.truth.imported.splits import Row
from thermalize.truth.imported.times import Track, offset_of, reference_of, refuse_uneven, track_of

__all__ = ["Archive", "Chain", "Form", "Piece", "survey"]

AGREEMENT = {
    "axis_units": "the grid is in",
    "channels": "the channels are",
    "members": "the number of members is",
    "reference": "times are counted from",
}


@dataclass(frozen=True)
class Piece:
    """Frames of one member that lie in one file: every `every`-th from `start` on, `frames` of them."""

    path: Place
    member: int
    start: int
    every: int
    frames: int

    @property
    def part(self) -> slice:
        """As an index along the file's time."""
        return slice(self.start, self.start + (self.frames - 1) * self.every + 1, self.every)


@dataclass(frozen=True)
class Chain:
    """Files that continue one another in time, and the number of frames up to the end of each."""

    paths: tuple[Place, ...]
    ends: tuple[int, ...]

    def find(self, frame: int) -> tuple[int, int]:
        """Which file holds a frame, and which of its own frames it is."""
        file = bisect_right(self.ends, frame)
        return file, frame - (self.ends[file - 1] if file else 0)


@dataclass(frozen=True)
class Form:
    """What all files have in common."""

    axes: dict[str, np.ndarray]
    axis_units: str
    channels: tuple[str, ...]
    members: int
    reference: str
    long_name: str
    cell_methods: str
    """How the values of a frame follow from those of the interval around it, if the files say so."""


@dataclass(frozen=True)
class Archive:
    """The files of an import, checked; members count through the chains, and within each through its own members."""

    config: ImportConfig
    form: Form
    chains: tuple[Chain, ...]
    begins: tuple[float, ...]
    """Time of the first frame of each chain."""
    steps: tuple[float, ...]
    """Time between two frames of the files, of each chain: that of the configuration is off by a little."""

    @property
    def lengths(self) -> list[int]:
        """Frames of every member after `spin_up` and `every`."""
        kept = (len(range(self._offset, chain.ends[-1], self.config.every)) for chain in self.chains)
        return [frames for frames in kept for _ in range(self.form.members)]

    def pieces(self, row: Row, start: int, stop: int) -> Iterator[Piece]:
        """Where the frames start … stop−1 of a row lie, file by file."""
        return self._pieces(row.member, self.raw(row, start), stop - start, self.config.every)

    def _pieces(self, member: int, frame: int, left: int, every: int) -> Iterator[Piece]:
        which, member = divmod(member, self.form.members)
        chain = self.chains[which]
        while left:
            file, first = chain.find(frame)
            here = min(left, -(-(chain.ends[file] - frame) // every))
            yield Piece(chain.paths[file], member, first, every, here)
            frame, left = frame + here * every, left - here

    def frames(self, row: Row, start: int, stop: int, before: np.ndarray | None = None) -> np.ndarray:
        """Frames start … stop−1 of a row, [frame, channel, *grid] in float32.

        Args:
            row: of which member.
            start: of them.
            stop: of them.
            before: frame start−1, if it is known.

        Raises:
            UserError: a file is damaged, a value is missing or like no field, or a frame is the one before it again.
        """
        values = np.concatenate([read(p.path, self.config, p.member, p.part) for p in self.pieces(row, start, stop)])
        if self.config.unusual == "refuse" and (stuck := first_stuck(values, before)) is not None:
            (piece,) = self.pieces(row, start + stuck, start + stuck + 1)
            dims = self.config.dims
            member = f"{dims.member}={piece.member}, " if dims.member else ""
            raise UserError(
                f"{piece.path}: {self.config.variable} is the frame before it again at .isel({member}{dims.time}="
                f"{piece.start}), to the last digit; leave out repeated frames, or import output that changes, {ACCEPT}"
            )
        return values

    def raw(self, row: Row, frame: int) -> int:
        """Which frame of its files a frame of a row is, counted along the chain."""
        return self._offset + (row.start + frame) * self.config.every

    def raw_frames(self, member: int, start: int, stop: int) -> dict[int, np.ndarray]:
        """Frames start … stop−1 of the files of a member, those that `every` skips among them, [channel, *grid].

        Those that are not there, or hold what no frame may, are left out: nobody asks for them to be whole.
        """
        start, stop = max(0, start), min(stop, self.chains[member // self.form.members].ends[-1])
        with suppress(UserError):
            return dict(enumerate(self._read_raw(member, start, stop), start)) if start < stop else {}
        found = {}
        for frame in range(start, stop):
            with suppress(UserError):
                (found[frame],) = self._read_raw(member, frame, frame + 1)
        return found

    def _read_raw(self, member: int, start: int, stop: int) -> np.ndarray:
        pieces = self._pieces(member, start, stop - start, 1)
        return np.concatenate([read(each.path, self.config, each.member, each.part) for each in pieces])

    def look(self, row: Row) -> None:
        """Read the first and the last frame of a row in every file, where there are several; raises as `read` does."""
        pieces = list(self.pieces(row, 0, row.frames))
        for piece in pieces if len(pieces) > 1 else ():
            ends = slice(piece.part.start, piece.part.stop, max(1, (piece.frames - 1) * piece.every))
            read(piece.path, self.config, piece.member, ends)

    def name(self, member: int) -> str:
        """Of a member, in words: its file, or its number along the dimension, with the file where there are several."""
        which, number = divmod(member, self.form.members)
        path, dim = self.chains[which].paths[0], self.config.dims.member
        return f"{path}: {dim} {number}" if dim else str(path)

    def begin(self, row: Row) -> float:
        """Time of the first frame of a row in `time_units` since the reference."""
        chain = row.member // self.form.members
        step = self.config.frame_interval
        return self.begins[chain] + (self._offset / self.config.every + row.start) * step

    def raw_begin(self, row: Row) -> float:
        """The same by the times in the files."""
        chain = row.member // self.form.members
        return self.begins[chain] + self.raw(row, 0) * self.steps[chain]

    def raw_at(self, row: Row, time: float) -> float:
        """Which frame of its files a row has at a time, by the times in the files; between two frames a fraction."""
        chain = row.member // self.form.members
        return (time - self.begins[chain]) / self.steps[chain]

    @property
    def _offset(self) -> int:
        return offset_of(self.config)


def survey(config: ImportConfig) -> Archive:
    """Read and check the metadata of all files.

    Raises:
        UserError: a file is missing or unreadable, names or units are not those of the configuration, the files do not
            fit each other, or their times are not uniform.
    """
    paths, tracks = find(config.source), list[Track]()
    first: Form | None = None
    for path in paths:
        with opened(path, config) as dataset:
            form = _form(dataset, config, path)
            tracks.append(track_of(dataset, config, path))
        first = first or form
        _refuse_other(first, form, paths[0], path)
    assert first is not None
    together = config.files == "time"
    chains = [sorted(tracks, key=lambda track: float(track.times[0]))] if together else [[track] for track in tracks]
    for chain in chains:
        refuse_uneven(chain, config, first.reference, first.cell_methods)
    begins = tuple(float(chain[0].times[0]) for chain in chains)
    return Archive(config, first, tuple(map(_chain, chains)), begins, tuple(map(_step, chains)))


def _step(tracks: Sequence[Track]) -> float:
    last = sum(len(track.times) for track in tracks) - 1
    return float(tracks[-1].times[-1] - tracks[0].times[0]) / last


def _chain(tracks: Sequence[Track]) -> Chain:
    return Chain(tuple(track.path for track in tracks), tuple(accumulate(len(track.times) for track in tracks)))


def _form(dataset: xr.Dataset, config: ImportConfig, path: Place) -> Form:
    found = fields(dataset, config, path)
    for field in found:
        _refuse_units(field, config, path)
    axes, units = axes_of(dataset, config, path)
    first, dims = found[0], config.dims
    return Form(
        axes=axes,
        axis_units=units,
        channels=_channels(first, config, path),
        members=first.sizes[dims.member] if dims.member else 1,
        reference=reference_of(dataset, config),
        long_name=config.long_name or str(first.attrs.get("long_name", config.variable)),
        cell_methods=str(first.attrs.get("cell_methods", "")),
    )


def _channels(field: xr.DataArray, config: ImportConfig, path: Place) -> tuple[str, ...]:
    """Names of the channels: those of the configuration, or the values along the channel dimension."""
    dim = config.dims.channel
    if dim is None:
        return tuple(config.channels or [config.variable])
    if dim not in field.coords:
        return tuple(f"{dim}{number}" for number in range(field.sizes[dim]))
    values = field[dim].to_numpy().tolist()
    alike = Counter(f"{value:g}" for value in values if isinstance(value, int | float))
    names = [value if isinstance(value, str) else f"{dim}={_short(value, alike)}" for value in values]
    counts = Counter(names)
    twice = [name for name in names if counts[name] > 1]
    if twice:
        raise UserError(
            f"{path}: two channels along {dim} are called {twice[0]}; give each a value of its own in {dim}"
        )
    return tuple(names)


def _short(value: object, alike: Mapping[str, int]) -> str:
    """A number in six digits, or in all of them where six do not tell it from others; `alike` counts those of each."""
    if not isinstance(value, int | float):
        return str(value)
    short = f"{value:g}"
    return short if alike[short] == 1 else repr(value)


def _refuse_units(field: xr.DataArray, config: ImportConfig, path: Place) -> None:
    units = plainly(str(field.attrs.get("units", "")))
    if units not in ("", config.units):
        raise UserError(
            f"{path}: {field.name} is in {units!r}, but simulation.units = {config.units!r}; state {units!r}, or "
            "convert the data before the import"
        )


def _refuse_other(first: Form, form: Form, name: Place, path: Place) -> None:
    """Raise a `UserError` if a file does not fit the first one."""
    for axis, points in form.axes.items():
        expected = first.axes[axis]
        if len(points) != len(expected):
            raise UserError(f"{path}: {axis} has {len(points)} points, but {len(expected)} in {name}; import one grid")
        if not np.allclose(points, expected, rtol=1e-5, atol=1e-3 * abs(expected[1] - expected[0])):
            raise UserError(f"{path}: the points along {axis} are not those of {name}; import one grid")
    for name_of, words in AGREEMENT.items():
        here, there = getattr(form, name_of), getattr(first, name_of)
        if here != there:
            raise UserError(f"{path}: {words} {_shown(here)}, but {_shown(there)} in {name}; make them agree")


def _shown(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value) or "no date"
