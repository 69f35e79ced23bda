"""Whether members are what they are taken for: trajectories of their own.

A member of `valid` that goes on where one of `train` ends, or is a copy of it, makes every score of a model too good.
Before anything is copied, the first and the last frames of all members are compared. x(k) are the frames of the files
from the first to the last one that is used, k = 0 … T, also those that `every` skips:

    copy           x_i(0) = x_j(0)
    overlap        x_i(0) = x_j(k) for the first few k, or for the k of member j at the time at which i begins, for
                   members that are files
    continuation   x_i(0) = x_j(T+k) for the first few k, or the last few before; or i begins within one frame interval
                   after j ends, for members that are files, and j has no other frame then; or, for the first few k,
                   ‖x_i(0) − x_j(T) − k d‖ ≤ 3 k(k+1)/2 ‖d − d'‖ with d = x_j(T) − x_j(T−1), d' = x_j(T−1) − x_j(T−2),
                   and far smaller than the distance between members that have nothing to do with each other

The norm is over some thousand points. Members that are shifted by many frames, and whose times do not say so, are not
found.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from itertools import combinations
from typing import NamedTuple

import numpy as np

from thermalize.runtime.errors import UserError
from thermalize.truth.imported.archive import Archive
from thermalize.truth.imported.splits import Row, spans

__all__ = ["refuse_copies"]

PROBES = 2048
"""Numbers of a frame that are compared."""
CLOSE = 0.1
"""Of the distance between members that have nothing to do with each other."""
NEAR = 0.05
"""Of the time between two frames of the files, by which times of single precision are off."""
AROUND = 4
"""Frames of the files beside the first and the last one that are compared, whatever their times."""


class _Stop(NamedTuple):
    """Some numbers of the last three frames, and of how many frames further on a member could begin."""

    last: np.ndarray
    further: tuple[int, ...]


@dataclass(frozen=True)
class _Ends:
    """The beginning and the end of a member."""

    member: int
    begin: float
    """By the times in its files."""
    row: Row
    first: str
    """Digest of the first frame."""
    last: str
    varies: bool
    """Whether the first frame has more than one value, so that the same one elsewhere is no chance."""
    early: tuple[str, ...]
    """Digests of the frames after the first one."""
    late: tuple[str, ...]
    """Digests of the frames around the last one."""
    start: np.ndarray
    """Some numbers of the first frame."""
    stops: tuple[_Stop, ...]
    """The end as the member has it, and as its files have it, which may go on a little."""


def refuse_copies(archive: Archive, rows: Iterable[Row]) -> None:
    """Look at the first and last frames of every member that is used.

    Raises:
        UserError: one of them holds what no field has, or a member is a copy or the continuation of another one.
    """
    ends = [_ends(archive, row) for row in spans(rows)]
    _refuse_same(archive, ends)
    if archive.config.files == "member":
        for one, other in combinations(sorted(ends, key=lambda each: each.begin), 2):
            _refuse_in_time(archive, one, other)
    _refuse_near(archive, ends)


def _ends(archive: Archive, row: Row) -> _Ends:
    first, last = archive.frames(row, 0, 1)[0], archive.frames(row, max(0, row.frames - 3), row.frames)
    begin, end, every = archive.raw(row, 0), archive.raw(row, row.frames - 1), archive.config.every
    beyond = min(every, AROUND)
    early = archive.raw_frames(row.member, begin + 1, min(begin + AROUND, end) + 1)
    late = archive.raw_frames(row.member, max(begin + 1, end - AROUND), end + beyond + 1)
    stops = [_Stop(_some(last), (1,))] if len(last) == 3 else []
    newest = min(max(late, default=end), end + beyond - 1)
    if every > 1 and {newest - 2, newest - 1, newest} <= late.keys():
        between = np.stack([late[frame] for frame in (newest - 2, newest - 1, newest)])
        stops.append(_Stop(_some(between), tuple(range(1, end + beyond - newest + 1))))
    return _Ends(
        member=row.member,
        begin=archive.raw_begin(row),
        row=row,
        first=_digest(first),
        last=_digest(last[-1]),
        varies=bool((first != first.flat[0]).any()),
        early=tuple(map(_digest, early.values())),
        late=tuple(map(_digest, late.values())),
        start=_some(first[None])[0],
        stops=tuple(stops),
    )


def _digest(frame: np.ndarray) -> str:
    return sha256(frame.tobytes()).hexdigest()


def _some(frames: np.ndarray) -> np.ndarray:
    flat = frames.reshape(len(frames), -1)
    return flat[:, :: -(-flat.shape[1] // PROBES)].astype(np.float64)


def _refuse_same(archive: Archive, ends: list[_Ends]) -> None:
    """Members that begin where another one begins or ends, to the last bit."""
    begins: dict[str, int] = {}
    for each in ends:
        other = begins.setdefault(each.first, each.member)
        if other != each.member:
            raise UserError(
                f"{archive.name(each.member)} begins with the same frame as {archive.name(other)}: members must be "
                "independent; leave one of them out, or what they have in common with spin_up"
            )
    for each in ends:
        if (other := begins.get(each.last, each.member)) != each.member:
            raise UserError(_continued(archive, other, each.member, "begins with the last frame of"))
    begins = {each.first: each.member for each in ends if each.varies}
    for each in ends:
        early, late = (
            [begins[digest] for digest in found if begins.get(digest, each.member) != each.member]
            for found in (each.early, each.late)
        )
        if early:
            raise UserError(_overlap(archive, early[0], each.member))
        if late:
            raise UserError(_continued(archive, late[0], each.member, "begins with one of the last frames of"))


def _refuse_in_time(archive: Archive, one: _Ends, other: _Ends) -> None:
    """`other` begins after `one`, by the times in the files."""
    at = archive.raw_at(one.row, other.begin)
    frame, end, every = round(at), archive.raw(one.row, one.row.frames - 1), archive.config.every
    if not archive.raw(one.row, 0) < frame <= end + every or abs(at - frame) > NEAR:
        return
    there = archive.raw_frames(one.member, frame, frame + 1).get(frame)
    same = there is not None and _digest(there) == other.first
    if frame <= end and same and other.varies:
        raise UserError(_overlap(archive, other.member, one.member))
    if frame > end and (there is None or same):
        how = "one frame interval" if frame == end + every else "less than one frame interval"
        raise UserError(_continued(archive, other.member, one.member, f"begins {how} after the end of"))


def _refuse_near(archive: Archive, ends: list[_Ends]) -> None:
    """Members that begin where another one would have gone on, to second order."""
    if len(ends) < 2 or not any(each.stops for each in ends):
        return
    starts = np.stack([each.start for each in ends])
    spread = np.median([_size(one - other) for one, other in combinations(starts, 2)])
    for number, each in enumerate(ends):
        for last, further in each.stops:
            error = _size(last[2] - (2 * last[1] - last[0]))
            for steps in further:
                expected = last[2] + steps * (last[2] - last[1])
                bound = 3 * error * steps * (steps + 1) / 2
                near = _size(starts - expected) <= min(bound, CLOSE * spread)
                near[number] = False
                if near.any():
                    other = ends[int(near.argmax())].member
                    raise UserError(_continued(archive, other, each.member, "goes on where the end leads of"))


def _size(difference: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt((difference**2).mean(-1)))


def _overlap(archive: Archive, member: int, before: int) -> str:
    way = "cut the overlap out and write files: time, or leave" if archive.config.files == "member" else "leave"
    return (
        f"{archive.name(member)} overlaps {archive.name(before)}: it begins with a frame of it; {way} one of them out"
    )


def _continued(archive: Archive, member: int, before: int, words: str) -> str:
    return (
        f"{archive.name(member)} {words} {archive.name(before)}: it is its continuation and no member of its own; "
        "join the parts of each member to one trajectory, or leave out what follows at once"
    )
