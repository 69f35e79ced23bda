"""Checkpoints of a running training: the last two, each with its digest, keyed by a fingerprint.

A checkpoint is written beside its final name, synced and renamed, so a killed process leaves either the old or the new
one. Reading never executes code (``weights_only=True``); a damaged checkpoint is passed over for the one before it.
"""

from __future__ import annotations

import hashlib
import io
import shutil
from pathlib import Path
from typing import Any

import torch

from thermalize.errors import UserError
from thermalize.store.atomic import write_bytes, write_text

__all__ = ["Checkpoints"]

KEEP = 2


class Checkpoints:
    """The undeclared folder in which one training keeps its state until it has finished."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder, self.fingerprint = folder, fingerprint
        self._check_owner()

    def _check_owner(self) -> None:
        owner = self.folder / "fingerprint"
        if owner.exists() and owner.read_text() != self.fingerprint:
            raise UserError(
                f"{self.folder} holds checkpoints of a training with another configuration, data or code; "
                f"move or delete that folder to train anew"
            )

    def save(self, update: int, state: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / "fingerprint", self.fingerprint)
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
                return torch.load(io.BytesIO(data), weights_only=True)
        return None

    def discard(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("*.pt"), reverse=True)
