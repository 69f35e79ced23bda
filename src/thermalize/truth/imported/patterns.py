"""Files and Zarr stores of this machine behind the paths and patterns of `simulation.import`.

Whoever plans a workflow asks this, at every call. So a pattern looks at a bounded number of names, follows no link to a
folder, and enters no Zarr store; nothing is opened that could wait for ever, such as a pipe; and no library for URLs is
needed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path

from thermalize.runtime.errors import UserError
from thermalize.truth.imported.kinds import is_store

__all__ = ["SIGNS", "contents", "matches", "refuse_special", "stamp"]

MOST_NAMES = 100_000
"""That a pattern looks at; a disk that is far away lists some ten thousand a second."""
SIGNS = "*?["
"""Of which a pattern has one."""
SPECIAL = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def matches(pattern: str) -> list[Path]:
    """What a path or a pattern such as data/*.nc stands for, as absolute paths in the order of their names.

    Raises:
        UserError: it is no name that a file can have, or that of a pipe, a device or a socket, or too many names would
            have to be looked at.
    """
    try:
        path = Path(pattern).expanduser()
        found = (
            [path] if path.exists() or path.is_symlink() else list(dict.fromkeys(_Search(pattern).below(*_split(path))))
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"simulation.import: {pattern!r} is no path ({error}); correct it") from None
    for each in found:
        refuse_special(each)
    return sorted(each.absolute() for each in found)


def contents(path: Path) -> list[Path]:
    """The file itself, or all files of a Zarr store, sorted."""
    return sorted(each for each in path.rglob("*") if each.is_file()) if is_store(path) else [path]


def stamp(paths: Sequence[Path]) -> str:
    """Digest of names, sizes and times of change, by which a change is noticed without a look at the contents."""
    digest = sha256()
    for path in paths:
        for each in contents(path):
            status = each.stat()
            digest.update(f"{each}:{status.st_size}:{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def refuse_special(path: Path) -> None:
    """Raise a `UserError` where a path is a link to nothing, a pipe, a device or a socket."""
    if path.is_symlink() and not path.exists():
        raise UserError(
            f"simulation.import: {path} is a link to {path.readlink()}, which does not exist; bring the file there, "
            "or "
            "name where it lies"
        )
    kind = SPECIAL.get(stat.S_IFMT(path.stat().st_mode))
    if kind is not None:
        raise UserError(f"simulation.import: {path} is {kind} and no file; write its contents to a file first")


class _Search:
    """The files that a pattern matches, while no more than `MOST_NAMES` names are looked at."""

    def __init__(self, pattern: str) -> None:
        self._pattern, self._seen = pattern, 0

    def below(self, folder: Path, parts: tuple[str, ...]) -> Iterator[Path]:
        """What matches `parts`, one folder deeper each; `**` is any number of folders, also none."""
        if not parts:
            yield folder
        elif parts[0] == "**":
            yield from self.below(folder, parts[1:] or ("*",))
            for entry in self._entries(folder):
                if entry.is_dir(follow_symlinks=False) and entry.name[0] != "." and not is_store(Path(entry.path)):
                    yield from self.below(Path(entry.path), parts)
        elif any(sign in parts[0] for sign in SIGNS):
            for entry in self._entries(folder):
                hidden = entry.name[0] == "." and parts[0][0] != "."
                if not hidden and fnmatchcase(entry.name, parts[0]) and (len(parts) == 1 or entry.is_dir()):
                    yield from self.below(Path(entry.path), parts[1:])
        elif (folder / parts[0]).exists():
            yield from self.below(folder / parts[0], parts[1:])

    def _entries(self, folder: Path) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    self._seen += 1
                    if self._seen > MOST_NAMES:
                        raise UserError(
                            f"simulation.import: {self._pattern} would look at more than {MOST_NAMES} files; begin it "
                            "with the folder that holds the data, or list the files"
                        )
                    yield entry
        except OSError:
            return


def _split(path: Path) -> tuple[Path, tuple[str, ...]]:
    """The folder that a pattern begins in, and its parts; one `**` after another adds nothing."""
    start = Path(path.anchor) if path.anchor else Path()
    parts = path.parts[1:] if path.anchor else path.parts
    return start, tuple(
        part for number, part in enumerate(parts) if part != "**" or parts[number - 1 : number] != ("**",)
    )
