"""Which stretch of which member becomes a row of which split; no frame belongs to two of them.

    split: member    train = members 0 … a−1,  valid = a … b−1,  test = b … c−1, each from its first frame on
    split: time      | train: windows one after the other | gap | valid | gap | test |    for every member alike

Nothing is read here: what the splits need is compared with how many members and frames there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from thermalize.config import ImportConfig
from thermalize.config.base import SplitName
from thermalize.runtime.errors import UserError

__all__ = ["ORDER", "Row", "rows", "spans"]

ORDER: tuple[SplitName, ...] = ("train", "valid", "test")


@dataclass(frozen=True)
class Row:
    """`frames` frames of a member from its frame `start` on, counted after `spin_up` and `every`."""

    member: int
    start: int
    frames: int


def rows(config: ImportConfig, lengths: Sequence[int]) -> dict[SplitName, tuple[Row, ...]]:
    """The rows of every split.

    Args:
        config: `split`, `splits` and `gap` of it are used.
        lengths: frames of every member in the files.

    Raises:
        UserError: the files hold too few members or frames.
    """
    return _by_member(config, lengths) if config.split == "member" else _by_time(config, lengths)


def spans(chosen: Iterable[Row]) -> list[Row]:
    """What reaches from the first to the last frame of every member that occurs in rows."""
    found: dict[int, Row] = {}
    for row in chosen:
        known = found.get(row.member, row)
        start = min(known.start, row.start)
        stop = max(known.start + known.frames, row.start + row.frames)
        found[row.member] = Row(row.member, start, stop - start)
    return list(found.values())


def _by_member(config: ImportConfig, lengths: Sequence[int]) -> dict[SplitName, tuple[Row, ...]]:
    needed = sum(config.splits[split].members for split in ORDER)
    if needed > len(lengths):
        parts = " + ".join(str(config.splits[split].members) for split in ORDER)
        raise UserError(
            f"simulation.splits needs {parts} = {needed} members, but the files hold {len(lengths)}; lower members"
        )
    found: dict[SplitName, tuple[Row, ...]] = {}
    first = 0
    for split in ORDER:
        members, frames = config.splits[split].members, config.splits[split].frames
        found[split] = tuple(Row(member, 0, frames) for member in range(first, first + members))
        first += members
        for row in found[split]:
            if lengths[row.member] < frames:
                raise UserError(
                    f"simulation.splits.{split}.frames = {frames}, but member {row.member} of the files has "
                    f"{lengths[row.member]} frames{_left_over(config)}; lower frames"
                )
    return found


def _by_time(config: ImportConfig, lengths: Sequence[int]) -> dict[SplitName, tuple[Row, ...]]:
    dropped = ceil((config.gap or 0.0) / config.frame_interval - 1e-9)
    found: dict[SplitName, tuple[Row, ...]] = {}
    begin = 0
    for split in ORDER:
        frames, windows = config.splits[split].frames, _windows(config, split, len(lengths))
        starts = range(begin, begin + windows * frames, frames)
        found[split] = tuple(Row(member, start, frames) for start in starts for member in range(len(lengths)))
        begin += windows * frames + dropped
    needed = begin - dropped
    if needed > min(lengths):
        raise UserError(
            f"simulation.splits needs {needed} frames with two gaps of {dropped}, but the files hold "
            f"{min(lengths)}{_left_over(config)}; lower members or frames"
        )
    return found


def _windows(config: ImportConfig, split: SplitName, members: int) -> int:
    """Windows of time that give every member of the files as many rows."""
    wanted = config.splits[split].members
    if wanted % members:
        raise UserError(
            f"simulation.splits.{split}.members = {wanted} is not divisible by the {members} members of the files, "
            f"each of which is cut into as many windows; try members: {members * -(-wanted // members)}"
        )
    return wanted // members


def _left_over(config: ImportConfig) -> str:
    spin_up = [f"spin_up = {config.spin_up:g}"] if config.spin_up else []
    every = [f"every = {config.every}"] if config.every > 1 else []
    return f" after {' and '.join(spin_up + every)}" if spin_up + every else ""
