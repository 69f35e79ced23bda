"""What a finished store is known by: its manifest, and how the files beside each other are named.

    <name>.zarr  <name>.manifest.json   a finished store and what it holds, with a digest of each of its files
    <name>.zarr.partial                 an unfinished one

A store counts as finished only through its manifest, which also tells its URL where it does not lie beside it. A
manifest begins with the SHA-256 of all that follows in it: its statistics are used as numbers are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from upath import UPath

from thermalize.runtime.errors import UserError
from thermalize.store.home import named_place
from thermalize.store.location import HASHING_THREADS, Place, digest, reaching, sizes
from thermalize.store.ours import part_of_store
from thermalize.store.sealed import changed

__all__ = [
    "METADATA",
    "SUFFIX",
    "Manifest",
    "compare",
    "faults",
    "look",
    "partial_path",
    "read_manifest",
    "store_path",
    "there",
    "verify",
]

SUFFIX = ".manifest.json"
FileName = Annotated[str, AfterValidator(part_of_store)]
METADATA = "zarr.json"
DIMS = ("member", "time", "channel")
Channels = TypeAdapter(list[float], config=ConfigDict(strict=True, allow_inf_nan=False))
DIGEST = re.compile(r'\{\n "digest": "sha256:([0-9a-f]{64})",')


class Manifest(BaseModel):
    """What a finished store holds; shapes and shards are those of its main variable."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    store: Annotated[str, StringConstraints(pattern=r"^[^/\\]+\.zarr$")]
    variable: Annotated[str, StringConstraints(pattern=r"^[^/\\]+$")]
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    shards: tuple[int, ...]
    dtype: str
    fingerprint: str
    code_version: str
    statistics: dict[str, Any]
    attributes: dict[str, Any]
    digests: dict[FileName, str]
    url: str | None = None
    """Where the store lies; beside the manifest when there is none."""
    sizes: dict[FileName, int] | None = None
    """Bytes of every file of a store at a URL."""

    @model_validator(mode="after")
    def _agree(self) -> Manifest:
        """Trajectories along (member, time, channel, …space), with one mean and deviation per channel or none."""
        sizes = (self.shape, self.chunks, self.shards)
        if self.dims[:3] != DIMS or any(len(each) != len(self.dims) or min(each) < 1 for each in sizes):
            raise ValueError("no trajectories have such dimensions")
        for name, values in self.statistics.items():
            Channels.validate_python(values)
            if len(values) != self.shape[2] or (name == "std" and min(values) < 0):
                raise ValueError(f"no {name} of these channels")
        return self

    def text(self) -> str:
        """The manifest file."""
        content = self.model_dump_json(indent=1, exclude={"url", "sizes"} if self.url is None else None) + "\n"
        return f'{{\n "digest": "sha256:{_digest(content)}",{content[1:]}'

    def place(self, folder: Path, storage: str | None) -> Place:
        """Where the store lies, of a manifest in `folder`; one at a URL is refused unless below what the user named."""
        return folder / self.store if self.url is None else named_place(self.url, storage, folder)


def store_path(manifest: Path) -> Path:
    """`…/train.manifest.json` → `…/train.zarr`."""
    if not manifest.name.endswith(SUFFIX):
        raise UserError(f"{manifest} is not the name of a manifest; it must end in {SUFFIX}")
    return manifest.with_name(f"{manifest.name.removesuffix(SUFFIX)}.zarr")


def partial_path(manifest: Path) -> Path:
    """`…/train.manifest.json` → `…/train.zarr.partial`."""
    return store_path(manifest).with_name(f"{store_path(manifest).name}.partial")


def read_manifest(path: Path) -> Manifest:
    """The manifest in the file `path`, without a look at the store."""
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise UserError(f"{path} is not a file; move it away and run the stage again")
    try:
        return Manifest.model_validate_json(_believed(path, path.read_bytes().decode()))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; run the stage that makes this store first") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except MemoryError:
        raise UserError(f"{path} is larger than the memory of this machine; run the stage again") from None
    except (ValidationError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a manifest of this version of thermalize; run the stage again") from error


def verify(path: Path, storage: str | None = None) -> Manifest:
    """Compare every file of a store with its manifest.

    Args:
        path: the manifest or the store beside it.
        storage: URL below which a store elsewhere must lie.

    Raises:
        UserError: names the first file that is missing or differs.
    """
    if path.suffix == ".zarr":
        path = path.with_name(f"{path.stem}{SUFFIX}")
    record = read_manifest(path)
    compare(record, path.parent, storage)
    return record


def look(record: Manifest, folder: Path, storage: str | None) -> None:
    """What is compared before a finished store is taken for one that is to be made: everything on this machine; at a
    URL, where that would take as long as sending it, names and sizes as the provider lists them, and the metadata."""
    compare(record, folder, storage, None if record.url is None else [METADATA])


def there(record: Manifest, folder: Path, storage: str | None) -> None:
    """Refuse a store that lacks a file or has other metadata, before anything is computed from it; what is in the other
    files is compared when they are read."""
    root = record.place(folder, storage)
    if isinstance(root, UPath):
        for fault in _of_sizes(record, root):
            raise fault
        return
    if METADATA in record.digests and not (root / METADATA).exists():  # the folder itself Snakemake makes beforehand
        raise UserError(
            f"{root / METADATA} is missing: the store has gone, though its manifest is there; make it again with its "
            "stage, or with `snakemake` without targets, then run the same command again"
        )
    for name in record.digests:
        if not (root / name).is_file():
            raise _missing(root / name)
    compare(record, folder, storage, [name for name in record.digests if Path(name).name == METADATA])


def compare(record: Manifest, folder: Path, storage: str | None, names: Iterable[str] | None = None) -> None:
    """Raise a `UserError` that names the first file of the store (of `names` only) that is not as it was."""
    for fault in faults(record, folder, storage, names):
        raise fault


def faults(
    record: Manifest, folder: Path, storage: str | None, names: Iterable[str] | None = None
) -> Iterator[UserError]:
    """What is wrong with the files of the store (with `names` only): each that is missing, or not as it was."""
    root = record.place(folder, storage)
    lost = list(_of_sizes(record, root)) if isinstance(root, UPath) else []
    yield from lost
    if not lost:
        with ThreadPoolExecutor(HASHING_THREADS) as pool:
            looked = pool.map(lambda name: _fault(root / name, record.digests.get(name)), names or record.digests)
            yield from (fault for fault in looked if fault is not None)


def _of_sizes(record: Manifest, root: UPath) -> Iterator[UserError]:
    found = sizes(root)
    for name, size in (record.sizes or {}).items():
        if name not in found:
            yield _missing(root / name)
        elif found[name] != size:
            yield changed(root / name)


def _fault(path: Place, expected: str | None) -> UserError | None:
    if isinstance(path, UPath):
        with reaching(path):
            found = digest(path)
    else:
        try:
            found = digest(path)
        except FileNotFoundError:
            return _missing(path)
        except OSError as error:
            return UserError(f"{path} cannot be read: {error.strerror}")
    return None if found == expected else changed(path)


def _missing(path: Place) -> UserError:
    return UserError(f"{path} is missing; run the stage that makes it again")


def _believed(path: Path, text: str) -> str:
    """The content of a manifest file that has the digest it begins with."""
    found = DIGEST.match(text)
    content = "{" + text[found.end() :] if found else ""
    if found and found[1] != _digest(content):
        raise changed(path)
    return content


def _digest(content: str) -> str:
    return sha256(content.encode()).hexdigest()
