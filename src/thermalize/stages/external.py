"""Emulators that were trained elsewhere: looked at, measured on held-out truth, and put into a model folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from thermalize.config import (
    Experiment,
    ExportedEmulatorConfig,
    ImportedEmulatorConfig,
    TrainingConfig,
)
from thermalize.emulators.exported import load_program
from thermalize.emulators.external import ForeignEmulator
from thermalize.emulators.load import digest_of, imported, read_file
from thermalize.emulators.validation import HeldOut
from thermalize.models.card import readme
from thermalize.models.folder import is_complete, save_model
from thermalize.runtime.errors import UserError
from thermalize.runtime.files import exclusive, explaining, write_bytes
from thermalize.runtime.revision import revision
from thermalize.stages.data import TrainingData, held_by, identity_card, read_data
from thermalize.store.fingerprint import fingerprint
from thermalize.store.results import PROGRAM, Results
from thermalize.workflow.steps import STEPS

__all__ = ["adopt_emulator"]

ForeignConfig = ImportedEmulatorConfig | ExportedEmulatorConfig
HELD_OUT = TrainingConfig(updates=1, data="stream")  # nothing is trained; errors are those of trained emulators
STATES = 3
"""That an emulator must map each on its own."""


def adopt_emulator(experiment: Experiment, name: str, paths: Results) -> None:
    """Checks `emulators.{name}`, measures its errors on held-out truth and writes its model folder."""
    config = experiment.emulators[name]
    assert isinstance(config, ForeignConfig)
    folder = paths.emulator(name)
    data = read_data(experiment, HELD_OUT, paths, folder)
    with exclusive(folder), explaining(folder):
        if not is_complete(folder, _fingerprint(experiment, name, config, data)):
            _adopt(experiment, name, config, data, folder)


def _adopt(experiment: Experiment, name: str, config: ForeignConfig, data: TrainingData, folder: Path) -> None:
    program: bytes | None = None
    network: Callable[..., Any]
    if isinstance(config, ExportedEmulatorConfig):
        program = read_file(Path(config.program))
        network = load_program(Path(config.program), program)
    else:
        network = imported(config)
    model = ForeignEmulator(network, config.units, data.dims, data.normalization, f"emulators.{name}").eval()
    model.held = held_by(config, data)
    state = {key: tensor.clone() for key, tensor in model.state_dict().items()}  # before anything has run
    model.check(data.valid.spread(STATES, model.history + 1))
    card = _card(experiment, name, config, data, model)
    if program is not None:
        write_bytes(folder / PROGRAM, program)
        card["program_digest"] = digest_of(program)
    cost = {"training": "elsewhere", "revision of the code": str(revision())}
    save_model(folder, state, state, card, [card["metrics"]], readme(card, str(folder), cost))


def _card(
    experiment: Experiment, name: str, config: ForeignConfig, data: TrainingData, model: ForeignEmulator
) -> dict[str, Any]:
    if model.history + 2 > data.valid.frames:
        raise UserError(
            f"emulators.{name} reads {model.history} earlier frames, but simulation.splits.valid.frames = "
            f"{data.valid.frames}; write longer trajectories"
        )
    with torch.inference_mode():
        metrics = {"update": 0, **HeldOut(data.valid, model.history).errors(model)}
    parameters = sum(p.numel() for p in model.parameters())
    return {
        **identity_card("emulator", name, experiment, data),
        "config": config.model_dump(mode="json"),
        "held": model.held and model.held.card(),
        "fingerprint": _fingerprint(experiment, name, config, data),
        "parameters": parameters,
        "network": {"parameters": parameters},
        "best_update": 0,
        "updates": 0,
        "metrics": metrics,
    }


def _fingerprint(experiment: Experiment, name: str, config: ForeignConfig, data: TrainingData) -> str:
    files = STEPS["emulator"].files(experiment, name)
    digests = {file: digest_of(read_file(Path(file))) for file in files}
    return fingerprint("emulator", config, digests, data.fingerprints, STEPS["emulator"].code(experiment, name))
