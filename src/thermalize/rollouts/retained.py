"""Frames of a running rollout that stores few of them, kept on this machine until they are measured.

    <name>.zarr.partial.blocks/frames-0003-0007.float32     frames of chunk 3 of member 7, as raw numbers

What is kept are the last frames of each member, so that the disk that is needed does not depend on the length of the
rollout. A member that is lost keeps those before its loss.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thermalize.runtime.files import remove
from thermalize.store.blocks import BlockLog

__all__ = ["Retained"]

Array = NDArray[np.float32]
NAME = re.compile(r"frames-(\d+)-(\d+)\.float32")


@dataclass(frozen=True)
class Retained:
    """The last frames of some members of a rollout.

    Attributes:
        log: of the unfinished store, in whose folder the files lie.
        shape: (member, time, channel, *grid) of the whole rollout.
        chunk: frames of a file.
        members: which are kept.
        length: frames up to the last one of a member that are kept, and one more before them.
    """

    log: BlockLog
    shape: tuple[int, ...]
    chunk: int
    members: Sequence[int]
    length: int

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getitem__(self, place: tuple[int, slice]) -> Array:
        """Frames of one member that are kept, (time, channel, *grid)."""
        member, time = place
        parts = []
        for number in range(time.start // self.chunk, -(-time.stop // self.chunk)):
            begin, end = self._frames(number)
            whole = np.memmap(
                self.log.folder / _name(number, member), np.float32, "r", shape=(end - begin, *self.shape[2:])
            )
            parts.append(whole[max(time.start - begin, 0) : time.stop - begin])
        return np.concatenate(parts)

    def keep(self, number: int, fields: Array) -> dict[str, str]:
        """Keep the frames (member, time, channel, *grid) of a chunk; the digests of the files by name."""
        files = {_name(number, member): np.ascontiguousarray(fields[member], np.float32) for member in self.members}
        return {name: self.log.keep(name, values.tobytes()) for name, values in files.items()}

    def drop(self, before: NDArray[np.int64], last: NDArray[np.int64]) -> None:
        """Delete what is needed no more where members (member,) are finite up to `last`.

        They were up to `before` a chunk earlier, and what was needed then stays: it may have to go on from there.
        """
        for path in self.log.folder.glob("frames-*"):
            if (found := NAME.fullmatch(path.name)) and not self._needed(int(found[1]), int(found[2]), before, last):
                remove(path)

    def whole(self, number: int, last: NDArray[np.int64], known: Mapping[int, Mapping[str, str]]) -> bool:
        """Whether all is there that is needed after a chunk, with the digests that are `known` of each chunk."""
        state = 4 * int(np.prod(self.shape[2:]))
        needed = [
            (earlier, _name(earlier, member), state * self.chunk)
            for earlier in range(number + 1)
            for member in self.members
            if self._needed(earlier, member, last, last)
        ]
        return all(self.log.kept(name, known[earlier].get(name), size) is not None for earlier, name, size in needed)

    def _needed(self, number: int, member: int, before: NDArray[np.int64], last: NDArray[np.int64]) -> bool:
        begin, end = self._frames(number)
        return bool(end > before[member] - self.length and begin <= last[member])

    def _frames(self, number: int) -> tuple[int, int]:
        return number * self.chunk, min((number + 1) * self.chunk, self.shape[1])


def _name(number: int, member: int) -> str:
    return f"frames-{number:04d}-{member:04d}.float32"
