"""The ensemble of a split: which members it has, how they begin, what its store looks like.

    u_m(0) ~ stream(seed, "simulate", system, split, m)

A member is known by its split and its identifier m alone, so it begins in the same state whatever else is simulated.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thermalize import __version__, systems
from thermalize.config import Experiment, SimulationConfig, SplitConfig
from thermalize.errors import UserError
from thermalize.seeds import stream
from thermalize.store.fingerprint import fingerprint
from thermalize.store.layout import Layout, inner_chunk

__all__ = ["layout_of", "made_from", "member_ids", "split_of", "states"]

FIRST_MEMBER = {"train": 0, "valid": 1_000_000, "test": 2_000_000}
MOST_MEMBERS = 1_000_000


def member_ids(simulation: SimulationConfig, split: str) -> np.ndarray:
    """Identifiers of a split's members: no two splits share one, and none changes when a split grows."""
    count = split_of(simulation, split).members
    if count > MOST_MEMBERS:
        raise UserError(f"simulation.splits.{split}.members = {count} is more than a split can hold ({MOST_MEMBERS})")
    return FIRST_MEMBER[split] + np.arange(count)


def split_of(simulation: SimulationConfig, split: str) -> SplitConfig:
    """Members and frames of a split; `UserError` if there is no such split."""
    for name, found in simulation.splits.items():
        if name == split:
            return found
    raise UserError(f"There is no split {split!r}; the splits are {', '.join(simulation.splits)}")


def states(experiment: Experiment, split: str, rows: slice) -> Iterator[Tensor]:
    """The frames of the members `rows` of a split, [member, channel, *grid] in the precision of the solver."""
    simulation = experiment.simulation
    system = _system(simulation)
    streams = (
        stream(experiment.seed, "simulate", simulation.system.kind, split, int(member))
        for member in member_ids(simulation, split)[rows]
    )
    return systems.frames(
        system,
        torch.stack([system.initial_condition(rng) for rng in streams]),
        dt=simulation.dt,
        steps_per_frame=simulation.steps_per_frame,
        frames=split_of(simulation, split).frames,
        spin_up_steps=round(simulation.spin_up / simulation.dt),
    )


def layout_of(experiment: Experiment, split: str) -> Layout:
    """The store of a split: a shard is a block of members × `simulation.shard_frames`."""
    simulation = experiment.simulation
    system, frames = _system(simulation), split_of(simulation, split).frames
    shard = (simulation.block, min(simulation.shard_frames, frames))
    frame_bytes = 4 * len(system.channels) * prod(len(axis) for axis in system.axes.values())
    return Layout(
        variable=system.variable,
        long_name=system.long_name,
        units=system.units,
        channels=system.channels,
        axes=system.axes,
        axis_units="length units",
        members=member_ids(simulation, split),
        time=simulation.frame_interval * np.arange(frames),
        time_units="time units",
        shard=shard,
        chunk=inner_chunk(shard, frame_bytes),
        attributes=_attributes(experiment, split, system),
    )


def made_from(experiment: Experiment, split: str, code: str) -> str:
    """Fingerprint of all that the bits of a split depend on, which is neither the other splits nor who computes it."""
    simulation = experiment.simulation
    return fingerprint(
        simulation.model_dump(mode="json", exclude={"dask", "splits"}),
        {split: split_of(simulation, split)},
        experiment.seed,
        code,
    )


def _attributes(experiment: Experiment, split: str, system: systems.System) -> dict[str, Any]:
    simulation = experiment.simulation
    parameters = simulation.system.model_dump(mode="json")
    return {
        "title": f"{system.long_name}: {split} members",
        "equation": system.equation,
        "system": json.dumps(parameters),
        **{f"system_{name}": value for name, value in parameters.items()},
        "split": split,
        "seed": experiment.seed,
        "frame_interval": simulation.frame_interval,
        "dt": simulation.dt,
        "spin_up": simulation.spin_up,
        "precision": simulation.precision,
        "solver_order": system.order,
        "code_version": __version__,
    }


def _system(simulation: SimulationConfig) -> systems.System:
    return systems.build(simulation.system, dtype=getattr(torch, simulation.precision))
