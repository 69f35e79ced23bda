"""What a stabilizer of an experiment is built from: models, another rollout, true trajectories."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from thermalize.config import Experiment, StabilizerConfig
from thermalize.diffusion.load import load_diffusion
from thermalize.emulators.base import Emulator
from thermalize.models.folder import read_card
from thermalize.runtime.streams import stream
from thermalize.stabilizers.base import Inputs, Stabilizer
from thermalize.stabilizers.build import build
from thermalize.store.manifest import open_store, read_manifest
from thermalize.store.results import Results
from thermalize.workflow.steps import STEPS

__all__ = ["Parts"]

VALUES = 2**25
"""Most values of true trajectories that band energies are compared with."""


@dataclass(frozen=True)
class Parts:
    """The parts of stabilizer `label` for one rollout of `emulator`, among the results of an experiment."""

    experiment: Experiment
    paths: Results
    emulator: str
    label: str
    seed: int

    @property
    def config(self) -> StabilizerConfig:
        return self.experiment.stabilizers[self.label]

    def digests(self) -> list[object]:
        """What tells the parts of this rollout from others, truth and emulator among them."""
        found: list[object] = []
        for need in STEPS["rollout"].needs(self.experiment, self.emulator, self.label, str(self.seed)):
            if need.step in ("simulate", "rollout"):
                (manifest,) = STEPS[need.step].outputs(self.paths, *need.key)
                found.append(read_manifest(Path(manifest)).fingerprint)
            else:
                folder = getattr(self.paths, need.step)(*need.key)
                card = read_card(folder, need.step, self.experiment.simulation.identity)
                found += [card["weights_digest"], card.get("calibration")]
        return found

    def build(self, emulator: Emulator, device: torch.device) -> Stabilizer:
        """The stabilizer, with what its settings say that it needs."""
        needs, diffusion = self.config.needs, None
        if needs.diffusion is not None:
            folder, own = self.paths.diffusion(needs.diffusion), self.experiment.diffusion[needs.diffusion]
            diffusion = load_diffusion(folder, self.experiment.simulation.identity, device, trust_code=own)
        return build(self.config, Inputs(diffusion, self._recorded, self._streams, lambda: self._true(emulator)))

    def _recorded(self, name: str) -> np.ndarray:
        like = self.config.needs.like
        assert like is not None
        rollout = open_store(self.paths.rollout(self.emulator, like, self.seed), storage=self.experiment.storage)
        return rollout[name].transpose("member", "time").to_numpy()

    def _streams(self, purpose: str) -> list[np.random.Generator]:
        members = range(self.experiment.rollouts.members)
        return [stream(self.experiment.seed, purpose, self.seed, member) for member in members]

    def _true(self, emulator: Emulator) -> Tensor:
        """Whole members, spread evenly, or the beginning of one."""
        dataset = open_store(self.paths.simulation("train"), storage=self.experiment.storage)
        field = dataset[dataset.attrs["variable"]].transpose("member", "time", "channel", ...)
        frame = field[0, 0].size
        frames = min(field.shape[1], VALUES // frame)
        members = max(1, min(field.shape[0], VALUES // (frame * frames)))
        chosen = field[:: field.shape[0] // members, :frames][:members]
        return emulator.normalize(torch.from_numpy(chosen.values).to(emulator.mean.device)).cpu()
