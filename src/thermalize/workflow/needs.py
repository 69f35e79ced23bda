"""What results are made from: other results, files of the user's own, modules; and which of each there are.

Functions take an experiment, and after it the values of a step's wildcards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from thermalize.config import Experiment, ImportConfig, Own, TrainedEmulatorConfig
from thermalize.store.fingerprint import file_of
from thermalize.workflow.pictures import picture

__all__ = [
    "Needs",
    "Result",
    "banded",
    "ensembles",
    "figure",
    "learning",
    "metrics",
    "own",
    "parts",
    "rolling",
    "rollouts",
    "shown",
    "sources",
    "splits",
    "tabulated",
    "timed",
    "truth",
]


class Result(NamedTuple):
    """One result of a step, by the values of its wildcards."""

    step: str
    key: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.step, "/".join(self.key))).strip()


Needs = Iterator[Result]


def splits(*names: str) -> Callable[..., Needs]:
    """Simulated or imported splits."""
    return lambda *_: (Result("simulate", (name,)) for name in names)


def truth() -> Needs:
    """The test split, and what was measured on it."""
    yield from (Result("simulate", ("test",)), Result("reference"))


def parts(experiment: Experiment, emulator: str, stabilizer: str, seed: str) -> Needs:
    """What a rollout is made from."""
    yield Result("simulate", ("test",))
    yield Result("emulator", (emulator,))
    needs = experiment.stabilizers[stabilizer].needs
    if needs.diffusion is not None:
        yield Result("diffusion", (needs.diffusion,))
    if needs.like is not None:
        yield Result("rollout", (emulator, needs.like, seed))
    if needs.bands:
        yield Result("bands")
    if needs.truth:
        yield Result("simulate", ("train",))
    if experiment.rollouts.thinned:
        yield Result("reference")


def banded(experiment: Experiment) -> Iterator[tuple[str, ...]]:
    """Band energies are measured once, where a stabilizer needs them."""
    if any(config.needs.bands for config in experiment.stabilizers.values()):
        yield ()


def timed(experiment: Experiment, emulator: str) -> Needs:
    """What the cost of an emulator under every stabilizer is measured with."""
    yield from splits("test")()
    yield from (Result("bands", key) for key in banded(experiment))
    yield Result("emulator", (emulator,))
    yield from (Result("diffusion", (name,)) for name in experiment.diffusion)
    for stabilizer in experiment.stabilizers:
        yield Result("rollout", (emulator, stabilizer, str(experiment.seeds[0])))


def rollouts(experiment: Experiment, stabilizers: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Keys of the rollouts under some stabilizers."""
    for emulator in experiment.emulators:
        for stabilizer in stabilizers:
            yield from ((emulator, stabilizer, str(seed)) for seed in experiment.seeds)


def ensembles(experiment: Experiment) -> Iterator[tuple[str, ...]]:
    """Keys of the ensembles."""
    if experiment.has_ensembles:
        yield from ((emulator, label) for emulator in experiment.emulators for label in experiment.named)


def shown(experiment: Experiment, name: str = "") -> Needs:
    """What figures and movie show: the stabilizers of the file; or all points of sweeps, as numbers."""
    if picture(name).shows == "tables":
        yield from tabulated(experiment)
        return
    yield Result("simulate", ("test",))
    for key in rollouts(experiment, experiment.named):
        yield from (Result("rollout", key), Result("diagnose", key))
    yield from (Result("ensemble", key) for key in ensembles(experiment))
    yield from (Result("emulator", (emulator,)) for emulator in experiment.emulators)
    for model in experiment.diffusion:
        yield from (Result("diffusion", (model,)), Result("sample", (model,)))


def tabulated(experiment: Experiment, *_: str) -> Needs:
    """What the tables are made from."""
    yield Result("simulate", ("test",))
    yield from (Result("diagnose", key) for key in rollouts(experiment, experiment.stabilizers))
    yield from (Result("cost", (emulator,)) for emulator in experiment.emulators)


def sources(experiment: Experiment, *_: str) -> list[str]:
    """Files of the truth that is imported."""
    simulation = experiment.simulation
    return [*simulation.source] if isinstance(simulation, ImportConfig) else []


def own(section: Own) -> list[str]:
    """Files of the user's own that a section names, with the module of its function."""
    found = file_of(section.function.partition(":")[0]) if section.function else None
    return [*section.sources, *([] if found is None else [str(found)])]


def learning(experiment: Experiment, emulator: str) -> tuple[str, ...]:
    """Modules of the kind of emulator, and of what it is trained on."""
    config = experiment.emulators[emulator]
    objective = (config.objective,) if isinstance(config, TrainedEmulatorConfig) else ()
    return (config.implementation, *objective)


def rolling(experiment: Experiment, emulator: str, stabilizer: str, *_: str) -> tuple[str, ...]:
    """Modules of the kinds of emulator and stabilizer."""
    return (experiment.emulators[emulator].implementation, experiment.stabilizers[stabilizer].implementation)


def metrics(experiment: Experiment, *_: str) -> list[str]:
    """What metrics of the user's own are made of."""
    return [name for each in experiment.diagnostics.metrics.values() for name in own(each)]


def figure(experiment: Experiment, name: str) -> list[str]:
    """What a figure of the user's own is made of."""
    section = experiment.figures.get(name)
    return [] if section is None else own(section)
