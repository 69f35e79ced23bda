"""Comparing any file or folder of the results with its digests, and saying of every fault where it is.

    <name>.manifest.json, <name>.zarr     every file of the store, wherever it lies
    SHA256SUMS                            every file that it names in its folder
    <file>.sha256                         the file beside it
    anything else                         has no digest, and is counted as such

Links that lead out of what was asked for are named and not followed: one to the root of the disk would never end.
Unfinished work (`….partial…`) and what begins with a dot belong to stages that are running or will go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from thermalize.runtime.errors import UserError
from thermalize.store import sealed
from thermalize.store.record import SUFFIX, faults, read_manifest
from thermalize.store.results import DIGEST, SUMS

__all__ = ["Audit", "audit"]

MOST_NAMES = 8
STORE = ".zarr"


@dataclass
class Audit:
    """What was found below `path`: how many artifacts and files match, each fault in a sentence, what has no digest."""

    path: Path
    artifacts: int = 0
    files: int = 0
    faults: list[str] = field(default_factory=list)
    bare: list[Path] = field(default_factory=list)

    def summary(self) -> str:
        """One line."""
        several = f" of {self.artifacts} artifacts" if self.artifacts > 1 else ""
        text = f"{self.path}: {self.files} files{several} match their digests"
        if self.faults:
            text += f"; {len(self.faults)} faults"
        if self.bare:
            names = [str(path) for path in self.bare[:MOST_NAMES]]
            more = len(self.bare) - len(names)
            text += f"; without a digest: {', '.join(names)}" + (f" and {more} more" if more else "")
        return text


def audit(path: Path) -> Audit:
    """Compare everything at `path` and below.

    Raises:
        UserError: there is nothing, or nothing that has a digest.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist; name a file or folder of the results")
    found = Audit(path)
    for each in _targets(path, found):
        _compare(each, found)
    if not found.artifacts and not found.faults:
        raise UserError(
            f"{path} holds no results with digests; name a store, a model, a file of the results or a folder"
        )
    return found


def _targets(path: Path, found: Audit) -> Iterator[Path]:
    """The files to look at for `path`: manifests, digests, and what has none."""
    stores = [each for each in (path, path.absolute(), *path.absolute().parents) if each.name.endswith(STORE)]
    store = next((each for each in stores if _manifest(each).is_file()), path if path.name.endswith(STORE) else None)
    if store is not None:
        yield _manifest(store)
    elif path.is_dir():
        yield from _walk(path, set(), found)
    elif (path.parent / SUMS).is_file() and path.name in sealed.sums(path.parent / SUMS):
        yield path.parent / SUMS
    else:
        beside = path.with_name(path.name + DIGEST)
        yield beside if beside.is_file() else path


def _walk(folder: Path, seen: set[Path], found: Audit) -> Iterator[Path]:
    if folder.resolve() in seen:  # a link that leads back
        return
    seen.add(folder.resolve())
    names = sorted(path for path in folder.iterdir() if not path.name.startswith(".") and ".partial" not in path.name)
    covered = {folder / path.name.removesuffix(DIGEST) for path in names if path.name.endswith(DIGEST)}
    if (folder / SUMS).is_file():
        covered |= {folder / name for name in _named(folder / SUMS)}
    for path in names:
        if path.is_dir() and not path.resolve().is_relative_to(found.path.resolve()):
            found.faults.append(f"{path} is a link that leads out of {found.path}, and is not followed; name it")
        elif path.is_dir():
            if not path.name.endswith(STORE):
                yield from _walk(path, seen, found)
            elif _manifest(path) not in names:
                yield _manifest(path)
        elif path not in covered:
            yield path


def _manifest(store: Path) -> Path:
    return store.with_name(store.name.removesuffix(STORE) + SUFFIX)


def _named(path: Path) -> set[str]:
    try:
        return set(sealed.sums(path))
    except UserError:
        return set()


def _compare(path: Path, found: Audit) -> None:
    """Compare what a manifest or a digest file speaks of."""
    try:
        if path.name.endswith(SUFFIX):
            record = read_manifest(path)
            wrong, files = list(map(str, faults(record, path.parent, None))), len(record.digests)
        elif path.name == SUMS or path.name.endswith(DIGEST):
            names = sealed.sums(path)
            wrong, files = [fault for name in names for fault in _faults(path, name)], len(names)
        else:
            found.bare.append(path)
            return
    except UserError as error:
        found.faults.append(str(error))
        return
    found.faults += wrong
    found.files += files - len(wrong)
    found.artifacts += 1


def _faults(path: Path, name: str) -> list[str]:
    try:
        sealed.read_named(path, name)
    except UserError as error:
        return [str(error)]
    return []
