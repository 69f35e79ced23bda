"""A cap on the energy of every mode: the cheapest thing that sees where in the spectrum a state is wrong.

    x̂_k ← x̂_k min(1, (c ⟨|x̂_k|²⟩ / |x̂_k|²)^½)      for |k| above a shell

with the mean over true states. It takes what is too much and gives nothing; the mode of a Gaussian field is above c
times its mean energy with probability e^{−c}, so that true states are touched too.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from thermalize.config import CapConfig
from thermalize.runtime.members import NoiseSource, Series
from thermalize.stabilizers.bands import Bands, shells
from thermalize.stabilizers.base import Inputs, Memory, Stabilized, Stateless

__all__ = ["Cap", "build"]

CAPPED = Series("capped", "modes whose energy was capped", dtype="int16", missing=0)
SMALLEST = 1e-30


@dataclass(frozen=True)
class Cap(Stateless):
    """`most` [channel, *half grid] is the largest |x̂_k|² of a mode, infinite where there is none."""

    bands: Bands
    most: Tensor

    @property
    def series(self) -> tuple[Series, ...]:
        return (CAPPED,)

    def __call__(self, x: Tensor, step: int, rows: Tensor, noise: NoiseSource, memory: Memory) -> Stabilized:  # noqa: ARG002
        spectrum = self.bands.transform(x)
        power, most = spectrum.abs().square(), self.most.to(x)
        above = power > most
        gain = torch.where(above, most / power.clamp(min=SMALLEST), 1.0).sqrt()
        count = above.flatten(1).sum(1)
        capped = self.bands.inverse(spectrum * gain).to(x.dtype)
        touched = (count > 0).reshape(-1, *(1 for _ in x.shape[1:]))
        return Stabilized.of(
            torch.where(touched, capped, x), capped=count.clamp(max=torch.iinfo(torch.int16).max).cpu()
        )


def build(config: CapConfig, inputs: Inputs) -> Cap:
    """By the mean energies of the modes of true trajectories."""
    assert inputs.bands is not None, "a cap needs the energies of true trajectories"
    truth = inputs.bands()
    most = torch.where(shells(truth.grid) > config.above, config.factor * truth.modes, torch.inf)
    return Cap(Bands(truth.grid), most)
