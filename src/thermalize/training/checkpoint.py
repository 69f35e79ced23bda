"""Checkpoints of a running training: the last two, each with its digest and with all that the training depends on.

A checkpoint is written beside its final name, synced and renamed, so a killed process leaves either the old or the new
one. Reading never executes code (``weights_only=True``). What is damaged, or is of another training, is not taken up:
the training says so and goes on from the checkpoint before it, or begins anew. It deletes such files, and no others,
with its next checkpoint.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import torch

from thermalize.store.atomic import read_bytes, remove, write_bytes
from thermalize.store.ours import is_folder

__all__ = ["Checkpoints", "differences"]

KEEP = 2
NAME = re.compile(r"(\d{9})-([0-9a-f]{32})\.pt")
LEFT_OVER = re.compile(r"\..*\.tmp\.pt|identity\.json")
"""What a writer that was killed leaves, and what earlier versions kept here."""
MOST = 1 << 36
DIGEST = 64  # a hexadecimal number of that length tells nobody anything

State = dict[str, Any]


class Checkpoints:
    """The undeclared folder in which one training keeps its state until it has finished."""

    def __init__(self, folder: Path, identity: dict[str, Any], quiet: bool = False) -> None:
        """`identity`: JSON values that the result depends on; `quiet`: others say what is not taken up."""
        self.folder, self.identity, self.quiet = folder, json.loads(json.dumps(identity)), quiet
        self._newest: list[Path] = []

    @staticmethod
    def begun(folder: Path) -> dict[str, Any]:
        """The identity of the training whose checkpoints a folder holds; nothing where there are none."""
        found = (content for path in _newest_first(folder) if (content := _read(path)) is not None)
        return next(found, {"identity": {}})["identity"]

    def save(self, update: int, state: State) -> None:
        """Write a checkpoint, and delete all but it and the one before."""
        if not is_folder(self.folder):
            remove(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        torch.save({"identity": json.dumps(self.identity), "state": state}, buffer)
        data = buffer.getvalue()
        path = self.folder / f"{update:09d}-{hashlib.sha256(data).hexdigest()[:32]}.pt"
        write_bytes(path, data)
        self._newest = [path, *(each for each in self._newest if each != path)][:KEEP]
        self._tidy()

    def states(self) -> Iterator[tuple[int, State]]:
        """Update and content of each checkpoint of this training that is whole, the newest first.

        The one that was taken last is kept by `save`; whoever asks for another one had no use for it.
        """
        for path in _newest_first(self.folder):
            content = _read(path)
            if content is None:
                self.say(f"{path} is damaged, or no checkpoint; it is not used.")
            elif different := differences(content["identity"], self.identity):
                self.say(
                    f"{path} is of another training ({'; '.join(different)}); it is not used, and is deleted with the "
                    "first checkpoint of this one."
                )
            else:
                self._newest = [path]
                yield int(path.name.partition("-")[0]), content["state"]
        self._newest = []

    def say(self, sentence: str) -> None:
        if not self.quiet:
            print(sentence, file=sys.stderr, flush=True)

    def discard(self) -> None:
        """Delete the checkpoints, and the folder unless somebody else keeps something in it."""
        self._newest = []
        if not is_folder(self.folder):
            return
        self._tidy()
        if any(self.folder.iterdir()):
            self.say(f"{self.folder} holds files of somebody else; it was left.")
        else:
            self.folder.rmdir()

    def _tidy(self) -> None:
        for path in self.folder.iterdir():
            ours = NAME.fullmatch(path.name) or LEFT_OVER.fullmatch(path.name)
            if ours and path not in self._newest and (path.is_symlink() or not path.is_dir()):
                remove(path)


def _newest_first(folder: Path) -> list[Path]:
    found = folder.iterdir() if is_folder(folder) else iter(())
    return sorted((path for path in found if NAME.fullmatch(path.name)), reverse=True)


def _read(path: Path) -> State | None:
    """{"identity": JSON values, "state": …} of a checkpoint that is what its name says."""
    data = read_bytes(path, MOST)
    if data is None or hashlib.sha256(data).hexdigest()[:32] != path.stem.split("-")[1]:
        return None
    try:
        with ZipFile(io.BytesIO(data)) as parts:
            if any(part.compress_type != ZIP_STORED for part in parts.infolist()):  # it could be of any size
                return None
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        identity = json.loads(content["identity"])
    except Exception:  # whatever torch makes of bytes that it did not write
        return None
    whole = isinstance(identity, dict) and isinstance(content.get("state"), dict)
    return {"identity": identity, "state": content["state"]} if whole else None


def differences(old: Any, new: Any, at: str = "") -> list[str]:
    """Where two JSON values differ, such as ``config.training.learning_rate: 0.001 there, 0.002 here``."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        return [each for key in keys for each in differences(old.get(key), new.get(key), f"{at}.{key}".lstrip("."))]
    if old == new:
        return []
    return [
        at if any(isinstance(v, str) and len(v) == DIGEST for v in (old, new)) else f"{at}: {old} there, {new} here"
    ]
