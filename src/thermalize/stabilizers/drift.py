"""Control of band energies: drift that a noise level cannot see, found and set right where it is.

A noise level asks whether a state looks like truth with white noise on it. Too much energy at large scales, or too
little anywhere, does not look like that: the level of such a state is low. Here the energy of each band of wavenumbers
is followed over time, member by member, relative to its mean over true states:

    r_b ← (1 − a) r_b + a E_b(x)/⟨E_b⟩,      r_b = 1 at first,   a = 1/memory

and compared with how far the same average of true trajectories strays. A band has drifted where it is off by more
than `threshold` standard deviations σ_b of its truth, |ln r_b| > threshold · σ_b, or by half of that if it was last
off to the same side. Its rate is at least ln r_b / n over the n steps since it was last right, or the memory/2 that
the average lags behind if that is more. Its amplitude is set right at once, and from then on that rate is taken off
at every step, m-fold at the m-th time in a row that the band was off to the same side:

    x̂_b ← x̂_b r_b^{−1/2},    g_b ← g_b − m ½ ln r_b / n,    r_b ← 1;      at every step  x̂_b ← x̂_b exp(g_b)

So a lasting bias of the emulator is learned from a few events, also where its dynamics pull the band back at once; a
chance excursion after a long calm leaves next to nothing, and a member of which no band was ever off keeps its bits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from thermalize.config import DriftConfig
from thermalize.runtime.errors import UserError
from thermalize.runtime.members import NoiseSource, Series
from thermalize.stabilizers.bands import Bands, band_energies
from thermalize.stabilizers.base import Inputs, Memory, Stabilized, Stabilizer

__all__ = ["SERIES", "BandControl", "BandStatistics", "build"]

DRIFT = Series("drift", "largest deviation of a smoothed band energy from the truth's, in units of the threshold")
RESCALED = Series("rescaled", "bands of wavenumbers whose energy was set right", dtype="int16", missing=0)
SERIES = (DRIFT, RESCALED)

SMALLEST = 1e-30
SUSPECT = 0.5
"""Share of the threshold that is enough where a band was last off to the same side."""


@dataclass(frozen=True)
class BandStatistics:
    """Of true trajectories, each [channel, band]: mean energy ⟨E_b⟩, and standard deviation σ_b of ln r_b."""

    mean: Tensor
    spread: Tensor
    memory: float

    @classmethod
    def of_energies(cls, energy: Tensor, memory: float) -> BandStatistics:
        """From E_b [member, time, channel, band] of true trajectories; raises UserError where it is not finite.

        An average that begins at r = 1 has after t steps the share 1 − (1 − a)^{2t} of its final variance. Of windows
        shorter than the memory the mean energy of each is taken: it strays more than a long average would.
        """
        energy = energy.double()
        if not bool(energy.isfinite().all()):
            raise UserError("the truth that band energies are compared with is not finite")
        mean = energy.mean((0, 1))
        relative = energy / mean.clamp(min=SMALLEST)
        if energy.shape[1] < memory:
            return cls(mean, logarithm(relative.mean(1)).square().mean(0).sqrt(), memory)
        ratio, square, share = torch.ones_like(relative[:, 0]), torch.zeros_like(mean), 0.0
        for t, now in enumerate(relative.unbind(1), start=1):
            ratio = ratio + (now - ratio) / memory
            square, share = square + logarithm(ratio).square().mean(0), share + 1 - (1 - 1 / memory) ** (2 * t)
        return cls(mean, (square / share).sqrt(), memory)

    @classmethod
    def of(cls, truth: Tensor, memory: float) -> BandStatistics:
        """The same from normalised truth [member, time, channel, *grid]."""
        return cls.of_energies(band_energies(truth).energy, memory)


@dataclass(frozen=True)
class BandControl:
    """`inner` on states whose band energies were set right; bands below the share `floor` of the variance are left."""

    inner: Stabilizer
    bands: Bands
    truth: BandStatistics
    threshold: float = 3.0
    floor: float = 1e-6

    @property
    def series(self) -> tuple[Series, ...]:
        return (*self.inner.series, *SERIES)

    def memory(self, members: int) -> Memory:
        shape = (members, *self.truth.mean.shape)
        own = {name: torch.zeros(shape, dtype=torch.float64) for name in ("gain", "calm", "streak")}
        return {**self.inner.memory(members), **own, "ratio": torch.ones(shape, dtype=torch.float64)}

    def __call__(self, x: Tensor, step: int, rows: Tensor, noise: NoiseSource, memory: Memory) -> Stabilized:
        spectrum = self.bands.transform(x)
        gain, drift, rescaled = self._judge(self.bands.energies(spectrum).double().cpu(), rows, memory)
        touched = torch.nonzero((gain != 1).flatten(1).any(1)).flatten()
        righted = x
        if len(touched):
            there = touched.to(x.device)
            scaled = self.bands.scale(spectrum[there], gain[touched].to(x.device))
            righted = x.index_copy(0, there, self.bands.inverse(scaled).to(x.dtype))
        found = self.inner(righted, step, rows, noise, memory)
        return replace(found, record={**found.record, DRIFT.name: drift, RESCALED.name: rescaled})

    def _judge(self, energy: Tensor, rows: Tensor, memory: Memory) -> tuple[Tensor, Tensor, Tensor]:
        """Gains [batch, channel, band] that apply now; drift [batch] and number of bands set right [batch]."""
        ratio, gain, calm = (memory[name][rows] for name in ("ratio", "gain", "calm"))
        streak = memory["streak"][rows]
        now = (energy / self.truth.mean.clamp(min=SMALLEST)).nan_to_num(1.0, 1.0, 1.0) * (2 * gain).exp()
        ratio, calm = ratio + (now - ratio) / self.truth.memory, calm + 1
        off = logarithm(ratio)
        limit = self.threshold * self.truth.spread * torch.where(streak * off > 0, SUSPECT, 1.0)
        drift = off.abs() / limit.clamp(min=SMALLEST) * self._watched
        wrong = drift > 1
        applied = (gain - torch.where(wrong, off / 2, 0.0)).exp()
        streak = torch.where(wrong, off.sign() + torch.where(streak * off > 0, streak, 0.0), streak)
        lasting = streak.abs() * off / (2 * calm.clamp(min=self.truth.memory / 2))
        memory["streak"][rows], memory["gain"][rows] = streak, gain - torch.where(wrong, lasting, 0.0)
        memory["ratio"][rows] = torch.where(wrong, 1.0, ratio)
        memory["calm"][rows] = torch.where(wrong, 0.0, calm)
        return applied, drift.flatten(1).amax(1), wrong.flatten(1).sum(1)

    @property
    def _watched(self) -> Tensor:
        return self.truth.mean > self.floor * self.truth.mean.sum(-1, keepdim=True)


def logarithm(ratio: Tensor) -> Tensor:
    return ratio.clamp(min=SMALLEST).log()


def build(config: DriftConfig, inner: Stabilizer, inputs: Inputs) -> BandControl:
    """Control around `inner`, by the band energies of true trajectories."""
    assert inputs.bands is not None, "control of band energies needs those of true trajectories"
    truth = inputs.bands()
    statistics = BandStatistics.of_energies(truth.energy, config.memory)
    return BandControl(inner, Bands(truth.grid), statistics, config.threshold, config.floor)
