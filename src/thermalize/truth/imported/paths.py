"""Files and Zarr stores behind the paths, URLs and patterns of `simulation.import`.

Whoever plans a workflow asks this too, at every call. So a pattern looks at a bounded number of names, follows no link
to a folder, and enters no Zarr store; and nothing is opened that could wait for ever, such as a pipe.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path

from upath import UPath

from thermalize.config.texts import is_url
from thermalize.runtime.errors import UserError
from thermalize.store.location import Place, elsewhere, reaching
from thermalize.truth.imported.kinds import MARKS, is_store, refuse_foreign

__all__ = ["contents", "find", "matches", "stamp"]

MOST_NAMES = 100_000
"""That a pattern looks at; a disk that is far away lists some ten thousand a second."""
SIGNS = "*?["
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
        _refuse_special(each)
    return sorted(each.absolute() for each in found)


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


def _refuse_special(path: Path) -> None:
    if path.is_symlink() and not path.exists():
        raise UserError(
            f"simulation.import: {path} is a link to {path.readlink()}, which does not exist; bring the file there, "
            "or "
            "name where it lies"
        )
    kind = SPECIAL.get(stat.S_IFMT(path.stat().st_mode))
    if kind is not None:
        raise UserError(f"simulation.import: {path} is {kind} and no file; write its contents to a file first")


def find(patterns: Iterable[str]) -> list[Place]:
    """The files and stores of all patterns, each once.

    Raises:
        UserError: a pattern matches nothing, or something that is no NetCDF file and no Zarr store, or a URL does not
            answer.
    """
    found: dict[Place, None] = {}
    for pattern in patterns:
        some = _at_url(pattern) if is_url(pattern) else matches(pattern)
        if not some:
            raise UserError(f"simulation.import: {_missing(pattern)}")
        found |= dict.fromkeys(some)
    for path in found:
        if isinstance(path, UPath):
            _refuse_other_than_zarr(path)
        else:
            refuse_foreign(path)
            _refuse_irregular(path)
    return list(found)


def _refuse_irregular(store: Path) -> None:
    """Raise a `UserError` if something in a Zarr store is no file and no folder.

    To read a pipe may take for ever. A link may lead to any file of this machine, which would come in as numbers, and
    to folders whose changes would not be noticed.
    """
    for folder, folders, names in os.walk(store):
        for path in (Path(folder, name) for name in (*folders, *names)):
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                raise UserError(
                    f"simulation.import: {path} is a link, and none is followed in a Zarr store; copy the store with "
                    "what its links lead to, as cp -rL does"
                )
            if not stat.S_ISDIR(mode):
                _refuse_special(path)


def _at_url(pattern: str) -> list[UPath]:
    place = elsewhere(pattern)
    with reaching(place):
        return [elsewhere(place.fs.unstrip_protocol(name)) for name in sorted(place.fs.glob(place.path))]


def _refuse_other_than_zarr(place: UPath) -> None:
    with reaching(place):
        if not any((place / mark).is_file() for mark in MARKS):
            raise UserError(
                f"simulation.import: {place} is no Zarr store, and nothing else is read from a URL; "
                "copy NetCDF files to this machine, or convert them to Zarr"
            )


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


def _missing(pattern: str) -> str:
    if is_url(pattern):
        return f"nothing lies at {pattern}; check the URL"
    place = f"paths begin in the folder that the command runs in, {Path.cwd()}"
    if any(sign in pattern for sign in SIGNS):
        return f"no file matches {pattern}; {place}"
    path = Path(pattern).expanduser()
    names = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
    close = get_close_matches(path.name, names, n=1)
    hint = f"did you mean {path.parent / close[0]}?" if close else place
    return f"{pattern} does not exist; {hint}"
