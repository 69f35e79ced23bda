"""Checkpoints of a running training: the last two, each with its digest, keyed by all that the training depends on.

A checkpoint is written beside its final name, synced and renamed, so a killed process leaves either the old or the new
one. Reading never executes code (``weights_only=True``); a damaged checkpoint is passed over for the one before it.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import torch

from thermalize.errors import UserError
from thermalize.store.atomic import write_bytes, write_text

__all__ = ["Checkpoints", "differences"]

KEEP = 2
OWNER = "identity.json"
DIGEST = 64  # a hexadecimal number of that length tells nobody anything


class Checkpoints:
    """The undeclared folder in which one training keeps its state until it has finished."""

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        """`identity`: JSON values that the result depends on; a folder of another one is refused by what differs."""
        self.folder, self.identity = folder, json.loads(json.dumps(identity))
        self._check_owner()

    @staticmethod
    def owner(folder: Path) -> dict[str, Any]:
        """The identity of the training whose checkpoints a folder holds; nothing where there are none."""
        path = folder / OWNER
        return json.loads(path.read_text()) if path.exists() else {}

    def _check_owner(self) -> None:
        owner = self.owner(self.folder)
        different = differences(owner, self.identity) if owner else []
        if different:
            raise UserError(
                f"{self.folder} holds checkpoints of another training ({'; '.join(different)}); "
                f"move or delete that folder to train anew"
            )

    def save(self, update: int, state: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / OWNER, json.dumps(self.identity, indent=2) + "\n")
        buffer = io.BytesIO()
        torch.save(state, buffer)
        data = buffer.getvalue()
        name = f"{update:09d}-{hashlib.sha256(data).hexdigest()[:32]}.pt"
        write_bytes(self.folder / name, data)
        for old in self._newest_first()[KEEP:]:
            old.unlink(missing_ok=True)

    def load(self) -> dict[str, Any] | None:
        """The newest intact state, or None."""
        for path in self._newest_first():
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest()[:32] == path.stem.split("-")[1]:
                return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        return None

    def discard(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("*.pt"), reverse=True)


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
