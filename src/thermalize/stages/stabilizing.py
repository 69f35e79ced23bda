"""What a stabilizer of an experiment is built from: models, another rollout, band energies of the truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from thermalize.config import Experiment, NoStabilizerConfig, ThermalizerConfig
from thermalize.diffusion.load import load_diffusion
from thermalize.models.folder import read_card
from thermalize.runtime.streams import stream
from thermalize.stabilizers.base import Stabilizer
from thermalize.stabilizers.build import Needs, build
from thermalize.stabilizers.triggers import Random, shuffled
from thermalize.stages.bands import read_bands
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
    def config(self) -> NoStabilizerConfig | ThermalizerConfig:
        return self.experiment.stabilizers[self.label]

    @property
    def diffusion(self) -> Path | None:
        model = getattr(self.config, "diffusion", None)
        return None if model is None else self.paths.diffusion(model)

    def digests(self) -> list[object]:
        """What tells the parts of this rollout from others, truth and emulator among them."""
        found: list[object] = []
        for need in STEPS["rollout"].needs(self.experiment, self.emulator, self.label, str(self.seed)):
            if need.step in ("simulate", "rollout"):
                (manifest,) = STEPS[need.step].outputs(self.paths, *need.key)
                found.append(read_manifest(Path(manifest)).fingerprint)
            elif need.step == "bands":
                found.append(sealed.sums(Path(digests_of(self.paths.bands)[0])))
            else:
                folder = getattr(self.paths, need.step)(*need.key)
                card = read_card(folder, need.step, self.experiment.simulation.identity)
                found += [card["weights_digest"], card.get("calibration")]
        return found

    def build(self, device: torch.device) -> Stabilizer:
        system = self.experiment.simulation.identity
        diffusion = None
        if self.diffusion is not None:
            own = self.experiment.diffusion[self.diffusion.name]
            diffusion = load_diffusion(self.diffusion, system, device, trust_code=own)
        return build(self.config, Needs(diffusion, self._random, lambda: read_bands(self.paths.bands)))

    def _random(self) -> Random:
        assert isinstance(self.config, ThermalizerConfig)
        assert self.config.like is not None
        rollout = open_store(
            self.paths.rollout(self.emulator, self.config.like, self.seed), storage=self.experiment.storage
        )
        level, reverse = (rollout[name].transpose("member", "time").values for name in ("level", "reverse_steps"))
        return shuffled(
            level, reverse, [stream(self.experiment.seed, "times", self.seed, m) for m in range(len(level))]
        )
