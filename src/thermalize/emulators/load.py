"""An emulator out of its model folder, and what one from elsewhere is made of."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import torch
from pydantic import TypeAdapter

from thermalize.config import ImportedEmulatorConfig, TrainedEmulatorConfig
from thermalize.config.emulators import AnyEmulator, EmulatorSettings
from thermalize.emulators.base import Emulator
from thermalize.emulators.exported import load_program
from thermalize.emulators.external import ForeignEmulator
from thermalize.emulators.projection import Held
from thermalize.models.external import Trust, require_trust
from thermalize.models.folder import load_weights, read_card, refuse_larger
from thermalize.models.normalization import Normalization
from thermalize.runtime.errors import UserError
from thermalize.runtime.targets import made
from thermalize.store.results import PROGRAM
from thermalize.store.sealed import content as content_of

__all__ = ["digest_of", "imported", "load_emulator", "read_file"]


def load_emulator(
    folder: Path | str,
    system: dict[str, Any] | None = None,
    device: torch.device | str = "cpu",
    *,
    trust_code: Trust = False,
) -> Emulator:
    """The emulator of a model folder, for evaluation; refused when it was trained on another system than `system`.

    Its ``step`` maps physical states [batch, channel, *grid] one frame interval on, calling it does so for normalised
    ones. A folder of `kind: import` names a Python function, which is called only with `trust_code=True`, or where the
    configuration given there names the same one with the same options.
    """
    folder = Path(folder)
    card = read_card(folder, "emulator", system)
    require_trust(folder, card, trust_code)
    normalization = Normalization.of(card["normalization"])
    config: EmulatorSettings = TypeAdapter(AnyEmulator).validate_python(card["config"])
    if not isinstance(config, TrainedEmulatorConfig):
        return _external(folder, card, normalization, device)
    refuse_larger(folder, config.network, card["dims"], card["channels"])
    kind = import_module(config.implementation)
    model: Emulator = kind.build(config, card["dims"], card["channels"], normalization)
    model.held = Held.of(card.get("held"))
    load_weights(folder, model, card)
    return model.to(device)


def _external(
    folder: Path, card: dict[str, Any], normalization: Normalization, device: torch.device | str
) -> ForeignEmulator:
    """The emulator that `adopt_emulator` put into `folder`."""
    if card["config"]["kind"] == "exported":
        program = folder / PROGRAM
        content = read_file(program)
        if digest_of(content) != card["program_digest"]:
            raise UserError(f"{program} is damaged: it does not match the digest in model.json; delete that folder")
        network: Callable[..., Any] = load_program(program, content, device)
    else:
        network = imported(ImportedEmulatorConfig.model_validate(card["config"]))
    name = f"emulators.{card['name']}"
    model = ForeignEmulator(network, card["config"]["units"], card["dims"], normalization, name)
    model.held = Held.of(card.get("held"))
    load_weights(folder, model, card)
    return model.to(device)


def imported(config: ImportedEmulatorConfig) -> Callable[..., Any]:
    """What the function makes that the configuration names: a map of states, or a stepper."""
    found = made(config.target, config.options, {})
    if not (callable(found) or callable(getattr(found, "advance", None))):
        raise UserError(f"{config.target} returned {type(found).__name__}, which is no map of states")
    return cast(Callable[..., Any], found)


def read_file(path: Path) -> bytes:
    """The content of a plain file, such as a program; one that is waited for, as a pipe is, is refused."""
    path = path.expanduser()
    if not path.exists():
        raise UserError(f"{path} cannot be read: No such file or directory; paths begin in {Path.cwd()}")
    return content_of(path)


def digest_of(content: bytes) -> str:
    return f"sha256:{sha256(content).hexdigest()}"
