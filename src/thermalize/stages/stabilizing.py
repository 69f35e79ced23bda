"""What a stabilizer of an experiment is built from: models, another rollout, band energies of the truth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from thermalize.config import Experiment, StabilizerConfig
from thermalize.diffusion.load import load_diffusion
from thermalize.emulators.load import digest_of, read_file
from thermalize.models.folder import read_card
from thermalize.rollouts.series import axis_of
from thermalize.runtime.streams import stream
from thermalize.stabilizers.base import Inputs, Stabilizer
from thermalize.stabilizers.build import build
from thermalize.stages.bands import read_bands, true_states
from thermalize.store import sealed
from thermalize.store.manifest import open_store, read_manifest
from thermalize.store.results import Results, digests_of
from thermalize.workflow.steps import STEPS

__all__ = ["Parts"]


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
            elif need.step in ("bands", "reference"):
                found.append(sealed.sums(Path(digests_of(getattr(self.paths, need.step))[0])))
            else:
                folder = getattr(self.paths, need.step)(*need.key)
                card = read_card(folder, need.step, self.experiment.simulation.identity)
                found += [card["weights_digest"], card.get("calibration"), card.get("fingerprint")]
        key = (self.emulator, self.label, str(self.seed))
        files = [*STEPS["rollout"].files(self.experiment, *key), *STEPS["emulator"].files(self.experiment, key[0])]
        return [*found, *(digest_of(read_file(Path(name))) for name in files)]

    def build(self, device: torch.device) -> Stabilizer:
        """The stabilizer, with what its settings say that it needs."""
        needs, diffusion = self.config.needs, None
        if needs.diffusion is not None:
            folder, own = self.paths.diffusion(needs.diffusion), self.experiment.diffusion[needs.diffusion]
            diffusion = load_diffusion(folder, self.experiment.simulation.identity, device, trust_code=own)
        truth, bands = partial(true_states, self.experiment, self.paths), partial(read_bands, self.paths.bands)
        return build(self.config, Inputs(diffusion, self._recorded, self._streams, truth, bands))

    def _recorded(self, name: str) -> np.ndarray:
        like = self.config.needs.like
        assert like is not None
        rollout = open_store(self.paths.rollout(self.emulator, like, self.seed), storage=self.experiment.storage)
        return rollout[name].transpose("member", axis_of(rollout)).to_numpy()

    def _streams(self, purpose: str) -> list[np.random.Generator]:
        members = range(self.experiment.rollouts.members)
        return [stream(self.experiment.seed, purpose, self.seed, member) for member in members]
