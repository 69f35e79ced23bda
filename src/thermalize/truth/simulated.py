"""The ensemble of a split: which members it has, how they begin, what its store looks like.

    u_m(0) ~ stream(seed, "simulate", system, split, m)

A member is known by its split and its number m alone, so it begins in the same state whatever else is simulated. With
several windows each window is a row of the store, with the identifier first + m · windows + window; the rows of a block
are ordered by window and then by member, as they come.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thermalize import __version__, systems
from thermalize.config import Experiment, SimulationConfig, SplitConfig
from thermalize.runtime.devices import resolve
from thermalize.runtime.errors import UserError
from thermalize.runtime.streams import stream
from thermalize.store.fingerprint import fingerprint
from thermalize.store.layout import Layout, inner_chunk
from thermalize.truth.cluster import report

__all__ = [
    "FIRST_MEMBER",
    "Ensemble",
    "device_of",
    "layout_of",
    "made_from",
    "member_ids",
    "split_of",
    "states",
    "windows_per_shard",
]

FIRST_MEMBER = {"train": 0, "valid": 1_000_000, "test": 2_000_000}


@dataclass(frozen=True)
class Ensemble:
    """A split that is integrated on a device, block of members by block of members."""

    experiment: Experiment
    split: str
    device: str = "cpu"

    @property
    def layout(self) -> Layout:
        return layout_of(self.experiment, self.split)

    @property
    def blocks(self) -> int:
        simulation = _simulation(self.experiment)
        return split_of(simulation, self.split).members // simulation.block

    @property
    def steps(self) -> int:
        """Solver steps of a block, from its initial condition to its last frame."""
        timing = timing_of(_simulation(self.experiment), self.split)
        between = (timing.windows - 1) * timing.steps_per_window
        return timing.spin_up_steps + between + (timing.frames - 1) * timing.steps_per_frame

    def rows(self, block: int) -> slice:
        """Where a block lies along the member axis of the store."""
        simulation = _simulation(self.experiment)
        size = simulation.block * split_of(simulation, self.split).windows
        return slice(block * size, (block + 1) * size)

    def shards(self, block: int) -> Iterator[tuple[slice, slice, np.ndarray]]:
        """The shards of a block as they fill: rows, index range along time, values [row, frame, channel, *grid]."""
        simulation = _simulation(self.experiment)
        chosen, together = split_of(simulation, self.split), windows_per_shard(simulation, self.split)
        coming = states(self.experiment, self.split, block, self.device, lambda steps: report((block, steps)))
        for window in range(0, chosen.windows, together):
            first = self.rows(block).start + window * simulation.block
            rows = slice(first, first + together * simulation.block)
            for start in range(0, chosen.frames, simulation.shard_frames):
                frames = min(simulation.shard_frames, chosen.frames - start)
                yield rows, slice(start, start + frames), _collect(coming, together, frames)

    def made_from(self, code: str) -> str:
        """Fingerprint of all that the bits depend on."""
        return made_from(self.experiment, self.split, code, self.device)


def member_ids(simulation: SimulationConfig, split: str) -> np.ndarray:
    """Identifiers of the rows of a split's store: no two splits share one, and none changes when members are added."""
    chosen = split_of(simulation, split)
    blocks = np.arange(chosen.members).reshape(-1, 1, simulation.block)
    return np.asarray(FIRST_MEMBER[split] + blocks * chosen.windows + np.arange(chosen.windows)[:, None]).reshape(-1)


def split_of(simulation: SimulationConfig, split: str) -> SplitConfig:
    """Members and frames of a split; `UserError` if there is no such split."""
    for name, found in simulation.splits.items():
        if name == split:
            return found
    raise UserError(f"There is no split {split!r}; the splits are {', '.join(simulation.splits)}")


def device_of(simulation: SimulationConfig, gpus: int | None = None) -> str:
    """The device that computes, "cpu" or "cuda", looked for here unless other machines compute.

    Raises:
        UserError: a GPU is asked for where none is, or where the scheduler granted none (`gpus`).
    """
    return simulation.device if simulation.dask.elsewhere else _found(simulation.device, gpus).type


def _found(device: str, gpus: int | None = None) -> torch.device:
    try:
        return resolve(device, gpus)
    except UserError as error:
        raise UserError(f"simulation.{error}") from None


def states(
    experiment: Experiment, split: str, block: int, device: str = "cpu", seen: Callable[[int], None] | None = None
) -> Iterator[Tensor]:
    """The frames of a block of members, window after window, [member, channel, *grid] in the solver's precision.

    Args:
        experiment, split, block: which members.
        device: "cpu" or "cuda".
        seen: called with the number of solver steps done whenever the state was looked at, also in the spin-up.

    Raises:
        UserError: the device is not there.
    """
    simulation = _simulation(experiment)
    system = _system(simulation, _found(device))
    members = FIRST_MEMBER[split] + simulation.block * block + np.arange(simulation.block)
    streams = (stream(experiment.seed, "simulate", simulation.system.kind, split, int(member)) for member in members)
    initial = torch.stack([system.initial_condition(rng) for rng in streams])
    timing = timing_of(simulation, split)
    return systems.frames(system, initial, timing if seen is None else _Watched(**vars(timing), seen=seen))


@dataclass(frozen=True)
class _Watched(systems.Timing):
    """A timing that tells how far it has been followed."""

    seen: Callable[[int], None] = lambda _: None

    def looks(self) -> Iterator[tuple[int, bool]]:
        for step, is_frame in super().looks():
            yield step, is_frame
            self.seen(step)  # the next look is asked for when this one is over


def timing_of(simulation: SimulationConfig, split: str) -> systems.Timing:
    """Steps, frames and windows of a split."""
    chosen = split_of(simulation, split)
    return systems.Timing(
        dt=simulation.dt,
        steps_per_frame=simulation.steps_per_frame,
        frames=chosen.frames,
        spin_up_steps=round(simulation.spin_up / simulation.dt),
        windows=chosen.windows,
        steps_per_window=simulation.steps_per_window,
        stepper=simulation.stepper,
    )


def layout_of(experiment: Experiment, split: str) -> Layout:
    """The store of a split: a shard is a block of members × `simulation.shard_frames`, of one window or of several."""
    simulation = _simulation(experiment)
    system, frames = _system(simulation, torch.device("cpu")), split_of(simulation, split).frames
    shard = (simulation.block * windows_per_shard(simulation, split), min(simulation.shard_frames, frames))
    frame_bytes = 4 * len(system.channels) * prod(len(axis) for axis in system.axes.values())
    return Layout(
        variable=system.variable,
        long_name=system.long_name,
        units=system.units,
        channels=system.channels,
        axes=system.axes,
        axis_units=system.length_units,
        members=member_ids(simulation, split),
        time=simulation.frame_interval * np.arange(frames),
        time_units=system.time_units,
        shard=shard,
        chunk=inner_chunk(shard, frame_bytes),
        attributes=_attributes(experiment, split, system),
    )


def windows_per_shard(simulation: SimulationConfig, split: str) -> int:
    """As many whole windows as have `simulation.shard_frames` frames together, and divide their number."""
    chosen = split_of(simulation, split)
    most = max(1, simulation.shard_frames // chosen.frames)
    return max(count for count in range(1, min(most, chosen.windows) + 1) if chosen.windows % count == 0)


def made_from(experiment: Experiment, split: str, code: str, device: str = "cpu") -> str:
    """Fingerprint of all that the bits of a split depend on, which is neither the other splits nor who computes it."""
    simulation = _simulation(experiment)
    return fingerprint(
        simulation.model_dump(mode="json", exclude={"dask", "device", "splits"}),
        device,
        {split: split_of(simulation, split)},
        experiment.seed,
        code,
    )


def _simulation(experiment: Experiment) -> SimulationConfig:
    assert isinstance(experiment.simulation, SimulationConfig), (
        "imported splits are the business of thermalize.truth.imported"
    )
    return experiment.simulation


def _collect(coming: Iterator[Tensor], windows: int, frames: int) -> np.ndarray:
    """The next frames of some windows, [window × member, frame, channel, *grid] in float32."""
    collected: list[np.ndarray] = []
    for _ in range(windows):
        values = np.stack([state.to("cpu", torch.float32).numpy() for state in islice(coming, frames)], axis=1)
        collected.append(values)
    return np.concatenate(collected)


def _attributes(experiment: Experiment, split: str, system: systems.System) -> dict[str, Any]:
    simulation = _simulation(experiment)
    parameters = simulation.identity
    return {
        "title": f"{system.long_name}: {split} members",
        "equation": system.equation,
        "system": json.dumps(parameters),
        **{f"system_{name}": value for name, value in parameters.items() if value is not None},
        "split": split,
        "seed": experiment.seed,
        "frame_interval": simulation.frame_interval,
        "dt": simulation.dt,
        "spin_up": simulation.spin_up,
        "stepper": simulation.stepper,
        "precision": simulation.precision,
        "solver_order": systems.STEPPERS[simulation.stepper].order,
        "code_version": __version__,
    }


def _system(simulation: SimulationConfig, device: torch.device) -> systems.System:
    return systems.build(simulation.system, getattr(torch, simulation.precision), device)
