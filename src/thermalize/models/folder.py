"""A trained model on disk: one folder with weights, card and history; nothing in it is executed when it is read.

model.safetensors   averaged weights at the best validation, which are used
last.safetensors    averaged weights at the end
model.json          kind, hyperparameters, normalisation, system, metrics, fingerprint, digest of the weights
history.csv         one row per validation
README.md           the same for people, with cost and how to load the model
program.pt2         of an emulator of `kind: exported`, the program
SHA256SUMS          digests of all of these, written last; whatever is read is compared with them first

A network or emulator of `kind: import` is the one exception: its card names a Python function, which is called where
the caller trusts the folder or names the same function itself (`thermalize.models.external`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, contiguous_format, nn

from thermalize.config import NetworkConfig
from thermalize.config.networksize import network_size
from thermalize.models.card import card_fault
from thermalize.runtime.errors import UserError
from thermalize.runtime.files import MOST, write_bytes, write_text
from thermalize.store.results import MODEL_FILES, PROGRAM, SUMS
from thermalize.store.sealed import is_sealed, read_member, seal_folder

__all__ = ["is_complete", "load_weights", "read_card", "read_history", "refuse_larger", "save_model"]

Weights = Mapping[str, Tensor]
BYTES = 4
"""Of a weight."""
MOST_WORDS = 300


def save_model(
    folder: Path, best: Weights, last: Weights, card: dict[str, Any], history: list[dict[str, float]], readme: str = ""
) -> None:
    """Weights, card, history and readme, their digests last: a folder whose files match them is complete.

    The program of an exported emulator, whose digest is in its card, is there before.
    """
    weights = _bytes(best)
    write_bytes(folder / "model.safetensors", weights)
    write_bytes(folder / "last.safetensors", _bytes(last))
    write_text(folder / "history.csv", pd.DataFrame(history).to_csv(index=False, float_format="%.8g"))
    write_text(folder / "README.md", readme)
    write_text(folder / "model.json", json.dumps({**card, "weights_digest": _digest(weights)}, indent=2) + "\n")
    seal_folder(folder, _names(card))


def read_card(folder: Path, kind: str, system: dict[str, Any] | None = None) -> dict[str, Any]:
    """The card of a model of the given kind, refused when it is missing, damaged or of another system."""
    path = folder / "model.json"
    if not path.exists():
        raise UserError(f"{folder} is not a model folder: it has no model.json; train the model first")
    try:
        card = json.loads(read_member(folder, path.name, MOST))
    except (ValueError, RecursionError):
        raise UserError(f"{path} is not readable as JSON; delete the folder {folder} and train again") from None
    if not isinstance(card, dict) or card.get("kind") != kind:
        found = card.get("kind") if isinstance(card, dict) else type(card).__name__
        raise UserError(f"{folder} holds a model of kind {found!r}, but a {kind!r} is needed")
    if fault := card_fault(card, kind):
        raise UserError(f"{path} is no card of a model of this version, {fault}; train the model again")
    if system is not None and card["system"] != system:
        raise UserError(
            f"{folder} was trained on another system ({_short(card['system'])}) "
            f"than this experiment's ({_short(system)}); name a model of this system or train one"
        )
    return card


def is_complete(folder: Path, fingerprint: str) -> bool:
    """Whether the folder holds an intact model of this fingerprint."""
    try:
        card = json.loads(read_member(folder, "model.json", MOST))
        return card["fingerprint"] == fingerprint and is_sealed(folder, _names(card))
    except (UserError, ValueError, KeyError, TypeError, RecursionError):
        return False


def read_history(folder: Path) -> pd.DataFrame:
    """One row per validation: the update and what was measured there, as numbers."""
    content, history = BytesIO(read_member(folder, "history.csv", MOST)), pd.DataFrame()
    with suppress(ValueError):  # is no table at all
        history = pd.read_csv(content)
    numbers = history.select_dtypes("number")
    if not {"update", "valid_loss"} <= set(numbers) or len(numbers.columns) < len(history.columns):
        raise UserError(f"{folder / 'history.csv'} is not the history of a training; train the model again")
    return history


def refuse_larger(folder: Path, network: NetworkConfig, dims: int, channels: int) -> None:
    """Refuse a network with more weights than the folder holds before memory is taken for them."""
    path = folder / "model.safetensors"
    least = BYTES * network_size(network, (1,) * dims, channels).weights
    if path.is_file() and path.stat().st_size < least:
        raise UserError(f"{path} does not fit the network that model.json describes: it has fewer weights than that")


def load_weights(folder: Path, model: nn.Module, card: dict[str, Any]) -> None:
    """Fills `model` with the folder's weights, which are the ones that the card was written for."""
    path = folder / "model.safetensors"
    data = read_member(folder, path.name)
    if _digest(data) != card.get("weights_digest"):
        raise UserError(f"{path} does not belong to the model.json beside it; delete {folder} and train again")
    try:
        model.load_state_dict(load_tensors(data))
    except (SafetensorError, RuntimeError) as error:
        words = " ".join(str(error).split())[:MOST_WORDS]
        raise UserError(f"{path} does not fit the network that model.json describes: {words}") from None
    model.eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)


def _names(card: Mapping[str, Any]) -> list[str]:
    """Files that are sealed together."""
    program = [PROGRAM] if "program_digest" in card else []
    return [name for name in (*MODEL_FILES, *program) if name != SUMS]


def _bytes(weights: Weights) -> bytes:
    return save_tensors({name: tensor.clone(memory_format=contiguous_format) for name, tensor in weights.items()})


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _short(system: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in system.items())
