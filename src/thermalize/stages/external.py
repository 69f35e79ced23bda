"""Emulators that were trained elsewhere: looked at, measured on held-out truth, and put into a model folder."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from inspect import getsourcefile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from thermalize.config import (
    EmulatorConfig,
    Experiment,
    ExportedEmulatorConfig,
    ImportedEmulatorConfig,
    TrainingConfig,
)
from thermalize.emulators.exported import load_program
from thermalize.emulators.external import ForeignEmulator
from thermalize.emulators.objective import EmulatorObjective
from thermalize.models.card import readme
from thermalize.models.external import factory
from thermalize.models.folder import is_complete, load_weights, save_model
from thermalize.runtime.errors import UserError
from thermalize.runtime.files import exclusive, explaining, write_bytes
from thermalize.runtime.revision import revision
from thermalize.stages.data import TrainingData, identity_card, read_data
from thermalize.store.fingerprint import code_digest, fingerprint
from thermalize.store.results import PROGRAM, Results
from thermalize.training.data import Normalization

__all__ = ["adopt_emulator", "load_foreign"]

ForeignConfig = ImportedEmulatorConfig | ExportedEmulatorConfig
CODE = (
    "thermalize.runtime.devices",
    "thermalize.emulators",
    "thermalize.models",
    "thermalize.stages.data",
    "thermalize.stages.external",
    "thermalize.training",
)
HELD_OUT = TrainingConfig(updates=1, data="stream")  # nothing is trained; errors are those of trained emulators


def adopt_emulator(experiment: Experiment, name: str, paths: Results) -> None:
    """Checks `emulators.{name}`, measures its errors on held-out truth and writes its model folder."""
    config = experiment.emulators[name]
    assert not isinstance(config, EmulatorConfig)
    folder = paths.emulator(name)
    data = read_data(experiment, HELD_OUT, paths, folder)
    with exclusive(folder), explaining(folder):
        if not is_complete(folder, _fingerprint(config, data)):
            _adopt(experiment, name, config, data, folder)


def load_foreign(
    folder: Path, card: dict[str, Any], normalization: Normalization, device: torch.device | str
) -> ForeignEmulator:
    """The emulator that `adopt_emulator` put into `folder`."""
    kind = ExportedEmulatorConfig if card["config"]["kind"] == "exported" else ImportedEmulatorConfig
    network = _network(kind.model_validate(card["config"]), folder / PROGRAM, card.get("program_digest"), device)
    model = ForeignEmulator(network, card["config"]["units"], card["dims"], normalization)
    load_weights(folder, model, card)
    return model.to(device)


def _adopt(experiment: Experiment, name: str, config: ForeignConfig, data: TrainingData, folder: Path) -> None:
    program = Path(config.program) if isinstance(config, ExportedEmulatorConfig) else None
    model = ForeignEmulator(_network(config, program), config.units, data.dims, data.normalization).eval()
    model.check(data.valid.spread(1, 1)[:, 0], f"emulators.{name}")
    card = _card(experiment, name, config, data, model)
    if program is not None:
        write_bytes(folder / PROGRAM, program.read_bytes())
        card["program_digest"] = _digest(program.read_bytes())
    state = model.state_dict()
    cost = {"training": "elsewhere", "revision of the code": str(revision())}
    save_model(folder, state, state, card, [card["metrics"]], readme(card, str(folder), cost))


def _network(
    config: ForeignConfig, program: Path | None, digest: str | None = None, device: torch.device | str = "cpu"
) -> Callable[[Tensor], Tensor]:
    if isinstance(config, ImportedEmulatorConfig):
        return _made(config)
    assert program is not None
    content = _read(program)
    if digest not in (None, _digest(content)):
        raise UserError(f"{program} is damaged: it does not match the digest in model.json; delete that folder")
    return load_program(program, content, device)


def _made(config: ImportedEmulatorConfig) -> Callable[[Tensor], Tensor]:
    make = factory(config.target)
    try:
        made = make(**config.options)
    except Exception as error:
        raise UserError(f"{config.target} raises {type(error).__name__}: {error}") from error
    if not callable(made):
        raise UserError(f"{config.target} returned {type(made).__name__}, which is no map of states")
    return made


def _card(
    experiment: Experiment, name: str, config: ForeignConfig, data: TrainingData, model: ForeignEmulator
) -> dict[str, Any]:
    held_out = EmulatorObjective(EmulatorConfig(training=HELD_OUT), data.train, data.valid, 0)
    with torch.inference_mode():
        metrics = {"update": 0, **held_out.validate(model)}
    parameters = sum(p.numel() for p in model.parameters())
    return {
        **identity_card("emulator", name, experiment, data),
        "config": config.model_dump(mode="json"),
        "fingerprint": _fingerprint(config, data),
        "parameters": parameters,
        "network": {"parameters": parameters},
        "best_update": 0,
        "updates": 0,
        "metrics": metrics,
    }


def _fingerprint(config: ForeignConfig, data: TrainingData) -> str:
    files = [config.program] if isinstance(config, ExportedEmulatorConfig) else [*config.files, *_source(config.target)]
    digests = {file: _digest(_read(Path(file))) for file in files}
    return fingerprint("emulator", config, digests, data.fingerprints, code_digest(*CODE))


def _source(target: str) -> list[str]:
    """File of the module that makes an emulator, so that a change of it makes another emulator."""
    found = getsourcefile(factory(target))
    return [] if found is None else [found]


def _read(path: Path) -> bytes:
    try:
        return path.expanduser().read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; paths begin in {Path.cwd()}") from None


def _digest(content: bytes) -> str:
    return f"sha256:{sha256(content).hexdigest()}"
