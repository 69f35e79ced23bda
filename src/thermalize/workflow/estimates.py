"""What an experiment takes at least, counted before anything runs: time of its jobs, memory, disk.

    time of a job   max(operations / rate of a core,  calls one after the other × the least that a call takes)

Rates are those of fast cores and calls those of small arrays, so that a job takes longer than said here, not less. What
cannot work on any machine is refused with the key to lower; what is too much for this one is said, and done elsewhere.

This module is imported while Snakemake reads the Snakefile, so it must stay free of torch.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, prod
from pathlib import Path

import psutil

from thermalize.config import (
    DiffusionConfig,
    Experiment,
    SimulationConfig,
    TrainedEmulatorConfig,
    TrainingConfig,
)
from thermalize.config.networksize import Size, network_size
from thermalize.runtime.errors import UserError
from thermalize.workflow.resources import (
    UNKNOWN_GRID,
    analysis_memory_of,
    network_memory_of,
    simulation_memory_of,
    simulation_threads_of,
    store_mb,
    training_memory_of,
)

__all__ = ["Work", "core_hours", "duration", "refuse_impossible", "works"]

MB_PER_GB, BYTES_PER_MB = 1000, 1e6
YEAR, DAY, HOUR, MINUTE = 365 * 86400.0, 86400.0, 3600.0, 60.0
TOO_LONG = 10 * YEAR
TOO_MUCH_MEMORY = 50_000.0
"""GB; no machine has as much."""
TOO_MUCH_DISK = 1e7
"""GB; few sites have as much."""

POINT_SECONDS, SOLVER_CALL = 5e-9, 2e-5
"""Of the tendency at one grid point, and of one tendency however small."""
PRODUCT_SECONDS, STEP_CALL, UPDATE_CALL = 2e-11, 4e-4, 5e-4
"""Of a multiplication and an addition, and of one step of a rollout or update of a training however small."""
EVALUATIONS = {"etdrk4": 4, "etdab3": 1, "etdab4": 1}

FASTER = {"cpu": 100, "cuda": 10_000, "mps": 10_000, "auto": 10_000}
"""How many cores a job has at most, or a GPU is worth."""

COPIES_OF_WEIGHTS = 7
"""Weights, gradients, two moments of AdamW, their average, the best and the last."""

BLOCKS_OF_A_MEMBER = 4
"""At least, which are resampled."""


@dataclass(frozen=True)
class Work:
    """A job: seconds of one core and seconds that no parallel machine shortens, memory [GB], and what to lower."""

    name: str
    lower: str
    core_seconds: float
    steps_seconds: float
    memory: float
    faster: int

    @property
    def seconds(self) -> float:
        """The least that it takes of one core."""
        return max(self.core_seconds, self.steps_seconds)

    @property
    def fault(self) -> str | None:
        """Why no machine does it."""
        least = max(self.core_seconds / self.faster, self.steps_seconds)
        if least > TOO_LONG:
            return f"{self.name} would take {duration(least)} or more on the fastest machine; lower {self.lower}"
        if self.memory > TOO_MUCH_MEMORY:
            return f"{self.name} would take {self.memory:.3g} GB of memory, more than a machine has; lower {self.lower}"
        return None


def works(experiment: Experiment) -> Iterator[Work]:
    """Every kind of job of an experiment; of rollouts, the one of each emulator."""
    if isinstance(experiment.simulation, SimulationConfig):
        yield from _simulations(experiment, experiment.simulation)
    for name, emulator in experiment.emulators.items():
        if isinstance(emulator, TrainedEmulatorConfig):
            yield _emulator(experiment, name, emulator)
            yield _rollout(experiment, name, emulator)
    for name, model in experiment.diffusion.items():
        yield _diffusion(experiment, name, model)
    yield _analysis(experiment)


def refuse_impossible(experiment: Experiment, results: Path = Path("results"), notes: bool = False) -> None:
    """Refuse what no machine can do; with `notes`, say on the terminal what is too much for this one.

    Raises:
        UserError: with the key to lower.
    """
    jobs = list(works(experiment))
    disk, room = store_mb(experiment) / MB_PER_GB, _disk(results)
    fault = next((each.fault for each in jobs if each.fault), None)
    if fault is None and disk > max(TOO_MUCH_DISK, 100 * room):
        fault = (
            f"simulation.splits and rollouts make {disk:.3g} GB of trajectories, more than any disk holds; lower "
            f"{_largest(experiment)}"
        )
    if fault:
        raise UserError(f"{experiment.name} cannot be computed: {fault}")
    if notes:
        for each in _notes(experiment, jobs, disk, room):
            print(f"Note: {each}", file=sys.stderr)


def core_hours(experiment: Experiment) -> float:
    """Hours of one core that all jobs take at least."""
    rollouts = len(experiment.stabilizers) * len(experiment.seeds)
    jobs = works(experiment)
    return sum(each.seconds * (rollouts if each.name.startswith("a rollout") else 1) for each in jobs) / HOUR


def duration(seconds: float) -> str:
    """A time in words: 3 hours, 2e+05 years."""
    for unit, name in ((YEAR, "years"), (DAY, "days"), (HOUR, "hours"), (MINUTE, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds:.2g} seconds"


def _notes(experiment: Experiment, jobs: list[Work], disk: float, room: float) -> Iterator[str]:
    if experiment.storage is None and disk > room:
        yield f"the trajectories take up to {disk:.0f} GB, and the disk of the results has {room:.0f} GB"
    memory = psutil.virtual_memory().total / (MB_PER_GB * BYTES_PER_MB)
    largest = max(jobs, key=lambda each: each.memory)
    if largest.memory > memory:
        yield f"{largest.name} takes {largest.memory:.0f} GB of memory, and this machine has {memory:.0f} GB"


def _simulations(experiment: Experiment, simulation: SimulationConfig) -> Iterator[Work]:
    """Blocks are integrated side by side, the steps of each one after another."""
    threads = simulation_threads_of(experiment)
    points = simulation.system.points ** len(simulation.grid) * simulation.channel_count
    evaluations, faster = EVALUATIONS[simulation.stepper], FASTER[simulation.device]
    for name, split in simulation.splits.items():
        blocks = split.members // simulation.block
        between = (split.windows - 1) * simulation.steps_per_window + (split.frames - 1) * simulation.steps_per_frame
        spin_up = round(simulation.spin_up / simulation.dt)
        steps = evaluations * (spin_up + between)
        side_by_side = min(blocks, simulation.dask.workers)
        where = f"simulation.splits.{name}"
        lower = "simulation.spin_up, or raise dt" if spin_up > between else f"{where}.frames or windows"
        memory = simulation_memory_of(experiment, name, threads) / MB_PER_GB
        yield Work(
            f"simulating {where}",
            lower if steps * SOLVER_CALL > TOO_LONG else f"simulation.system.points, block or {where}.members",
            steps * points * split.members * POINT_SECONDS,
            ceil(blocks / side_by_side) * steps * SOLVER_CALL,
            memory,
            max(faster, side_by_side),
        )


def _size(experiment: Experiment, model: TrainedEmulatorConfig | DiffusionConfig) -> Size:
    simulation = experiment.simulation
    grid = simulation.grid or UNKNOWN_GRID[: len(getattr(simulation, "axes", UNKNOWN_GRID))]
    extra = int(isinstance(model, DiffusionConfig) and model.level_input)
    return network_size(model.network, grid, simulation.channel_count + extra, simulation.channel_count)


def _training(experiment: Experiment, where: str, training: TrainingConfig, size: Size, passes: int) -> Work:
    """A backward pass counts twice a forward one."""
    section, name = where.split(".", 1)
    weights = COPIES_OF_WEIGHTS * 4 * size.weights / BYTES_PER_MB
    features = 4 * size.features / BYTES_PER_MB
    memory = (training_memory_of(experiment, section, name) + weights + features) / MB_PER_GB
    heavy = f"{where}.network.width or kernel_size" if memory > TOO_MUCH_MEMORY else f"{where}.training.updates"
    return Work(
        f"training {where}",
        heavy,
        3 * passes * training.updates * training.batch_size * size.products * PRODUCT_SECONDS,
        training.updates * UPDATE_CALL,
        memory,
        FASTER[experiment.device] * training.gpus,
    )


def _emulator(experiment: Experiment, name: str, config: TrainedEmulatorConfig) -> Work:
    return _training(experiment, f"emulators.{name}", config.training, _size(experiment, config), config.least_unroll)


def _diffusion(experiment: Experiment, name: str, config: DiffusionConfig) -> Work:
    return _training(experiment, f"diffusion.{name}", config.training, _size(experiment, config), 1)


def _rollout(experiment: Experiment, name: str, config: TrainedEmulatorConfig) -> Work:
    """Of the raw emulator; a stabilized one takes longer."""
    rollouts, size = experiment.rollouts, _size(experiment, config)
    memory = network_memory_of(experiment) / MB_PER_GB
    return Work(
        f"a rollout of emulators.{name}",
        "rollouts.chunk or members" if memory > TOO_MUCH_MEMORY else "rollouts.steps",
        rollouts.steps * rollouts.members * size.products * PRODUCT_SECONDS,
        rollouts.steps * STEP_CALL,
        memory,
        FASTER[experiment.device],
    )


def _analysis(experiment: Experiment) -> Work:
    """Weights of all blocks and spectra of every resample, of at least that many blocks."""
    settings, test = experiment.diagnostics, experiment.simulation.splits["test"]
    values = BLOCKS_OF_A_MEMBER * test.stored_members + prod(experiment.simulation.grid or UNKNOWN_GRID[:1])
    memory = (analysis_memory_of(experiment) + 8 * settings.resamples * values / BYTES_PER_MB) / MB_PER_GB
    return Work("diagnosing a rollout", "diagnostics.resamples or simulation.splits.test.frames", 0.0, 0.0, memory, 1)


def _largest(experiment: Experiment) -> str:
    """The key of the most frames."""
    splits = experiment.simulation.splits
    frames = {f"simulation.splits.{name}.frames or members": s.stored_members * s.frames for name, s in splits.items()}
    rollouts = experiment.rollouts
    runs = len(experiment.stabilizers) * len(experiment.seeds)
    frames["rollouts.steps, or raise rollouts.store_every"] = rollouts.steps // rollouts.every * rollouts.members * runs
    return max(frames, key=lambda key: frames[key])


def _disk(results: Path) -> float:
    """Size of the file system that the results lie on [GB]."""
    place = next(each for each in (results.absolute(), *results.absolute().parents) if each.exists())
    return shutil.disk_usage(place).total / (MB_PER_GB * BYTES_PER_MB)
