"""An emulator out of its model folder, and what one from elsewhere is made of."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from thermalize.config import EmulatorConfig, ImportedEmulatorConfig
from thermalize.emulators.base import Emulator, ResidualEmulator
from thermalize.emulators.exported import load_program
from thermalize.emulators.external import ForeignEmulator
from thermalize.models.external import Trust, factory, require_trust
from thermalize.models.folder import load_weights, read_card, refuse_larger
from thermalize.models.normalization import Normalization
from thermalize.runtime.errors import UserError
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
    if card["config"].get("kind", "residual") != "residual":
        return _external(folder, card, normalization, device)
    config = EmulatorConfig.model_validate(card["config"])
    refuse_larger(folder, config.network, card["dims"], card["channels"])
    model = ResidualEmulator(config, card["dims"], card["channels"], normalization)
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
        network: Callable[[Tensor], Tensor] = load_program(program, content, device)
    else:
        network = imported(ImportedEmulatorConfig.model_validate(card["config"]))
    model = ForeignEmulator(network, card["config"]["units"], card["dims"], normalization)
    load_weights(folder, model, card)
    return model.to(device)


def imported(config: ImportedEmulatorConfig) -> Callable[[Tensor], Tensor]:
    """What the function returns that the configuration names."""
    make = factory(config.target)
    try:
        made = make(**config.options)
    except Exception as error:
        raise UserError(f"{config.target} raises {type(error).__name__}: {error}") from error
    if not callable(made):
        raise UserError(f"{config.target} returned {type(made).__name__}, which is no map of states")
    return made


def read_file(path: Path) -> bytes:
    """The content of a plain file, such as a program; one that is waited for, as a pipe is, is refused."""
    path = path.expanduser()
    if not path.exists():
        raise UserError(f"{path} cannot be read: No such file or directory; paths begin in {Path.cwd()}")
    return content_of(path)


def digest_of(content: bytes) -> str:
    return f"sha256:{sha256(content).hexdigest()}"
