"""What a configuration needs, and what of it this machine lacks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from thermalize.config import Experiment
from thermalize.doctor.machine import Machine
from thermalize.estimates import core_hours, works
from thermalize.resources import (
    ARTIFACT_MB,
    analysis_memory_of,
    network_memory_of,
    simulation_memory_of,
    store_mb,
    training_memory_of,
)
from thermalize.workflow import simulation_threads_of

__all__ = ["Fit", "fit"]

MB_PER_GB = 1000
BARELY = 0.9
"""Share of the free disk that may be filled."""


@dataclass(frozen=True)
class Fit:
    """What an experiment needs, what of it is missing, and what is worth knowing.

    memory: the largest that a job asks for [GB].
    disk: size of all trajectories [GB].
    hours: of one core, at least, that all jobs take.
    """

    name: str
    memory: float
    disk: float
    hours: float
    missing: tuple[str, ...]
    notes: tuple[str, ...]


def fit(experiment: Experiment, machine: Machine) -> Fit:
    """What `experiment` needs, held against `machine`."""
    memory, disk = max(_asked(experiment)) / MB_PER_GB, store_mb(experiment) / MB_PER_GB
    missing = tuple(_missing(experiment, machine, memory, disk))
    notes = () if missing else tuple(_notes(experiment, machine))
    return Fit(experiment.name, memory, disk, core_hours(experiment), missing, notes)


def _asked(experiment: Experiment) -> Iterator[int]:
    threads = simulation_threads_of(experiment)
    yield from (ceil(MB_PER_GB * each.memory) for each in works(experiment))
    yield from (simulation_memory_of(experiment, split, threads) for split in experiment.simulation.splits)
    for section in ("emulators", "diffusion"):
        yield from (training_memory_of(experiment, section, name) for name in getattr(experiment, section))
    yield from (network_memory_of(experiment), analysis_memory_of(experiment), ARTIFACT_MB)


def _missing(experiment: Experiment, machine: Machine, memory: float, disk: float) -> Iterator[str]:
    gpus = _gpus(experiment)
    if experiment.device == "cuda" and len(machine.gpus) < gpus:
        yield "a CUDA GPU" if gpus == 1 else f"{gpus} CUDA GPUs"
    if experiment.device == "mps" and not machine.apple:
        yield "an Apple GPU"
    if memory > machine.memory:
        yield f"{memory:.1f} GB of memory"
    if experiment.storage is None and disk > BARELY * machine.disk:
        yield f"{disk:.0f} GB of disk"


def _gpus(experiment: Experiment) -> int:
    return max([1, *(training.gpus for training in _trainings(experiment))])


def _notes(experiment: Experiment, machine: Machine) -> Iterator[str]:
    on_cpu = experiment.device == "cpu" or (experiment.device == "auto" and not machine.gpus)
    if on_cpu and not machine.bfloat16 and any(each.precision == "bfloat16" for each in _trainings(experiment)):
        yield "bfloat16 is emulated by this processor, some ten times slower: set precision: float32"
    if experiment.simulation.dask.elsewhere:
        yield "simulated on other machines"
    if experiment.storage is not None:
        yield f"stored at {experiment.storage}"


def _trainings(experiment: Experiment) -> list:  # type: ignore[type-arg]
    models = (*experiment.emulators.values(), *experiment.diffusion.values())
    return [model.training for model in models if hasattr(model, "training")]
