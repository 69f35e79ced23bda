"""What a finished store is known by: its manifest, and how the files beside each other are named.

    <name>.zarr  <name>.manifest.json   a finished store and what it holds, with a digest of each of its files
    <name>.zarr.partial                 an unfinished one

A store counts as finished only through its manifest.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from thermalize.errors import UserError
from thermalize.store.shards import digests

__all__ = ["Manifest", "compare", "partial_path", "read_manifest", "store_path", "verify"]

SUFFIX = ".manifest.json"


class Manifest(BaseModel):
    """What a finished store holds; shapes and shards are those of its main variable."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    store: Annotated[str, StringConstraints(pattern=r"^[^/\\]+$")]
    variable: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    shards: tuple[int, ...]
    dtype: str
    fingerprint: str
    code_version: str
    statistics: dict[str, Any]
    attributes: dict[str, Any]
    digests: dict[str, str]

    def text(self) -> str:
        """The manifest file."""
        return self.model_dump_json(indent=1) + "\n"


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
    try:
        return Manifest.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; run the stage that makes this store first") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a manifest of this version of thermalize; run the stage again") from error


def verify(path: Path) -> Manifest:
    """Compare every file of a store with its manifest.

    Args:
        path: the manifest or the store beside it.

    Raises:
        UserError: names the first file that is missing or differs.
    """
    if path.suffix == ".zarr":
        path = path.with_name(f"{path.stem}{SUFFIX}")
    record = read_manifest(path)
    compare(record, path.parent)
    return record


def compare(record: Manifest, folder: Path, names: Iterable[str] | None = None) -> None:
    """Raise a `UserError` that names the first file of the store (of `names` only) that is not as it was."""
    root = folder / record.store
    try:
        found = digests(root, names or record.digests)
    except OSError as error:
        raise UserError(f"{error.filename} is missing ({error.strerror}); run the stage that makes it again") from None
    for name, digest in found.items():
        if record.digests.get(name) != digest:
            raise UserError(f"{root / name} was changed or damaged after it was written; run its stage again")
