"""Configurations made by chance: each is an experiment that can be planned, or one UserError in plain sentences.

A committed configuration in full is mutated at random places of the schema: extremes, wrong types, deletions, foreign
and copied sections, swaps, long lists, odd text. Whatever comes of it goes through all that happens while Snakemake
reads the Snakefile: parsing, estimates, paths, digests, memory. Nothing else may be raised, and nothing is written.
"""

from __future__ import annotations

import copy
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import yaml
from mutations import configuration, places
from workflow_run import ROOT

from thermalize.config import Experiment
from thermalize.config.load import load_experiment, parse_experiment, resolved_yaml
from thermalize.runtime.errors import UserError
from thermalize.store.results import Results
from thermalize.workflow.estimates import core_hours, refuse_impossible
from thermalize.workflow.pictures import figures_of
from thermalize.workflow.plan import Plan
from thermalize.workflow.resources import (
    JOBS,
    analysis_memory_of,
    gpus_of,
    network_memory_of,
    simulation_gpus_of,
    simulation_memory_of,
    simulation_threads_of,
    store_mb,
    training_gpus_of,
    training_memory_of,
)
from thermalize.workflow.steps import STEPS, results_of

COMMITTED = [ROOT / "config.yaml", *sorted((ROOT / "configs").glob("*.yaml"))]
SHORT, LONG = 150, 2000
LONGEST_LINE = 800
PATIENCE = 10
"""Seconds after which a configuration counts as one that hangs."""

JARGON = ("pydantic", "input should", "validation error", "nonetype", "traceback", "literal[", "http")


def mapping_of(path: Path) -> dict[str, Any]:
    """A configuration with every default written out, so that every key can be hit."""
    found: dict[str, Any] = yaml.safe_load(resolved_yaml(load_experiment(path)))
    return found


def imported() -> dict[str, Any]:
    """One whose truth is read from files, which need not be there."""
    dims = {"time": "time", "x": "lon", "y": "lat", "member": "member", "channel": None}
    splits = {name: {"members": 4, "frames": 30} for name in ("train", "valid", "test")}
    simulation = {
        "import": ["nothing/*.nc"], "dims": dims, "files": "time", "variable": "u", "channels": {"u": "ua", "v": "va"},
        "long_name": "wind", "units": "m s-1", "frame_interval": 6.0, "time_units": "hours", "length_units": "m",
        "every": 1, "spin_up": 0.0, "periods": {"x": 1e6, "y": 1e6}, "points": {"x": 32, "y": 32}, "split": "member",
        "gap": None, "block": 1, "splits": splits, "shard_frames": 20, "dask": {"workers": 2},
    }  # fmt: skip
    return mapping_of(ROOT / "configs/tiny.yaml") | {"name": "imported", "simulation": simulation}


def bases() -> list[dict[str, Any]]:
    return [*map(mapping_of, COMMITTED), imported()]


@contextmanager
def patience(what: str) -> Iterator[None]:
    """A failure where the work does not end."""

    def hung(*_: Any) -> None:
        raise AssertionError(f"{what} hangs")

    before = signal.signal(signal.SIGALRM, hung)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def planned(experiment: Experiment) -> None:
    """What the Snakefile asks of an experiment."""
    results = Results(experiment.name)
    assert len(figures_of(experiment)) >= 7
    threads = simulation_threads_of(experiment)
    memory = [simulation_memory_of(experiment, split, threads) for split in experiment.simulation.splits]
    memory += [network_memory_of(experiment), analysis_memory_of(experiment)]
    for section in ("emulators", "diffusion"):
        for name in getattr(experiment, section):
            memory.append(training_memory_of(experiment, section, name))
            assert training_gpus_of(experiment, section, name) >= 0
    assert all(0 < each < 10**12 for each in memory)
    assert store_mb(experiment) > 0
    assert core_hours(experiment) >= 0
    assert gpus_of(experiment) >= simulation_gpus_of(experiment) - 1
    plan = Plan(experiment, results)
    plan.look_at_sources()
    for step in STEPS:
        for result in islice((each for each in results_of(experiment) if each.step == step), 20):
            assert len(plan.settings(result)) == 16
            assert all(Path(name).is_relative_to(results.folder) for name in plan.outputs(result))
            assert plan.inputs(result) is not None
            threads = (1,) if step == "simulate" else ()
            assert JOBS[step].memory(experiment, *result.key, *threads) > 0
            assert JOBS[step].gpus(experiment, *result.key) >= 0
            if JOBS[step].alike:
                assert JOBS[step].memory(experiment) == JOBS[step].memory(experiment, *result.key)
                assert JOBS[step].gpus(experiment) == JOBS[step].gpus(experiment, *result.key)


def assert_sentences(message: str, mapping: dict[str, Any]) -> None:
    """One line, or one heading and a line per fault; each bounded, printable and about a key."""
    lines = message.splitlines()
    assert lines[0].startswith("my.yaml") or " cannot be computed: " in lines[0], message[:500]
    for line in lines:
        assert len(line) <= LONGEST_LINE, line
        assert not [word for word in JARGON if word in line.lower()], line
        line.encode()
    known = {str(key) for path in places(mapping) for key in path} | set(Experiment.model_fields)
    assert any(key and key in message for key in known), message


def judged(mapping: dict[str, Any], folder: Path) -> str:
    """ "accepted", "refused" or "impossible"."""
    before = copy.deepcopy(mapping)
    try:
        experiment = parse_experiment(mapping, "my.yaml")
    except UserError as error:
        assert_sentences(str(error), mapping)
        return "refused"
    assert repr(mapping) == repr(before), "the mapping was changed"
    try:
        refuse_impossible(experiment, folder / "results")
    except UserError as error:
        assert_sentences(str(error), mapping)
        return "impossible"
    planned(experiment)
    assert parse_experiment(yaml.safe_load(resolved_yaml(experiment)), "my.yaml") == experiment
    return "accepted"


def fuzz(seeds: range, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    monkeypatch.chdir(folder)
    found, counts = bases(), {"accepted": 0, "refused": 0, "impossible": 0}
    for seed in seeds:
        mapping = configuration(seed, found)
        try:
            with patience(f"configuration {seed}"):
                counts[judged(mapping, folder)] += 1
        except Exception as error:
            raise AssertionError(f"configuration {seed}: {type(error).__name__}: {str(error)[:1000]}") from error
    assert list(folder.iterdir()) == [], "something was written"
    return counts


def test_any_configuration_is_planned_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = fuzz(range(SHORT), tmp_path, monkeypatch)
    assert min(counts["accepted"], counts["refused"]) > SHORT / 10, counts


@pytest.mark.slow
def test_thousands_of_configurations_are_planned_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = fuzz(range(LONG), tmp_path, monkeypatch)
    assert min(counts["accepted"], counts["refused"]) > LONG / 10, counts
    assert counts["impossible"] > 0, counts


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_committed_configurations_are_accepted_as_they_are(path: Path, tmp_path: Path) -> None:
    mapping = mapping_of(path)
    assert judged(mapping, tmp_path) == "accepted"
    assert json.loads(json.dumps(mapping)) == mapping
