"""A trained model on disk: one folder with weights, card and history; nothing in it is executed when it is read.

model.safetensors   averaged weights at the best validation, which are used
last.safetensors    averaged weights at the end
model.json          kind, hyperparameters, normalisation, system, metrics, fingerprint, digest of the weights
history.csv         one row per validation
README.md           the same for people, with cost and how to load the model

A network or emulator of `kind: import` is the one exception: its card names a Python function, which is called where
the caller trusts the folder or names the same function itself (`thermalize.models.trust`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, contiguous_format, nn

from thermalize.errors import UserError
from thermalize.store.atomic import write_bytes, write_text

__all__ = ["is_complete", "load_weights", "read_card", "save_model"]

Weights = Mapping[str, Tensor]


def save_model(
    folder: Path, best: Weights, last: Weights, card: dict[str, Any], history: list[dict[str, float]], readme: str = ""
) -> None:
    """Weights, history and readme first, the card last: a folder with a card is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = _bytes(best)
    write_bytes(folder / "model.safetensors", weights)
    write_bytes(folder / "last.safetensors", _bytes(last))
    write_text(folder / "history.csv", pd.DataFrame(history).to_csv(index=False, float_format="%.8g"))
    write_text(folder / "README.md", readme)
    write_text(folder / "model.json", json.dumps({**card, "weights_digest": _digest(weights)}, indent=2) + "\n")


def read_card(folder: Path, kind: str, system: dict[str, Any] | None = None) -> dict[str, Any]:
    """The card of a model of the given kind, refused by name when it is missing, foreign or of another system."""
    path = folder / "model.json"
    try:
        card = json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{folder} is not a model folder: it has no model.json; train the model first") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise UserError(f"{path} is not readable as JSON; delete the folder {folder} and train again") from None
    if not isinstance(card, dict) or card.get("kind") != kind:
        found = card.get("kind") if isinstance(card, dict) else type(card).__name__
        raise UserError(f"{folder} holds a model of kind {found!r}, but a {kind!r} is needed")
    if system is not None and card["system"] != system:
        raise UserError(
            f"{folder} was trained on another system ({_short(card['system'])}) "
            f"than this experiment's ({_short(system)}); name a model of this system or train one"
        )
    return card


def is_complete(folder: Path, fingerprint: str) -> bool:
    """Whether the folder holds an intact model of this fingerprint."""
    try:
        card = json.loads((folder / "model.json").read_text())
        intact = _digest((folder / "model.safetensors").read_bytes()) == card["weights_digest"]
        others = all((folder / name).is_file() for name in ("history.csv", "last.safetensors", "README.md"))
        return intact and others and card["fingerprint"] == fingerprint
    except (OSError, ValueError, KeyError, TypeError):
        return False


def load_weights(folder: Path, model: nn.Module, card: dict[str, Any]) -> None:
    """Fills `model` with the folder's weights after checking their digest."""
    path = folder / "model.safetensors"
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path} is missing; delete the folder {folder} and train again") from None
    if _digest(data) != card.get("weights_digest"):
        raise UserError(
            f"{path} is damaged: it does not match the digest in model.json; delete {folder} and train again"
        )
    try:
        model.load_state_dict(load_tensors(data))
    except (SafetensorError, RuntimeError) as error:
        raise UserError(f"{path} does not fit the network that model.json describes: {error}") from None
    model.eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)


def _bytes(weights: Weights) -> bytes:
    return save_tensors({name: tensor.clone(memory_format=contiguous_format) for name, tensor in weights.items()})


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _short(system: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in system.items())
