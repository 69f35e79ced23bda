"""Files that are either the old one or the new one, never half of each.

A file is written under a temporary name in its own folder, synced to disk, and renamed over the old one; the rename is
atomic within a file system, and the folder is synced so that the rename itself survives a power cut.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from thermalize.runtime.errors import UserError

__all__ = [
    "exclusive",
    "explaining",
    "open_lock",
    "read_bytes",
    "read_json",
    "refused",
    "remove",
    "replacing",
    "sync",
    "write_bytes",
    "write_text",
]

MOST = 1 << 26
"""Bytes of the largest file of ours that is read as a whole: a record of a hundred thousand shards has a tenth."""

OTHERS = {errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.EISDIR}
"""What the system says of a link, a pipe without a reader, a socket or a folder that is opened as a file."""

REASONS = {
    errno.ENOSPC: "no space is left on the device; free some and run the same command again, finished work is kept",
    errno.EDQUOT: "the disk quota is used up; free some space and run the same command again, finished work is kept",
    errno.EFBIG: "the file is larger than this system allows; lower shard_frames or lift the limit (ulimit -f)",
    errno.EROFS: "the file system is read-only; choose another folder for the results",
    errno.EACCES: "permission denied; make the folder writable or choose another one",
    errno.EPERM: "the operation is not permitted here; make the folder writable or choose another one",
    errno.ENOTDIR: "a part of the path is a file, not a folder; move it away or choose another folder",
    errno.EIO: "the disk reports an input/output error; check it and run the same command again",
    errno.EEXIST: "a file stands where a folder is needed; move it away or choose another folder",
    errno.EISDIR: "a folder stands where a file is needed; move it away or choose another folder",
    errno.ENAMETOOLONG: "the name is too long for this file system; shorten the names in the configuration or the path",
    errno.ELOOP: "a link stands in the place of the file, or links lead in a circle; delete them and run it again",
    errno.EMFILE: "too many files are open; raise the limit of this process (ulimit -n) and run the same command again",
    errno.ENFILE: "too many files are open on this machine; close some programs and run the same command again",
    errno.ESTALE: "the file server has lost the folder; mount it again and run the same command again",
}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path with the same suffix; what is written there takes the place of `path` if no error occurs.

    Folders above it are made.

    Raises:
        UserError: the disk is full, the folder is read-only and so on.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    with explaining(path, temporary):
        path.parent.mkdir(parents=True, exist_ok=True)
        # whatever waits there under this name, a link above all, is not to be written through
        remove(temporary)
        try:
            yield temporary
            sync(temporary)
            temporary.replace(path)
            sync(path.parent)
        finally:
            with suppress(OSError):  # there is a better error to tell, or nothing to delete
                temporary.unlink()


def write_bytes(path: Path, data: bytes) -> None:
    """Replace the file `path` by one that holds `data`."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, data: str) -> None:
    """Replace the file `path` by one that holds `data` in UTF-8."""
    write_bytes(path, data.encode())


def open_lock(path: Path) -> IO[bytes]:
    """The plain file `path`, which is to be locked, made where there is none.

    Raises:
        UserError: a link stands there, which would be written through, a pipe, which would be waited for, or the like.
    """
    descriptor = _plain(path, os.O_RDWR | os.O_CREAT)
    if descriptor is None:
        raise UserError(f"{path} is no plain file, as a lock must be; delete it, then run the same command again")
    return os.fdopen(descriptor, "r+b")


def read_bytes(path: Path, most: int = MOST, head: int | None = None) -> bytes | None:
    """The contents of a plain file of ours; None where there is none, or a link, a pipe, a folder or what is larger.

    Args:
        path: of the file.
        most: bytes that it may have.
        head: read no more than so many at its beginning, however many it has.

    Raises:
        UserError: the file is there but cannot be read, so that nobody can tell what it holds.
    """
    try:
        descriptor = _plain(path, os.O_RDONLY)
        if descriptor is None:
            return None
        with os.fdopen(descriptor, "rb") as file:
            if head is not None:
                return file.read(head)
            return file.read() if os.fstat(descriptor).st_size <= most else None
    except (FileNotFoundError, NotADirectoryError, MemoryError):
        return None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; give yourself permission, or delete it") from None


def read_json(path: Path) -> Any:
    """The JSON value in a plain file of ours; None where there is none."""
    data = read_bytes(path)
    with suppress(ValueError, RecursionError):
        return None if data is None else json.loads(data)
    return None


def _plain(path: Path, flags: int) -> int | None:
    """The descriptor of a plain file, told by what was opened, which waits for nobody and follows no link to a file.

    None where something else is there; an OSError where nothing is, or it may not be opened.
    """
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno in OTHERS:
            return None
        raise
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def sync(path: Path) -> None:
    """Return once a file, or the names within a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Delete a file or a link, or nothing where there is none; never a folder."""
    path.unlink(missing_ok=True)


@contextmanager
def explaining(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Turn a full disk, a read-only folder and their like into a `UserError` that names the file and what to do.

    `path` is named where the error names no file, or names the `temporary` one that stands for it.
    """
    try:
        yield
    except OSError as error:
        above = [str(each) for each in (*path.parents, *path.absolute().parents)]
        nowhere = error.errno == errno.ENOENT and error.filename in above
        reason = "no folder can be made there; choose another one" if nowhere else REASONS.get(error.errno or 0)
        if reason is None:
            raise
        named = path if error.filename in (None, str(temporary)) else error.filename
        raise UserError(f"Cannot write {named}: {reason}") from error


def refused(error: OSError) -> str:
    """What any error of the disk comes to, in one sentence with the file and what to do."""
    name = error.filename
    if error.errno == errno.ENOENT and name is not None:
        return f"{name} does not exist; run the stage that writes it, or the workflow"
    if error.errno == errno.EACCES and name is not None and Path(name).exists() and not os.access(name, os.R_OK):
        return f"{name} may not be read; ask its owner for permission, or make it readable (chmod)"
    reason = REASONS.get(error.errno or 0, error.strerror or str(error) or type(error).__name__)
    return f"Cannot read or write {name}: {reason}" if name is not None else f"The system refused: {reason}"


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file of `path`; a second job with the same output waits until the first is done.

    The lock belongs to the process, so the system drops it when the process is killed.
    """
    name = path.with_name(f".{path.name}.lock")
    lock = FileLock(name)
    with explaining(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        open_lock(name).close()
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"Another job is writing {path}; waiting for it.", file=sys.stderr, flush=True)
            lock.acquire()
    try:
        yield
    finally:
        lock.release()
