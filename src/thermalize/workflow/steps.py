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
(`thermalize.workflow.recipes`) say whether a result is still that of its settings, inputs and code. How something is
computed (workers, devices, storage) is no part of what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from thermalize import truth
from thermalize.config import Experiment, ImportConfig, Own, TrainedEmulatorConfig
from thermalize.config.training import COMPUTED_HOW
from thermalize.store.fingerprint import code_of, file_of
from thermalize.store.results import MODEL_FILES, Results, with_digest
from thermalize.workflow.pictures import figures_of, picture

__all__ = ["STEPS", "Result", "Settings", "Step", "results_of", "settings_of", "whole_of"]

SPLITS = ("train", "valid", "test")
TRAINING: Any = {"training": COMPUTED_HOW}
COMPUTED: Any = {
    "storage": True,
    "device": True,
    "simulation": {"dask", "device"},
    "emulators": {"__all__": TRAINING},
    "diffusion": {"__all__": TRAINING},
}
"""How and where an experiment is computed, which no result depends on."""
WHICH = {"stabilizers", "sweeps"}
"""Keys of `rollouts` that say which rollouts there are, and nothing about any one of them."""
MEASURED_ON_TRUTH = ("energy_fraction", "spectrum_window", "frozen_steps", "frozen_fraction", "max_lag")
"""Keys of `diagnostics` that the measurement of the truth depends on."""
Needs = Iterator["Result"]
Settings = dict[str, Any]


class Result(NamedTuple):
    """One result of a step, by the values of its wildcards."""

    step: str
    key: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.step, "/".join(self.key))).strip()


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


def whole_of(experiment: Experiment) -> Settings:
    """All settings but those that say how something is computed, as JSON, with every stabilizer that runs."""
    labels = {label: each.model_dump(mode="json") for label, each in experiment.stabilizers.items()}
    return {**experiment.model_dump(mode="json", exclude=COMPUTED), "stabilizers": labels}


def settings_of(experiment: Experiment, step: str, wildcards: Mapping[str, Any]) -> Settings:
    """What a result depends on by itself among the settings; KeyError where there is no such result."""
    return STEPS[step].reads(whole_of(experiment), *(str(wildcards[name]) for name in STEPS[step].keys))


def results_of(experiment: Experiment) -> Iterator[Result]:
    """Every result of an experiment, in the order of the table."""
    for name, step in STEPS.items():
        yield from (Result(name, key) for key in step.every(experiment))


def _whole(whole: Settings, *_: str) -> Settings:
    return {key: value for key, value in whole.items() if key not in ("stabilizers", "figures")}


def _drawn(whole: Settings, name: str) -> Settings:
    own = whole["figures"].get(name)
    return _whole(whole) if own is None else {**_whole(whole), f"figures.{name}": own}


def _physics(whole: Settings) -> Settings:
    """Of the truth, without how long it is and where it is imported from, which its stores say."""
    kept = {key: value for key, value in whole["simulation"].items() if key not in ("splits", "source")}
    return {"simulation": kept, "seed": whole["seed"]}


def _rolled(whole: Settings) -> Settings:
    return {"rollouts": {key: value for key, value in whole["rollouts"].items() if key not in WHICH}}


def _measured(*without: str) -> Callable[[Settings], Settings]:
    """How something is compared with the truth, but for keys that do not matter to it."""
    return lambda whole: {
        "diagnostics": {key: each for key, each in whole["diagnostics"].items() if key not in without}
    }


def _measured_on_truth(whole: Settings) -> Settings:
    chosen = {key: whole["diagnostics"][key] for key in MEASURED_ON_TRUTH}
    return {"diagnostics": chosen, "rollouts": {"steps": whole["rollouts"]["steps"]}}


def _simulated(whole: Settings, split: str) -> Settings:
    """Imported splits follow each other through the files, so that each depends on those before it."""
    splits = whole["simulation"]["splits"]
    own = splits if "source" in whole["simulation"] else {split: splits[split]}
    return {**_physics(whole), "simulation.splits": own}


def _trained(section: str) -> Callable[[Settings, str], Settings]:
    return lambda whole, name: {**_physics(whole), f"{section}.{name}": whole[section][name]}


def _stabilized(whole: Settings, _: str, stabilizer: str, *__: str) -> Settings:
    own = {f"rollouts.stabilizers.{stabilizer}": whole["stabilizers"][stabilizer]}
    return {**_physics(whole), **_rolled(whole), **own}


def _only(*names: str) -> Callable[[Settings], Settings]:
    return lambda whole: {name: whole[name] for name in names}


def _of(*parts: Callable[[Settings], Settings]) -> Callable[..., Settings]:
    return lambda whole, *_: {key: value for part in parts for key, value in part(whole).items()}


def _splits(*names: str) -> Callable[..., Needs]:
    return lambda *_: (Result("simulate", (name,)) for name in names)


def _truth() -> Needs:
    """The test split, and what was measured on it."""
    yield from (Result("simulate", ("test",)), Result("reference"))


def _parts(experiment: Experiment, emulator: str, stabilizer: str, seed: str) -> Needs:
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


def _banded(experiment: Experiment) -> Iterator[tuple[str, ...]]:
    """Band energies are measured once, where a stabilizer needs them."""
    if any(config.needs.bands for config in experiment.stabilizers.values()):
        yield ()


def _timed(experiment: Experiment, emulator: str) -> Needs:
    yield from _splits("test")()
    yield from (Result("bands", key) for key in _banded(experiment))
    yield Result("emulator", (emulator,))
    yield from (Result("diffusion", (name,)) for name in experiment.diffusion)
    for stabilizer in experiment.stabilizers:
        yield Result("rollout", (emulator, stabilizer, str(experiment.seeds[0])))


def _rollouts(experiment: Experiment, stabilizers: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Keys of the rollouts under some stabilizers."""
    for emulator in experiment.emulators:
        for stabilizer in stabilizers:
            yield from ((emulator, stabilizer, str(seed)) for seed in experiment.seeds)


def _ensembles(experiment: Experiment) -> Iterator[tuple[str, ...]]:
    if experiment.has_ensembles:
        yield from ((emulator, label) for emulator in experiment.emulators for label in experiment.named)


def _shown(experiment: Experiment, name: str = "") -> Needs:
    """What figures and movie show: the stabilizers of the file; or all points of sweeps, as numbers."""
    if picture(name).shows == "tables":
        yield from _tabulated(experiment)
        return
    yield Result("simulate", ("test",))
    for key in _rollouts(experiment, experiment.named):
        yield from (Result("rollout", key), Result("diagnose", key))
    yield from (Result("ensemble", key) for key in _ensembles(experiment))
    yield from (Result("emulator", (emulator,)) for emulator in experiment.emulators)
    for model in experiment.diffusion:
        yield from (Result("diffusion", (model,)), Result("sample", (model,)))


def _tabulated(experiment: Experiment, *_: str) -> Needs:
    yield Result("simulate", ("test",))
    yield from (Result("diagnose", key) for key in _rollouts(experiment, experiment.stabilizers))
    yield from (Result("cost", (emulator,)) for emulator in experiment.emulators)


def _sources(experiment: Experiment, *_: str) -> list[str]:
    simulation = experiment.simulation
    return [*simulation.source] if isinstance(simulation, ImportConfig) else []


def _own(section: Own) -> list[str]:
    """Files of the user's own that a section names, with the module of its function."""
    found = file_of(section.function.partition(":")[0]) if section.function else None
    return [*section.sources, *([] if found is None else [str(found)])]


def _learning(experiment: Experiment, emulator: str) -> tuple[str, ...]:
    """Modules of the kind of emulator, and of what it is trained on."""
    config = experiment.emulators[emulator]
    objective = (config.objective,) if isinstance(config, TrainedEmulatorConfig) else ()
    return (config.implementation, *objective)


def _rolling(experiment: Experiment, emulator: str, stabilizer: str, *_: str) -> tuple[str, ...]:
    """Modules of the kinds of emulator and stabilizer."""
    return (experiment.emulators[emulator].implementation, experiment.stabilizers[stabilizer].implementation)


def _metrics(experiment: Experiment, *_: str) -> list[str]:
    """What metrics of the user's own are made of."""
    return [name for each in experiment.diagnostics.metrics.values() for name in _own(each)]


def _figure(experiment: Experiment, name: str) -> list[str]:
    """What a figure of the user's own is made of."""
    own = experiment.figures.get(name)
    return [] if own is None else _own(own)


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
        reads=_simulated,
        needs=_splits(),
        outputs=lambda paths, split: [str(paths.simulation(split))],
        files=_sources,
        unused=truth.unused,
        runs=truth.runs,
    ),
    "reference": Step(
        (),
        "thermalize.stages.reference",
        every=lambda _: ((),),
        reads=_of(_physics, _measured_on_truth),
        needs=_splits("test"),
        outputs=lambda paths: _digested(paths.reference),
    ),
    "bands": Step(
        (),
        "thermalize.stages.bands",
        every=_banded,
        reads=_physics,
        needs=_splits("train"),
        outputs=lambda paths: _digested(paths.bands),
    ),
    "emulator": Step(
        ("emulator",),
        "thermalize.stages.emulator",
        every=lambda experiment: ((name,) for name in experiment.emulators),
        reads=_trained("emulators"),
        needs=_splits("train", "valid"),
        outputs=lambda paths, name: _model(paths.emulator(name)),
        files=lambda experiment, name: _own(experiment.emulators[name]),
        runs=_learning,
    ),
    "diffusion": Step(
        ("diffusion",),
        "thermalize.stages.diffusion",
        every=lambda experiment: ((name,) for name in experiment.diffusion),
        reads=_trained("diffusion"),
        needs=_splits("train", "valid"),
        outputs=lambda paths, name: _model(paths.diffusion(name)),
    ),
    "sample": Step(
        ("diffusion",),
        "thermalize.stages.samples",
        every=lambda experiment: ((name,) for name in experiment.diffusion),
        reads=_of(_physics, _measured("metrics")),
        needs=lambda _, name: iter((*_truth(), Result("diffusion", (name,)))),
        outputs=lambda paths, name: _digested(paths.samples(name)),
    ),
    "rollout": Step(
        ("emulator", "stabilizer", "seed"),
        "thermalize.stages.rollouts",
        every=lambda experiment: _rollouts(experiment, experiment.stabilizers),
        reads=_stabilized,
        needs=_parts,
        outputs=lambda paths, *key: [str(paths.rollout(*key))],
        files=lambda experiment, _, stabilizer, __: _own(experiment.stabilizers[stabilizer]),
        unused=lambda experiment, *_: () if experiment.rollouts.thinned else ("thermalize.stages.measuring",),
        runs=_rolling,
    ),
    "cost": Step(
        ("emulator",),
        "thermalize.stages.cost",
        every=lambda experiment: ((name,) for name in experiment.emulators),
        reads=_whole,
        needs=_timed,
        outputs=lambda paths, name: _digested(paths.cost(name)),
        runs=lambda experiment, name: tuple(
            module for label in experiment.stabilizers for module in _rolling(experiment, name, label)
        ),
    ),
    "diagnose": Step(
        ("emulator", "stabilizer", "seed"),
        "thermalize.stages.diagnose",
        every=lambda experiment: _rollouts(experiment, experiment.stabilizers),
        reads=_of(_physics, _rolled, _measured("samples")),
        files=_metrics,
        needs=lambda _, *key: iter((*_truth(), Result("rollout", key))),
        outputs=lambda paths, *key: _digested(paths.diagnostics(*key)),
    ),
    "ensemble": Step(
        ("emulator", "stabilizer"),
        "thermalize.stages.ensemble",
        every=_ensembles,
        reads=_of(_physics, _rolled, _measured("samples", "metrics"), _only("seeds")),
        needs=lambda experiment, *key: iter(
            [*_truth(), *(Result("rollout", (*key, str(seed))) for seed in experiment.seeds)]
        ),
        outputs=lambda paths, *key: _digested(paths.ensemble(*key)),
    ),
    "figure": Step(
        ("figure",),
        "thermalize.stages.artifacts",
        every=lambda experiment: ((name,) for name in figures_of(experiment)),
        reads=_drawn,
        files=_figure,
        needs=_shown,
        outputs=lambda paths, name: _digested(*(Path(f"{paths.figure(name)}.{suffix}") for suffix in ("pdf", "png"))),
    ),
    "movie": Step(
        (),
        "thermalize.stages.artifacts",
        every=lambda experiment: ((),) if experiment.rollouts.has_states else (),
        reads=_whole,
        needs=_shown,
        outputs=lambda paths: _digested(paths.movie, paths.movie_in_report),
    ),
    "summary": Step(
        (),
        "thermalize.stages.artifacts",
        every=lambda _: ((),),
        reads=_whole,
        needs=_tabulated,
        outputs=_table("summary"),
    ),
    "ablation": Step(
        (),
        "thermalize.stages.artifacts",
        every=lambda experiment: ((),) if experiment.sweeps else (),
        reads=_whole,
        needs=_tabulated,
        outputs=_table("ablation"),
    ),
}
"""By name, in the order in which results follow from each other."""
