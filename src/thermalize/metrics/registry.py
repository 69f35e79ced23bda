"""Families of metrics: what each measures on a rollout, the variables that hold it, and its columns in the tables.

A new metric is one module in `families` with one registered function: attributes, the check of files that are read, the
table of results and the documentation are made from what is declared there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from thermalize.config import DiagnosticsConfig
from thermalize.metrics.declared import CHANNEL, Variable
from thermalize.metrics.reference import Reference
from thermalize.metrics.rollout import MeasuredRollout
from thermalize.runtime.streams import stream

__all__ = [
    "FAMILIES",
    "Case",
    "Cell",
    "Family",
    "Numbers",
    "Seeds",
    "cells",
    "columns_of",
    "coordinates",
    "family",
    "ordered",
    "variables",
]

Numbers = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A rollout and the truth that it is compared with.

    Attributes:
        truth: its variable (member, time, channel, *grid), lazily.
        reference: all else that is known of the truth.
        states: of the rollout, (member, time, channel, *grid), lazily; those that are stored.
        rollout: what was measured on all of its states.
        series: what emulator and stabilizer recorded (`thermalize.rollouts.series.values_of`).
        lost: step at which a member was recorded as lost, −1 if never, (member,).
        config: how it is measured.
        seed: root of all random streams.
        labels: emulator, stabilizer and seed of the rollout.
    """

    truth: xr.DataArray
    reference: Reference
    states: xr.DataArray
    rollout: MeasuredRollout
    series: xr.Dataset
    lost: NDArray[np.integer[Any]]
    config: DiagnosticsConfig
    seed: int = 0
    labels: Mapping[str, str | int] = field(default_factory=dict)

    def shared_stream(self, purpose: str) -> np.random.Generator:
        """Draws that are the same for every rollout."""
        return stream(self.seed, "diagnostics", purpose)

    def own_stream(self, purpose: str) -> np.random.Generator:
        """Draws of this rollout."""
        return stream(self.seed, "diagnostics", purpose, *self.labels.values())


@dataclass(frozen=True)
class Seeds:
    """Diagnostics of the seeds of one emulator and stabilizer, which a row of the tables is about.

    `steps` is the length of the rollouts, `confidence` that of every interval.
    """

    datasets: Sequence[xr.Dataset]
    steps: int
    confidence: float


@dataclass(frozen=True)
class Cell:
    """A column of the printed tables.

    Attributes:
        title: above it; a line break is one on the terminal only, and a hyphen before it.
        text: of a row of the table, which has the columns of all families as attributes; with intervals or without.
        place: columns stand in ascending order of it.
    """

    title: str
    text: Callable[[Any, bool], str]
    place: float


@dataclass(frozen=True)
class Family:
    """Some variables that are measured together; `columns` gives numbers of the tables by name."""

    measure: Callable[[Case], Numbers]
    variables: Mapping[str, Variable]
    coordinates: Mapping[str, Variable]
    columns: Callable[[Seeds], Numbers] | None
    cells: Sequence[Cell]
    place: float


FAMILIES: dict[str, Family] = {}
"""By the name of their function."""

TRUTH: dict[str, Variable] = {
    "truth_mean": Variable(("channel",), "mean of the truth", "{field}", known=True),
    "truth_std": Variable(("channel",), "standard deviation of the truth", "{field}", known=True),
    "truth_increment_std": Variable(
        ("channel",), "standard deviation of the truth's one-step increments", "{field}", known=True
    ),
}
"""What every file says of the truth."""


def family(
    variables: Mapping[str, Variable],
    coordinates: Mapping[str, Variable] | None = None,
    columns: Callable[[Seeds], Numbers] | None = None,
    cells: Sequence[Cell] = (),
    place: float = 100.0,
) -> Callable[[Callable[[Case], Numbers]], Callable[[Case], Numbers]]:
    """Register a function that measures these variables and coordinates; families count in ascending order of place."""

    def register(measure: Callable[[Case], Numbers]) -> Callable[[Case], Numbers]:
        FAMILIES[measure.__name__] = Family(measure, variables, coordinates or {}, columns, cells, place)
        return measure

    return register


def ordered() -> list[Family]:
    """All families, those of the same place by name."""
    from thermalize.metrics import families  # noqa: F401, PLC0415 - they register themselves, by this module

    return [FAMILIES[name] for name in sorted(FAMILIES, key=lambda name: (FAMILIES[name].place, name))]


def variables() -> dict[str, Variable]:
    """Variables of a diagnostics file."""
    return TRUTH | {name: variable for each in ordered() for name, variable in each.variables.items()}


def coordinates() -> dict[str, Variable]:
    """Coordinates of a diagnostics file."""
    own = {name: variable for each in ordered() for name, variable in each.coordinates.items()}
    return {"member": Variable(("member",), "rollout member"), "channel": CHANNEL} | own


def cells() -> list[Cell]:
    """What the printed tables show of all families, from left to right."""
    return sorted((cell for each in ordered() for cell in each.cells), key=lambda cell: cell.place)


def columns_of(seeds: Seeds) -> Numbers:
    """The columns of all families for one row of the tables."""
    return {name: value for each in ordered() if each.columns for name, value in each.columns(seeds).items()}
