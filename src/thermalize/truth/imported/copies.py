"""Whether members are what they are taken for: trajectories of their own.

A member of `valid` that goes on where one of `train` ends, or is a copy of it, makes every score of a model too good.
Before anything is copied, the first and the last frames of all members are compared:

    copy           x_i(0) = x_j(0)
    overlap        x_i(0) = x_j(t) at the time t of member j at which i begins, for members that are files
    continuation   x_i(0) = x_j(T); or i begins one frame interval after j ends, for members that are files; or
                   ‖x_i(0) − (2 x_j(T) − x_j(T−1))‖ ≤ 3 ‖x_j(T) − (2 x_j(T−1) − x_j(T−2))‖, and far smaller than the
                   distance between members that have nothing to do with each other

The norm is over some thousand points. Members of one file that are shifted by many frames are not found.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from itertools import combinations

import numpy as np

from thermalize.runtime.errors import UserError
from thermalize.truth.imported.archive import Archive
from thermalize.truth.imported.splits import Row, spans

__all__ = ["refuse_copies"]

PROBES = 2048
"""Numbers of a frame that are compared."""
CLOSE = 0.1
"""Of the distance between members that have nothing to do with each other."""
NEAR = 1e-3
"""Of a frame interval."""


@dataclass(frozen=True)
class _Ends:
    """The beginning and the end of a member."""

    member: int
    begin: float
    """In frame intervals."""
    row: Row
    first: str
    """Digest of the first frame."""
    last: str
    start: np.ndarray
    """Some numbers of the first frame."""
    stop: np.ndarray
    """The same numbers of the last three frames."""


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
    first, last = archive.frames(row, 0, 1), archive.frames(row, max(0, row.frames - 3), row.frames)
    stride = -(-first.size // PROBES)
    return _Ends(
        member=row.member,
        begin=archive.begin(row) / archive.config.frame_interval,
        row=row,
        first=sha256(first[0].tobytes()).hexdigest(),
        last=sha256(last[-1].tobytes()).hexdigest(),
        start=first[0].ravel()[::stride].astype(np.float64),
        stop=last.reshape(len(last), -1)[:, ::stride].astype(np.float64),
    )


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
    lasts = {each.last: each.member for each in ends}
    for each in ends:
        if lasts.get(each.first, each.member) != each.member:
            raise UserError(_continued(archive, each.member, lasts[each.first], "begins with the last frame of"))


def _refuse_in_time(archive: Archive, one: _Ends, other: _Ends) -> None:
    """`other` begins after `one`, by the times in the files."""
    later = other.begin - one.begin
    frame = round(later)
    if frame == 0 or frame > one.row.frames or abs(later - frame) > NEAR:
        return
    if frame == one.row.frames:
        words = "begins one frame interval after the end of"
        raise UserError(_continued(archive, other.member, one.member, words))
    start = archive.frames(one.row, frame, frame + 1)
    if sha256(start[0].tobytes()).hexdigest() == other.first:
        raise UserError(
            f"{archive.name(other.member)} overlaps {archive.name(one.member)}: it begins with a frame of it; cut the "
            "overlap out and write files: time, or leave one of them out"
        )


def _refuse_near(archive: Archive, ends: list[_Ends]) -> None:
    """Members that begin where another one would have gone on, to second order."""
    known = [each for each in ends if len(each.stop) == 3]
    if len(known) < 2:
        return
    starts = np.stack([each.start for each in known])
    spread = np.median([_size(one - other) for one, other in combinations(starts, 2)])
    for each in known:
        expected, before = 2 * each.stop[2] - each.stop[1], 2 * each.stop[1] - each.stop[0]
        error = _size(each.stop[2] - before)
        near = _size(starts - expected) <= min(3 * error, CLOSE * spread)
        near[known.index(each)] = False
        if near.any():
            other = known[int(near.argmax())].member
            raise UserError(_continued(archive, other, each.member, "goes on where the end leads of"))


def _size(difference: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt((difference**2).mean(-1)))


def _continued(archive: Archive, member: int, before: int, words: str) -> str:
    return (
        f"{archive.name(member)} {words} {archive.name(before)}: it is its continuation and no member of its own; "
        "join the "
        "parts of each member to one trajectory, or leave out what follows at once"
    )
