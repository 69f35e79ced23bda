"""The one table of steps: what each step of the chain reads, needs, writes and runs.

    step      one result per      settings it reads                        needs
    simulate  split               simulation, its own split, seed          the user's files, if any
    emulator  emulator            its section, seed                        train, valid; its files, if any
    diffusion diffusion model     its section, seed                        train, valid
    reference                     what is measured, rollouts.steps, seed   test
    bands                         seed                                     train
    rollout   emulator,           rollouts, its stabilizer, seed           test; emulator, diffusion model, what the
              stabilizer, seed                                             stabilizer compares with
    …

Rules take inputs and outputs from here, commands compare the settings that they were planned with, and fingerprints
(`thermalize.workflow.plan`) say whether a result is still that of its settings, inputs and code. How something is
computed (workers, devices, storage) is no part of what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thermalize import truth
from thermalize.config import Experiment
from thermalize.store.fingerprint import code_of
from thermalize.store.results import MODEL_FILES, Results, with_digest
from thermalize.workflow import needs, settings
from thermalize.workflow.needs import Needs, Result
from thermalize.workflow.pictures import figures_of
from thermalize.workflow.settings import Settings, whole_of

__all__ = ["STEPS", "Step", "results_of", "settings_of"]

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Step:
    """One step of the chain; all functions take the values of its wildcards after their first argument."""

    keys: tuple[str, ...]
    """Wildcards that tell its results apart."""
    stage: str
    """Module that is run."""
    every: Callable[[Experiment], Iterable[tuple[str, ...]]]
    """Which results there are."""
    reads: Callable[..., Settings]
    """Settings that a result depends on, of all settings (`whole_of`), by where they stand in them."""
    needs: Callable[..., Needs]
    """Results that it is made from, of an experiment."""
    outputs: Callable[..., list[str]]
    """Files that are written, of the paths of the results; wildcards may stand in braces."""
    files: Callable[..., list[str]] = lambda *_: []
    """Files of the user's own that it is made from, of an experiment."""
    unused: Callable[..., tuple[str, ...]] = lambda *_: ()
    """Modules that its stage imports but does not run, of an experiment."""
    runs: Callable[..., tuple[str, ...]] = lambda *_: ()
    """Modules that its stage runs but does not import, of an experiment."""

    def code(self, experiment: Experiment, *key: str) -> dict[str, str]:
        """Digests of all modules that a result depends on, by name."""
        return code_of(self.stage, self.unused(experiment, *key), self.runs(experiment, *key))


def settings_of(experiment: Experiment, step: str, wildcards: Mapping[str, Any]) -> Settings:
    """What a result depends on by itself among the settings; KeyError where there is no such result."""
    return STEPS[step].reads(whole_of(experiment), *(str(wildcards[name]) for name in STEPS[step].keys))


def results_of(experiment: Experiment) -> Iterator[Result]:
    """Every result of an experiment, in the order of the table."""
    for name, step in STEPS.items():
        yield from (Result(name, key) for key in step.every(experiment))


def _model(folder: Path) -> list[str]:
    return [str(folder / name) for name in MODEL_FILES]


def _digested(*paths: Path) -> list[str]:
    return [name for path in paths for name in with_digest(path)]


def _table(name: str) -> Callable[[Results], list[str]]:
    return lambda paths: _digested(paths.table("csv", name), paths.table("tex", name))


STEPS = {
    "simulate": Step(
        ("split",),
        "thermalize.truth.simulate",
        every=lambda _: ((split,) for split in SPLITS),
        reads=settings.simulated,
        needs=needs.splits(),
        outputs=lambda paths, split: [str(paths.simulation(split))],
        files=needs.sources,
        unused=truth.unused,
        runs=truth.runs,
    ),
    "reference": Step(
        (),
        "thermalize.stages.reference",
        every=lambda _: ((),),
        reads=settings.of(settings.physics, settings.measured_on_truth),
        needs=needs.splits("test"),
        outputs=lambda paths: _digested(paths.reference),
    ),
    "bands": Step(
        (),
        "thermalize.stages.bands",
        every=needs.banded,
        reads=settings.physics,
        needs=needs.splits("train"),
        outputs=lambda paths: _digested(paths.bands),
    ),
    "emulator": Step(
        ("emulator",),
        "thermalize.stages.emulator",
        every=lambda experiment: ((name,) for name in experiment.emulators),
        reads=settings.trained("emulators"),
        needs=needs.splits("train", "valid"),
        outputs=lambda paths, name: _model(paths.emulator(name)),
        files=lambda experiment, name: needs.own(experiment.emulators[name]),
        runs=needs.learning,
    ),
    "diffusion": Step(
        ("diffusion",),
        "thermalize.stages.diffusion",
        every=lambda experiment: ((name,) for name in experiment.diffusion),
        reads=settings.trained("diffusion"),
        needs=needs.splits("train", "valid"),
        outputs=lambda paths, name: _model(paths.diffusion(name)),
    ),
    "sample": Step(
        ("diffusion",),
        "thermalize.stages.samples",
        every=lambda experiment: ((name,) for name in experiment.diffusion),
        reads=settings.of(settings.physics, settings.measured("metrics")),
        needs=lambda _, name: iter((*needs.truth(), Result("diffusion", (name,)))),
        outputs=lambda paths, name: _digested(paths.samples(name)),
    ),
    "rollout": Step(
        ("emulator", "stabilizer", "seed"),
        "thermalize.stages.rollouts",
        every=lambda experiment: needs.rollouts(experiment, experiment.stabilizers),
        reads=settings.stabilized,
        needs=needs.parts,
        outputs=lambda paths, *key: [str(paths.rollout(*key))],
        files=lambda experiment, _, stabilizer, __: needs.own(experiment.stabilizers[stabilizer]),
        unused=lambda experiment, *_: () if experiment.rollouts.thinned else ("thermalize.stages.measuring",),
        runs=needs.rolling,
    ),
    "cost": Step(
        ("emulator",),
        "thermalize.stages.cost",
        every=lambda experiment: ((name,) for name in experiment.emulators),
        reads=settings.everything,
        needs=needs.timed,
        outputs=lambda paths, name: _digested(paths.cost(name)),
        runs=lambda experiment, name: tuple(
            module for label in experiment.stabilizers for module in needs.rolling(experiment, name, label)
        ),
    ),
    "diagnose": Step(
        ("emulator", "stabilizer", "seed"),
        "thermalize.stages.diagnose",
        every=lambda experiment: needs.rollouts(experiment, experiment.stabilizers),
        reads=settings.of(settings.physics, settings.rolled, settings.measured("samples")),
        files=needs.metrics,
        needs=lambda _, *key: iter((*needs.truth(), Result("rollout", key))),
        outputs=lambda paths, *key: _digested(paths.diagnostics(*key)),
    ),
    "ensemble": Step(
        ("emulator", "stabilizer"),
        "thermalize.stages.ensemble",
        every=needs.ensembles,
        reads=settings.of(
            settings.physics, settings.rolled, settings.measured("samples", "metrics"), settings.only("seeds")
        ),
        needs=lambda experiment, *key: iter(
            [*needs.truth(), *(Result("rollout", (*key, str(seed))) for seed in experiment.seeds)]
        ),
        outputs=lambda paths, *key: _digested(paths.ensemble(*key)),
    ),
    "figure": Step(
        ("figure",),
        "thermalize.stages.artifacts",
        every=lambda experiment: ((name,) for name in figures_of(experiment)),
        reads=settings.drawn,
        files=needs.figure,
        needs=needs.shown,
        outputs=lambda paths, name: _digested(*(Path(f"{paths.figure(name)}.{suffix}") for suffix in ("pdf", "png"))),
    ),
    "movie": Step(
        (),
        "thermalize.stages.artifacts",
        every=lambda experiment: ((),) if experiment.rollouts.has_states else (),
        reads=settings.everything,
        needs=needs.shown,
        outputs=lambda paths: _digested(paths.movie, paths.movie_in_report),
    ),
    "summary": Step(
        (),
        "thermalize.stages.artifacts",
        every=lambda _: ((),),
        reads=settings.everything,
        needs=needs.tabulated,
        outputs=_table("summary"),
    ),
    "ablation": Step(
        (),
        "thermalize.stages.artifacts",
        every=lambda experiment: ((),) if experiment.sweeps else (),
        reads=settings.everything,
        needs=needs.tabulated,
        outputs=_table("ablation"),
    ),
}
"""By name, in the order in which results follow from each other."""
