"""Where files lie: a path of this machine, or a URL of any scheme that fsspec knows.

Both are joined with `/`, opened and printed alike, so that what only reads files need not know which it has. Object
stores have no rename and no sync, but a whole object appears at once and is listed with its size.

Credentials are found by the provider's own library, in the environment or its own files. The words of its errors are
left out of ours, because they may hold some.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import file_digest, sha256
from os import strerror
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import get_filesystem_class, known_implementations
from upath import UPath

from thermalize.runtime.errors import UserError
from thermalize.runtime.files import explaining, remove, sync

if TYPE_CHECKING:
    from io import BufferedReader

__all__ = [
    "HASHING_THREADS",
    "Place",
    "UnreachableError",
    "delete",
    "digest",
    "digest_of",
    "digests",
    "elsewhere",
    "listing",
    "put",
    "reaching",
    "sizes",
    "sync_folders",
]

Place = Path | UPath
HASHING_THREADS = 4

# what others write meanwhile must be seen
OPTIONS: dict[str, Any] = {"use_listings_cache": False}
OF_SCHEME: dict[str, dict[str, Any]] = {"file": {"auto_mkdir": True}, "local": {"auto_mkdir": True}}
EXTRAS = {"s3": "s3", "s3a": "s3"}
NO_CONNECTION = {"ConnectionError", "ClientConnectionError", "HTTPClientError", "TimeoutError"}
"""Classes of errors of the standard library, botocore and aiohttp, by name: none of them is needed here."""


class UnreachableError(UserError):
    """A place elsewhere did not answer, or did not let us in; what lies there may be whole."""


def elsewhere(url: str) -> UPath:
    """The place of a URL; nothing is asked yet.

    Raises:
        UnreachableError: the scheme is unknown, or the package that it needs is not installed.
    """
    scheme = url.partition("://")[0]
    try:
        get_filesystem_class(scheme)
    except ImportError:
        raise UnreachableError(f"{url} cannot be used: {_install(scheme)}") from None
    except ValueError:
        sentence = f"{url} cannot be used: the scheme {scheme}:// is unknown; write s3:// or file:///"
        raise UnreachableError(sentence) from None
    return UPath(url, **OPTIONS, **OF_SCHEME.get(scheme, {}))


@contextmanager
def reaching(place: object) -> Iterator[None]:
    """Turn whatever a provider's library raises meanwhile into an `UnreachableError` in our own words."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # each library has its own
        raise UnreachableError(f"{place} cannot be reached: {_reason(error)}") from None


def listing(root: UPath) -> dict[str, dict[str, Any]]:
    """What the provider tells of all files below `root`, by their name relative to it: at least the size in bytes."""
    with reaching(root):
        try:
            found = root.fs.find(root.path, detail=True)
        except FileNotFoundError:
            return {}
    beginning = root.path.rstrip("/") + "/"
    return {name.removeprefix(beginning): info for name, info in sorted(found.items())}


def sizes(root: Place) -> dict[str, int]:
    """Size in bytes of all files below `root`, by their name relative to it."""
    if isinstance(root, UPath):
        return {name: int(info["size"]) for name, info in listing(root).items()}
    found = (Path(folder, name) for folder, _, names in os.walk(root) for name in names)
    return {path.relative_to(root).as_posix(): path.stat().st_size for path in found}


def put(place: Place, content: bytes) -> None:
    """Write a file, which has arrived, or is on the disk, once this returns; one that was there is replaced."""
    if isinstance(place, Path):
        with explaining(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            remove(place)  # a link above all, which would be written through
            with place.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        return
    with reaching(place):
        place.fs.pipe_file(place.path, content)
        if isinstance(place.fs, LocalFileSystem):
            # a disk, unlike an object store, may lose what it took
            sync(Path(place.path))


def sync_folders(root: Path) -> None:
    """Return once the names of all files below `root` are on the disk."""
    for folder, _, _ in os.walk(root):
        sync(Path(folder))


def digest_of(content: bytes) -> str:
    """SHA-256 as "sha256:…"."""
    return f"sha256:{sha256(content).hexdigest()}"


def digest(path: Place) -> str:
    """SHA-256 of a file, read bit by bit."""
    if isinstance(path, Path) and path.exists() and not path.is_file():  # a pipe would be waited for
        raise OSError(errno.EISDIR if path.is_dir() else errno.EINVAL, "it is not a file", str(path))
    with path.open("rb") as file:
        return f"sha256:{file_digest(cast('BufferedReader', file), 'sha256').hexdigest()}"


def digests(root: Place, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of the named files below `root`; a missing one raises FileNotFoundError."""
    names = list(names)
    with ThreadPoolExecutor(HASHING_THREADS) as pool:
        return dict(zip(names, pool.map(lambda name: digest(root / name), names), strict=True))


def delete(root: Place) -> None:
    """Delete a file, or all files below a folder at a URL, or nothing where there is none.

    What tells that a folder holds a store goes last, so that a deletion that was interrupted can be finished.
    """
    if isinstance(root, Path):
        remove(root)
        return
    rest = [f"{root.path.rstrip('/')}/{name}" for name in listing(root) if name not in (root.path, "zarr.json")]
    with reaching(root):
        try:
            if rest:
                root.fs.rm(rest)
            root.fs.rm(root.path, recursive=True)
        except FileNotFoundError:
            return


def _install(scheme: str) -> str:
    if scheme in EXTRAS:
        return f"install what {scheme}:// needs with pip install 'thermalize[{EXTRAS[scheme]}]'"
    return f"{known_implementations[scheme].get('err', 'a package is missing')}"


def _reason(error: Exception) -> str:
    names = {each.__name__ for each in type(error).__mro__}
    again = "run the same command again, what is finished is kept"
    if isinstance(error, FileNotFoundError):
        return "there is no such bucket or folder; create it, or correct the URL"
    if isinstance(error, PermissionError) or any("Credential" in name for name in names):
        return "permission denied; check which credentials the environment names (such as AWS_PROFILE) and their rights"
    if names & NO_CONNECTION:
        return f"no connection; check the network and the endpoint (such as AWS_ENDPOINT_URL), then {again}"
    words = strerror(error.errno) if isinstance(error, OSError) and error.errno else type(error).__name__
    return f"{words}; {again}"
