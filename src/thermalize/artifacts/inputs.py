"""What a figure or table is drawn from: one experiment's files, opened.

Everything is keyed as in the results folder: rollouts and diagnostics by (emulator, stabilizer, seed), training
histories and model cards by ``emulators/{name}`` and ``diffusion/{name}``. Emulators and stabilizers come in the order
of the configuration.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from thermalize.config import Experiment

__all__ = ["FigureInputs", "Key", "cause", "envelope", "lost_steps", "state", "strip", "units"]

Key = tuple[str, str, int]


@dataclass(frozen=True)
class FigureInputs:
    """Opened inputs of the artifacts; a figure reads the parts it needs, so the others may be left empty."""

    experiment: Experiment
    truth: xr.Dataset
    rollouts: Mapping[Key, xr.Dataset] = field(default_factory=dict)
    diagnostics: Mapping[Key, xr.Dataset] = field(default_factory=dict)
    histories: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    cards: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

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
        return tuple(key[2] for key in self.keys if key[:2] == (emulator, stabilizer))

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
    def interval(self) -> float:
        """Emulator step in time units."""
        return self.experiment.simulation.frame_interval

    @property
    def confidence(self) -> str:
        """The confidence of every interval in words, for instance ``95 %``."""
        return f"{100 * self.experiment.diagnostics.confidence:g} %"


def state(dataset: xr.Dataset) -> xr.DataArray:
    """The physical state (member, time, channel, *grid) of a trajectory or rollout."""
    return dataset[dataset.attrs["variable"]]


def units(variable: xr.DataArray) -> str:
    """Units of a variable or coordinate, 1 where it has none."""
    return str(variable.attrs.get("units", "1"))


def strip(dataset: xr.Dataset, member: int, start: int, stop: int) -> np.ndarray:
    """States [time, x] of one member's first channel between two frames; other grid axes are cut at their first point.

    Frames beyond the end of the dataset come back as NaN.
    """
    values = state(dataset).isel(member=member, channel=0, time=slice(start, stop))
    cut = {str(axis): 0 for axis in values.dims[1:-1]}
    found = values.isel(cut).to_numpy().astype(np.float64)
    missing = (stop - start) - found.shape[0]
    return np.pad(found, ((0, missing), (0, 0)), constant_values=np.nan)


def lost_steps(rollout: xr.Dataset) -> list[int | None]:
    """Step from which each member has no states, None where it has them all."""
    return [None if step < 0 else int(step) for step in rollout.attrs["lost_step"]]


def envelope(diagnostics: xr.Dataset) -> dict[str, Any]:
    """Thresholds of the truth's envelope by quantity, as the diagnostics recorded them."""
    return dict(json.loads(diagnostics.attrs["envelope"]))


def cause(diagnostics: xr.Dataset, member: int) -> str:
    """Why a member left the envelope: the meaning of its CF flag in ``horizon_cause``."""
    flags = diagnostics["horizon_cause"]
    values, meanings = np.atleast_1d(flags.attrs["flag_values"]).tolist(), flags.attrs["flag_meanings"].split()
    return dict(zip(values, meanings, strict=True))[int(flags.to_numpy()[member])]
