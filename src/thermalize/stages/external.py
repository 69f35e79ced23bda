"""Emulators that were trained elsewhere: looked at, measured on held-out truth, and put into a model folder."""

from __future__ import annotations

from collections.abc import Callable
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
from thermalize.emulators.load import digest_of, imported, read_file
from thermalize.emulators.objective import EmulatorObjective
from thermalize.models.card import readme
from thermalize.models.external import factory
from thermalize.models.folder import is_complete, save_model
from thermalize.runtime.files import exclusive, explaining, write_bytes
from thermalize.runtime.revision import revision
from thermalize.stages.data import TrainingData, identity_card, read_data
from thermalize.store.fingerprint import code_of, fingerprint
from thermalize.store.results import PROGRAM, Results

__all__ = ["adopt_emulator"]

ForeignConfig = ImportedEmulatorConfig | ExportedEmulatorConfig
HELD_OUT = TrainingConfig(updates=1, data="stream")  # nothing is trained; errors are those of trained emulators
STATES = 3
"""That an emulator must map each on its own."""


def adopt_emulator(experiment: Experiment, name: str, paths: Results) -> None:
    """Checks `emulators.{name}`, measures its errors on held-out truth and writes its model folder."""
    config = experiment.emulators[name]
    assert not isinstance(config, EmulatorConfig)
    folder = paths.emulator(name)
    data = read_data(experiment, HELD_OUT, paths, folder)
    with exclusive(folder), explaining(folder):
        if not is_complete(folder, _fingerprint(config, data)):
            _adopt(experiment, name, config, data, folder)


def _adopt(experiment: Experiment, name: str, config: ForeignConfig, data: TrainingData, folder: Path) -> None:
    program: bytes | None = None
    network: Callable[[Tensor], Tensor]
    if isinstance(config, ExportedEmulatorConfig):
        program = read_file(Path(config.program))
        network = load_program(Path(config.program), program)
    else:
        network = imported(config)
    model = ForeignEmulator(network, config.units, data.dims, data.normalization).eval()
    state = {key: tensor.clone() for key, tensor in model.state_dict().items()}  # before anything has run
    model.check(data.valid.spread(STATES, 1)[:, 0], f"emulators.{name}")
    card = _card(experiment, name, config, data, model)
    if program is not None:
        write_bytes(folder / PROGRAM, program)
        card["program_digest"] = digest_of(program)
    cost = {"training": "elsewhere", "revision of the code": str(revision())}
    save_model(folder, state, state, card, [card["metrics"]], readme(card, str(folder), cost))


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
    digests = {file: digest_of(read_file(Path(file))) for file in files}
    return fingerprint("emulator", config, digests, data.fingerprints, code_of("thermalize.stages.emulator"))


def _source(target: str) -> list[str]:
    """File of the module that makes an emulator, so that a change of it makes another emulator."""
    found = getsourcefile(factory(target))
    return [] if found is None else [found]
