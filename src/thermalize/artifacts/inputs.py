"""What a figure or table is drawn from: one experiment's files, opened.

Everything is keyed as in the results folder: rollouts and diagnostics by (emulator, stabilizer, seed), training histories
and model cards by ``emulators/{name}`` and ``diffusion/{name}``. The order of emulators and stabilizers is the config's.
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

__all__ = ["FigureInputs", "Key", "describe_cause", "envelope", "state", "strip"]

Key = tuple[str, str, int]

CAUSES = {
    "nonfinite": "non-finite",
    "energy": "energy out of the truth's range",
    "enstrophy": "enstrophy out of the truth's range",
    "spectrum": "spectrum unlike any of the truth",
    "frozen": "motionless",
}


@dataclass(frozen=True)
class FigureInputs:
    """Opened inputs of the artifacts; a figure reads the parts it needs, so the others may be left empty."""

    experiment: Experiment
    truth: xr.Dataset | None = None
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
        return tuple(seed for *pair, seed in self.keys if pair == [emulator, stabilizer])

    def of_seeds(self, emulator: str, stabilizer: str) -> list[xr.Dataset]:
        """The diagnostics of one emulator and stabilizer, one dataset per seed."""
        return [self.diagnostics[emulator, stabilizer, seed] for seed in self.seeds(emulator, stabilizer)]

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


def strip(dataset: xr.Dataset, member: int, start: int, stop: int) -> np.ndarray:
    """States [time, x] of one member's first channel between two frames; further grid axes are cut at their first point.

    Frames beyond the end of the dataset come back as NaN.
    """
    values = state(dataset).isel(member=member, channel=0, time=slice(start, stop))
    cut = {str(axis): 0 for axis in values.dims[1:-1]}
    found = np.asarray(values.isel(cut).values, dtype=np.float64)
    missing = (stop - start) - found.shape[0]
    return np.pad(found, ((0, missing), (0, 0)), constant_values=np.nan)


def envelope(diagnostics: xr.Dataset) -> dict[str, Any]:
    """Thresholds of the truth's envelope by quantity, as the diagnostics recorded them; empty where they did not."""
    return dict(json.loads(diagnostics.attrs.get("envelope", "{}")))


def describe_cause(diagnostics: xr.Dataset, member: int) -> str:
    """Why a member left the envelope, in words, read from the CF flags of ``horizon_cause``."""
    cause = diagnostics["horizon_cause"]
    meanings = dict(zip(np.atleast_1d(cause.attrs["flag_values"]).tolist(), cause.attrs["flag_meanings"].split(), strict=True))
    name = meanings[int(cause.values[member])]
    return CAUSES.get(name, name)
