"""What a configuration needs, what of it this machine lacks, and the page that `thermalize doctor` prints of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import StringIO
from math import ceil

from rich import box
from rich.console import Console
from rich.table import Table

from thermalize.config import Experiment
from thermalize.workflow.estimates import core_hours, duration, works
from thermalize.workflow.machine import Machine
from thermalize.workflow.resources import (
    ARTIFACT_MB,
    analysis_memory_of,
    network_memory_of,
    simulation_memory_of,
    simulation_threads_of,
    store_mb,
    training_memory_of,
)

__all__ = ["Fit", "fit", "page"]

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


WIDTH = 100


def page(machine: Machine, fits: Iterable[Fit]) -> str:
    """Facts, then a line per configuration; at most 100 characters wide."""
    text = StringIO()
    console = Console(file=text, width=WIDTH, color_system=None, highlight=False)
    facts = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in _facts(machine):
        facts.add_row(name, value)
    console.print(facts)
    configurations = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), show_edge=False, pad_edge=False)
    for head in ("configuration", "memory", "disk", "one core"):
        configurations.add_column(head, justify="left" if head == "configuration" else "right", no_wrap=True)
    configurations.add_column("here")
    for each in fits:
        configurations.add_row(
            each.name,
            f"{each.memory:.1f} GB",
            f"{each.disk:.1f} GB",
            f"> {duration(3600 * each.hours)}",
            _verdict(each),
        )
    if configurations.row_count:
        console.print()
        console.print(configurations)
        console.print("\nMemory: of the largest job; two trainings may run side by side. Disk: trajectories, at most.")
        console.print("One core: what all jobs would take of it at least; GPUs and many cores take less.")
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def _facts(machine: Machine) -> Iterator[tuple[str, str]]:
    yield "processor", f"{machine.cores} cores, {machine.processor}"
    yield "bfloat16", "native" if machine.bfloat16 else "emulated by the processor, slow"
    yield "memory", f"{machine.memory:.1f} GB, {machine.available:.1f} GB free"
    yield "GPU", _gpu_names(machine)
    yield "disk", f"{machine.disk:.0f} GB free for {machine.folder}"
    yield "programs", ", ".join(machine.programs) or "no batch system, conda or container runtime on the path"
    yield "versions", ", ".join(f"{name} {value}" for name, value in machine.versions.items())


def _gpu_names(machine: Machine) -> str:
    if machine.gpus:
        return ", ".join(f"{name}, {memory:.0f} GB" for name, memory in machine.gpus)
    if machine.apple:
        return "of Apple"
    return "none" if machine.cuda else "none (this torch was built without CUDA)"


def _verdict(found: Fit) -> str:
    return f"lacks {' and '.join(found.missing)}" if found.missing else "; ".join(("fits", *found.notes))
