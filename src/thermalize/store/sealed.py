"""Files that are known to be whole: beside each lies its SHA-256, which is compared before a byte of it is used.

    seed0.nc           an artifact
    seed0.nc.sha256    its digest, as `sha256sum` writes it, so that `sha256sum -c` can tell too
    SHA256SUMS         the digests of a folder whose files belong together, such as a model

The digest is written last. Where a writer is killed, or a file is changed, cut, lost or taken from elsewhere, the two
do not match; readers then refuse the file by name, and the stage that writes it makes it again.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from thermalize.runtime.errors import UserError
from thermalize.runtime.files import MOST, write_bytes, write_text
from thermalize.store.results import DIGEST, SUMS

__all__ = [
    "changed",
    "content",
    "is_sealed",
    "read",
    "read_member",
    "read_named",
    "seal_folder",
    "sums",
    "write",
    "write_digest",
]

LINE = re.compile(r"([0-9a-f]{64}) [ *]([^/\\\0]+)")
"""Of a digest file: names lie in the folder of the file, whatever it says."""


def write(path: Path, data: bytes) -> None:
    """Replace the file `path` by one that holds `data`, and then its digest."""
    write_bytes(path, data)
    write_digest(path, data)


def write_digest(path: Path, data: bytes) -> None:
    """Write the digest of the file `path`, which holds `data`."""
    write_text(_beside(path), _line(path.name, data))


def read(path: Path, required: bool = True) -> bytes:
    """The content of `path`, which is as it was written.

    Args:
        path: an artifact with its digest beside it.
        required: refuse one without a digest, too.

    Raises:
        UserError: it is missing, has no digest, or does not match it.
    """
    data = content(path)
    if required or _beside(path).exists():
        _compare(path, data, sums(_beside(path)))
    return data


def seal_folder(folder: Path, names: Iterable[str]) -> None:
    """Write the digests of the named files of a folder, once they are all there."""
    write_text(folder / SUMS, "".join(_line(name, (folder / name).read_bytes()) for name in names))


def read_member(folder: Path, name: str, most: int | None = None) -> bytes:
    """The content of a file of a sealed folder, which is as it was written.

    Raises:
        UserError: it is missing, not among the files that were sealed, larger than `most` bytes, or changed.
    """
    return read_named(folder / SUMS, name, most)


def read_named(digests: Path, name: str, most: int | None = None) -> bytes:
    """The same for one of the files that the digest file `digests` speaks of."""
    path = digests.with_name(name)
    data = content(path, most)
    _compare(path, data, sums(digests))
    return data


def is_sealed(folder: Path, names: Iterable[str]) -> bool:
    """Whether all these files of a folder are there as they were written."""
    try:
        for name in names:
            read_member(folder, name)
    except UserError:
        return False
    return True


def sums(path: Path) -> dict[str, str]:
    """SHA-256 by name of the files that a digest file speaks of.

    Raises:
        UserError: it is missing, or something else.
    """
    try:
        text = content(path, MOST).decode()
    except UnicodeDecodeError:
        text = ""
    lines = [LINE.fullmatch(line) for line in text.removesuffix("\n").split("\n")]
    found = {line[2]: line[1] for line in lines if line is not None}
    if not text.endswith("\n") or len(found) != len(lines):
        raise UserError(f"{path} is damaged: it holds no digests as sha256sum writes them; run its stage again")
    return found


def changed(path: object) -> UserError:
    """What is said of a file that does not match its digest."""
    return UserError(f"{path} was changed or damaged after it was written; run its stage again")


def _compare(path: Path, data: bytes, known: dict[str, str]) -> None:
    if known.get(path.name) != sha256(data).hexdigest():
        raise changed(path)


def content(path: Path, most: int | None = None) -> bytes:
    """All that is in a plain file, which a pipe, a device or a folder is not; sealed or not.

    Raises:
        UserError: it is missing, something else, larger than `most` bytes, or cannot be read.
    """
    try:
        # Opened before it is looked at, so that nothing takes its place in between; nobody waits for the end of a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise UserError(f"{path} is not a file; move it away and run the stage that writes it")
            if most is not None and found.st_size > most:
                raise UserError(f"{path} has {found.st_size} bytes, which no file of its kind has; run its stage again")
            return file.read()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; run the stage that writes it, or the workflow") from None
    except OSError as error:
        if error.errno in (errno.EISDIR, errno.ENXIO):  # ENXIO is what a socket or a device without a driver says
            raise UserError(f"{path} is not a file; move it away and run the stage that writes it") from None
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except MemoryError:
        raise UserError(
            f"{path} is larger than the memory of this machine; delete it and run its stage again"
        ) from None


def _beside(path: Path) -> Path:
    return path.with_name(path.name + DIGEST)


def _line(name: str, data: bytes) -> str:
    return f"{sha256(data).hexdigest()}  {name}\n"
