"""What a finished store is known by: its manifest, and how the files beside each other are named.

    <name>.zarr  <name>.manifest.json   a finished store and what it holds, with a digest of each of its files
    <name>.zarr.partial                 an unfinished one

A store counts as finished only through its manifest, which also tells its URL where it does not lie beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError
from upath import UPath

from thermalize.errors import UserError
from thermalize.store.home import named_place
from thermalize.store.ours import part_of_store
from thermalize.store.place import Place, listing, reaching
from thermalize.store.shards import digests

__all__ = [
    "METADATA",
    "Manifest",
    "compare",
    "look",
    "partial_path",
    "read_manifest",
    "store_path",
    "verify",
]

SUFFIX = ".manifest.json"
FileName = Annotated[str, AfterValidator(part_of_store)]
METADATA = "zarr.json"


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

    def text(self) -> str:
        """The manifest file."""
        return self.model_dump_json(indent=1, exclude={"url", "sizes"} if self.url is None else None) + "\n"

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
    if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would be waited for
        raise UserError(f"{path} is no plain file; delete it and run the stage again")
    try:
        return Manifest.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; run the stage that makes this store first") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
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
    """What is compared before a store is read: everything on this machine; at a URL, where that would take as long as
    reading it, names and sizes as the provider lists them, and the metadata."""
    compare(record, folder, storage, None if record.url is None else [METADATA])


def compare(record: Manifest, folder: Path, storage: str | None, names: Iterable[str] | None = None) -> None:
    """Raise a `UserError` that names the first file of the store (of `names` only) that is not as it was."""
    root = record.place(folder, storage)
    if isinstance(root, UPath):
        _compare_sizes(record, root)
    for name, digest in _digests(root, names or record.digests).items():
        if record.digests.get(name) != digest:
            raise _changed(root / name)


def _compare_sizes(record: Manifest, root: UPath) -> None:
    found = listing(root)
    for name, size in (record.sizes or {}).items():
        if name not in found:
            raise UserError(f"{root / name} is missing; run the stage that makes it again")
        if found[name]["size"] != size:
            raise _changed(root / name)


def _digests(root: Place, names: Iterable[str]) -> dict[str, str]:
    if isinstance(root, UPath):
        with reaching(root):
            return digests(root, names)
    try:
        return digests(root, names)
    except OSError as error:
        raise UserError(f"{error.filename} is missing ({error.strerror}); run the stage that makes it again") from None


def _changed(path: Place) -> UserError:
    return UserError(f"{path} was changed or damaged after it was written; run its stage again")
