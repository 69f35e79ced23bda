"""Files and Zarr stores behind the paths, URLs and patterns of `simulation.import`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from glob import glob
from hashlib import sha256
from pathlib import Path

from upath import UPath

from thermalize.config.urls import is_url
from thermalize.errors import UserError
from thermalize.store.place import Place, elsewhere, reaching

__all__ = ["contents", "find", "matches", "stamp"]

MARKS = ("zarr.json", ".zgroup", ".zmetadata")
"""Files of which a Zarr store, of format 3 or 2, has one."""


def matches(pattern: str) -> list[Path]:
    """What a path or a pattern such as data/*.nc stands for, as absolute paths in the order of their names."""
    path = Path(pattern).expanduser()
    found = [path] if path.exists() else [Path(each) for each in glob(str(path), recursive=True)]  # noqa: PTH207 - of any root
    return sorted(each.absolute() for each in found)


def find(patterns: Iterable[str]) -> list[Place]:
    """The files and stores of all patterns, each once.

    Raises:
        UserError: a pattern matches nothing, or a folder that is no Zarr store, or a URL does not answer.
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
        elif path.is_dir() and not any((path / mark).is_file() for mark in MARKS):
            raise UserError(
                f"simulation.import: {path} is a folder but no Zarr store; name files in it, as {path.name}/*.nc"
            )
    return list(found)


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
    return sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]


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
    if any(sign in pattern for sign in "*?["):
        return f"no file matches {pattern}; {place}"
    path = Path(pattern).expanduser()
    names = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
    close = get_close_matches(path.name, names, n=1)
    hint = f"did you mean {path.parent / close[0]}?" if close else place
    return f"{pattern} does not exist; {hint}"
