"""What a figure or table is drawn from: one experiment's files, opened.

Everything is keyed as in the results folder: rollouts and diagnostics by (emulator, stabilizer, seed), ensembles by
(emulator, stabilizer), training histories and model cards by ``emulators/{name}`` and ``diffusion/{name}``, samples by
the diffusion model's name, costs by emulator and stabilizer. Emulators and stabilizers come in the order of the
configuration.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from thermalize.config import Experiment, NoStabilizerConfig
from thermalize.figures.units import Scale, time_scale
from thermalize.metrics.pooling import distinct
from thermalize.rollouts.series import EVERY, frames_of

__all__ = [
    "FigureInputs",
    "Key",
    "cause",
    "departure",
    "envelope",
    "hovmoller",
    "lost_steps",
    "picked",
    "snapshots",
    "state",
    "stored_every",
    "units",
]

Key = tuple[str, str, int]


@dataclass(frozen=True)
class FigureInputs:
    """Opened inputs of the artifacts; a figure reads the parts it needs, so the others may be left empty."""

    experiment: Experiment
    truth: xr.Dataset
    rollouts: Mapping[Key, xr.Dataset] = field(default_factory=dict)
    diagnostics: Mapping[Key, xr.Dataset] = field(default_factory=dict)
    ensembles: Mapping[tuple[str, str], xr.Dataset] = field(default_factory=dict)
    histories: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    cards: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    samples: Mapping[str, xr.Dataset] = field(default_factory=dict)
    costs: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)

    @property
    def keys(self) -> tuple[Key, ...]:
        """Every (emulator, stabilizer, seed) at hand, in the order of the config."""
        emulators, stabilizers = list(self.experiment.emulators), list(self.experiment.stabilizers)
        present = set(self.rollouts) | set(self.diagnostics)
        return tuple(sorted(present, key=lambda key: (emulators.index(key[0]), stabilizers.index(key[1]), key[2])))

    @property
    def emulators(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(emulator for emulator, _, _ in self.keys))

    def stabilizers(self, emulator: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(stabilizer for name, stabilizer, _ in self.keys if name == emulator))

    def seeds(self, emulator: str, stabilizer: str) -> tuple[int, ...]:
        """Seeds whose rollouts differ, as far as their diagnostics are at hand."""
        found = [key for key in self.keys if key[:2] == (emulator, stabilizer)]
        if not all(key in self.diagnostics for key in found):
            return tuple(key[2] for key in found)
        return tuple(found[place][2] for place in distinct([self.diagnostics[key] for key in found]))

    def of_seeds(self, emulator: str, stabilizer: str) -> list[xr.Dataset]:
        """The diagnostics of one emulator and stabilizer, one dataset per seed."""
        return [self.diagnostics[emulator, stabilizer, seed] for seed in self.seeds(emulator, stabilizer)]

    def runs(self, emulator: str, stabilizer: str) -> list[xr.Dataset]:
        """The rollouts of one emulator and stabilizer, one dataset per seed."""
        return [self.rollouts[emulator, stabilizer, seed] for seed in self.seeds(emulator, stabilizer)]

    def only(self, emulator: str, stabilizers: Collection[str]) -> FigureInputs:
        """The same inputs with the rollouts and diagnostics of one emulator and of some stabilizers."""
        parts = (self.rollouts, self.diagnostics)
        rollouts, diagnostics = (
            {key: part[key] for key in part if key[0] == emulator and key[1] in stabilizers} for part in parts
        )
        return replace(self, rollouts=rollouts, diagnostics=diagnostics)

    @property
    def planar(self) -> bool:
        """Whether the fields have two dimensions."""
        return len(self.experiment.simulation.grid) > 1

    @property
    def clock(self) -> Scale:
        """How emulator steps are shown as times: the step in units that suit the longest trajectory."""
        step = self.experiment.simulation.frame_interval
        frames = max(frames_of(dataset) for dataset in (self.truth, *self.rollouts.values()))
        shown = time_scale(units(self.truth["time"]), frames * step)
        return Scale(step * shown.factor, shown.units)

    def moment(self, *steps: float) -> str:
        """Times of emulator steps in words: ``t = 12``, or ``t = 3 to 4.5 days`` where time has a unit."""
        step, name = self.clock
        times = " to ".join(f"{time:.3g}" if (time := each * step) < 999.5 else f"{time:.0f}" for each in steps)
        return f"t = {times}" + ("" if name == "time units" else f" {name}")

    @property
    def confidence(self) -> str:
        """The confidence of every interval in words, for instance ``95 %``."""
        return f"{100 * self.experiment.diagnostics.confidence:g} %"


def picked(inputs: FigureInputs, emulator: str) -> list[str]:
    """The first raw and the first stabilised rollout of an emulator, one with a diffusion model where there is one."""
    configured, present = inputs.experiment.stabilizers, inputs.stabilizers(emulator)
    raw = [label for label in present if isinstance(configured[label], NoStabilizerConfig)]
    others = [label for label in present if label not in raw]
    others.sort(key=lambda label: configured[label].needs.diffusion is None)
    return raw[:1] + others[:1]


def state(dataset: xr.Dataset) -> xr.DataArray:
    """The physical state (member, time, channel, *grid) of a trajectory or rollout."""
    return dataset[dataset.attrs["variable"]]


def units(variable: xr.DataArray) -> str:
    """Units of a variable or coordinate, 1 where it has none."""
    return str(variable.attrs.get("units", "1"))


def hovmoller(dataset: xr.Dataset, member: int, start: int, stop: int) -> np.ndarray:
    """States [time, x] of one member's first channel between two frames; other grid axes are cut at their first point.

    Where only some frames are stored each stands until the next one. Frames beyond the end come back as NaN.
    """
    every, frames = stored_every(dataset), np.arange(start, min(stop, frames_of(dataset)))
    first = start // every
    values = state(dataset).isel(member=member, channel=0, time=slice(first, -(-stop // every)))
    cut = {str(axis): 0 for axis in values.dims[1:-1]}
    found = values.isel(cut).to_numpy().astype(np.float64)[frames // every - first]
    missing = (stop - start) - found.shape[0]
    return np.pad(found, ((0, missing), (0, 0)), constant_values=np.nan)


def snapshots(dataset: xr.Dataset, member: int, frames: Sequence[int]) -> np.ndarray:
    """States [frame, channel, *grid] of one member at some frames; all NaN where one is not there or not finite.

    Where only some frames are stored, the last one that is.
    """
    field, every = state(dataset).isel(member=member).transpose("time", "channel", ...), stored_every(dataset)
    known = [place for place, frame in enumerate(frames) if frame < frames_of(dataset)]
    found = np.full((len(frames), *field.shape[1:]), np.nan)
    found[known] = field.isel(time=[frames[place] // every for place in known]).to_numpy()
    found[~np.isfinite(found).all(axis=tuple(range(1, found.ndim)))] = np.nan
    return found


def stored_every(dataset: xr.Dataset) -> int:
    """The states of every so many steps are there."""
    return int(dataset.attrs.get(EVERY, 1))


def lost_steps(rollout: xr.Dataset) -> list[int | None]:
    """Step from which each member has no states, None where it has them all."""
    return [None if step < 0 else int(step) for step in rollout.attrs["lost_step"]]


def departure(diagnostics: xr.Dataset) -> float | None:
    """Step at which the first member left the truth's envelope; None when it stayed."""
    left = bool(diagnostics["horizon_observed"].to_numpy()[0])
    return float(diagnostics["stable_horizon"].to_numpy()[0]) if left else None


def envelope(diagnostics: xr.Dataset) -> dict[str, Any]:
    """Thresholds of the truth's envelope by quantity, as the diagnostics recorded them."""
    return dict(json.loads(diagnostics.attrs["envelope"]))


def cause(diagnostics: xr.Dataset, member: int) -> str:
    """Why a member left the envelope: the meaning of its CF flag in ``horizon_cause``."""
    flags = diagnostics["horizon_cause"]
    values, meanings = np.atleast_1d(flags.attrs["flag_values"]).tolist(), flags.attrs["flag_meanings"].split()
    return dict(zip(values, meanings, strict=True))[int(flags.to_numpy()[member])]
