"""The page that `thermalize doctor` prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import StringIO

from rich import box
from rich.console import Console
from rich.table import Table

from thermalize.doctor.fit import Fit
from thermalize.doctor.machine import Machine
from thermalize.estimates import duration

__all__ = ["page"]

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
    yield "GPU", _gpus(machine)
    yield "disk", f"{machine.disk:.0f} GB free for {machine.folder}"
    yield "programs", ", ".join(machine.programs) or "no batch system, conda or container runtime on the path"
    yield "versions", ", ".join(f"{name} {value}" for name, value in machine.versions.items())


def _gpus(machine: Machine) -> str:
    if machine.gpus:
        return ", ".join(f"{name}, {memory:.0f} GB" for name, memory in machine.gpus)
    if machine.apple:
        return "of Apple"
    return "none" if machine.cuda else "none (this torch was built without CUDA)"


def _verdict(found: Fit) -> str:
    return f"lacks {' and '.join(found.missing)}" if found.missing else "; ".join(("fits", *found.notes))
