"""What is ours to delete: a folder in which there is nothing but what a store, or the record of one, consists of.

Names alone prove nothing, since files beside results may come from somebody else. So a folder is deleted only after a
look at all its files, and links are removed and never followed.

    zarr.json   <array>/zarr.json   <array>/c/<i₁>/<i₂>/…      a store
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from thermalize.runtime.errors import UserError

__all__ = [
    "PART",
    "RECORDS",
    "STORE",
    "discard",
    "is_folder",
    "part_of_store",
    "refuse_links",
    "refuse_strangers",
    "strangers",
    "unlink_links",
]

ARRAY = r"(?!\.{1,2}/)[^/\\]+"
PART = rf"(zarr\.json|{ARRAY}/zarr\.json|{ARRAY}/c(/\d+)*)"
"""What a file of a finished store is called, relative to it."""
TEMPORARY = r"\.[^/]*\.tmp[^/]*"
STORE = re.compile(rf"{PART}|\.snakemake_timestamp")
RECORDS = re.compile(
    rf"fingerprint|block-\d+\.json|(state|measured)-\d+\.safetensors|frames-\d+-\d+\.float32|{TEMPORARY}"
)


def strangers(names: Iterable[str], form: re.Pattern[str] = STORE) -> list[str]:
    """Those of the names, relative to a folder, that do not belong there."""
    return [name for name in names if not form.fullmatch(name)]


def part_of_store(name: str) -> str:
    """The name, if a file of a finished store may be called so."""
    if not re.fullmatch(PART, name):
        raise ValueError("no file of a store is called so")
    return name


def is_folder(path: Path) -> bool:
    """Whether a folder itself is there, and not a link to one."""
    return path.is_dir() and not path.is_symlink()


def discard(path: Path, form: re.Pattern[str] = STORE) -> None:
    """Delete a folder of ours; a link goes, and what it leads to stays.

    Raises:
        UserError: something else is there, and is left where it is.
    """
    if not os.path.lexists(path):
        return
    if path.is_symlink():
        path.unlink()
        return
    refuse_strangers(path, form)
    shutil.rmtree(path)


def refuse_strangers(path: Path, form: re.Pattern[str] = STORE) -> None:
    """Raise a `UserError` that names what is in the place of a folder of ours, or in it, and is none of ours."""
    if is_folder(path):
        foreign = [path / name for name in strangers(_names(path), form)]
    else:
        foreign = [path] if path.exists() and not path.is_symlink() else []
    if foreign:
        raise UserError(
            f"{min(foreign)} is nothing that a run keeps there; move it away, then run the same command again"
        )


def refuse_links(folder: Path, root: Path) -> None:
    """Refuse a results folder that leads elsewhere, where files of others would be written over.

    Args:
        folder: of one experiment; it may be a link itself, like `root`.
        root: of all results; links from one experiment to another stay in it.
    """
    within = folder.resolve(), root.resolve()
    for where, folders, _ in os.walk(folder):
        folders[:] = [name for name in folders if ".zarr" not in name]
        for path in (Path(where, name) for name in folders):
            if path.is_symlink() and not any(path.resolve().is_relative_to(each) for each in within):
                raise UserError(
                    f"{path} is a link that leads out of the results; put a folder in its place (large stores lie "
                    "elsewhere with `storage: file:///…`)"
                )


def unlink_links(root: Path) -> None:
    """Delete below a folder whatever leads elsewhere or is no plain file: links of both kinds, pipes and the like."""
    for folder, folders, names in os.walk(root):
        for path in (Path(folder, name) for name in (*folders, *names)):
            status = path.lstat()
            plain = stat.S_ISDIR(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_nlink == 1)
            if not plain:
                path.unlink()


def _names(root: Path) -> list[str]:
    return [Path(folder, name).relative_to(root).as_posix() for folder, _, names in os.walk(root) for name in names]
