"""Files and Zarr stores behind the paths, URLs and patterns of `simulation.import`, each held to be one of these."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from upath import UPath

from thermalize.config.texts import is_url
from thermalize.runtime.errors import UserError
from thermalize.store.location import Place, elsewhere, reaching
from thermalize.truth.imported.kinds import MARKS, refuse_foreign
from thermalize.truth.imported.patterns import SIGNS, matches, refuse_special

__all__ = ["find"]


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
                refuse_special(path)


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
