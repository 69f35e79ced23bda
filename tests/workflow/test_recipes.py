"""What every result was made from is known, and whether it is still what would be made now, whatever else was lost."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import run

from thermalize.config import EmulatorSettings, Experiment, StabilizerConfig, emulators, stabilizers, systems
from thermalize.config.kinds import kinds_of
from thermalize.config.load import load_experiment
from thermalize.config.systems import SystemSettings
from thermalize.runtime.errors import UserError
from thermalize.store import fingerprint as fingerprints
from thermalize.store.fingerprint import modules
from thermalize.store.results import Results
from thermalize.workflow.marks import due_of, mark
from thermalize.workflow.needs import Result
from thermalize.workflow.plan import Plan, result_of
from thermalize.workflow.records import fingerprint_of, record_of
from thermalize.workflow.steps import STEPS, results_of
from thermalize.workflow.why import say

PICTURES = ("figure", "movie")
"""Which the finished experiment of the tests has none of."""
WILDCARDS = {
    "split": "train",
    "emulator": "small",
    "diffusion": "small",
    "stabilizer": "thermalized",
    "seed": "0",
    "figure": "spectra",
}
AFTER_ROLLOUT = {"cost", "diagnose", "ensemble", "summary", "ablation"}


@pytest.fixture
def plan(tiny: tuple[Path, Path], tmp_path: Path) -> Plan:
    shutil.copytree(tiny[1], tmp_path / "results")
    experiment = load_experiment(tiny[0])
    return Plan(experiment, Results(experiment.name, tmp_path / "results"))


def again(plan: Plan, **changes: Any) -> Plan:
    """Looked at anew, perhaps with other settings."""
    raw = yaml.safe_load(plan.experiment.model_dump_json(by_alias=True, exclude_unset=True))
    for key, value in changes.items():
        section, _, name = key.rpartition("__")
        target = raw
        for part in filter(None, section.split("__")):
            target = target.setdefault(part, {})
        target[name] = value
    return Plan(Experiment.model_validate(raw), plan.paths)


def outdated(plan: Plan) -> set[str]:
    """Steps with results that would be made again."""
    return {each.result.step for each in plan.results() if not each.current} - {*PICTURES}


def faults(plan: Plan, step: str) -> tuple[str, ...]:
    return plan.status(result_of(step, WILDCARDS)).faults


def test_all_results_of_a_finished_experiment_are_current(plan: Plan) -> None:
    assert outdated(plan) == set()
    assert plan.status(Result("movie")).faults == ("it was never made",)


def test_neither_times_nor_places_matter(plan: Plan, tmp_path: Path) -> None:
    for path in plan.paths.folder.rglob("*"):
        os.utime(path, (1e9, 1e9) if hash(path) % 2 else (2e9, 2e9))
    assert outdated(again(plan)) == set()
    shutil.copytree(plan.paths.folder, tmp_path / "elsewhere" / "tiny")
    assert outdated(Plan(plan.experiment, Results("tiny", tmp_path / "elsewhere"))) == set()


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({"device": "cpu"}, set()),
        ({"diagnostics__resamples": 50}, {"sample", *AFTER_ROLLOUT}),
        ({"diagnostics__samples": 9}, {"sample", "cost", "summary", "ablation"}),
        ({"emulators__small__noise": 0.1}, {"emulator", "rollout", *AFTER_ROLLOUT}),
        ({"emulators__small__training__checkpoint_every": 3}, set()),
        ({"rollouts__lost_above": 40.0}, {"rollout", *AFTER_ROLLOUT}),
        ({"rollouts__stabilizers__thermalized__start": 4}, {"rollout", *AFTER_ROLLOUT}),
        ({"simulation__splits__valid__members": 4}, {*STEPS} - {*PICTURES, "reference"}),
        ({"seed": 8}, {*STEPS} - {*PICTURES}),
    ],
)
def test_a_setting_makes_outdated_what_reads_it_and_what_follows(
    plan: Plan, changes: dict[str, Any], steps: set[str]
) -> None:
    steps = steps & {result.step for result in results_of(plan.experiment)}
    assert outdated(again(plan, **changes)) == steps
    assert outdated(again(plan)) == set()


def test_the_setting_is_named(plan: Plan) -> None:
    assert faults(again(plan, diagnostics__resamples=50), "diagnose") == ("setting diagnostics.resamples: 20 → 50",)
    (first, *_) = faults(again(plan, rollouts__stabilizers__thermalized__start=4), "rollout")
    assert first.startswith("setting rollouts.stabilizers.thermalized.start: ")
    assert faults(again(plan, emulators__small__noise=0.1), "rollout") == (
        "input emulator small was made again, or will be",
    )


def test_another_stabilizer_leaves_the_raw_rollout_alone(plan: Plan) -> None:
    changed = again(plan, rollouts__stabilizers__thermalized__start=4)
    for step in ("rollout", "diagnose"):
        assert changed.status(result_of(step, {**WILDCARDS, "stabilizer": "raw"})).current


RUNNING = [
    each.implementation
    for package, base in ((systems, SystemSettings), (emulators, EmulatorSettings), (stabilizers, StabilizerConfig))
    for each in kinds_of(package, base)
] + ["thermalize.emulators.objective"]
"""What steps run but do not import."""


@pytest.mark.parametrize("step", STEPS)
def test_each_module_that_a_step_runs_counts_and_no_other(
    plan: Plan, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = result_of(step, WILDCARDS)
    mine = set(STEPS[step].code(plan.experiment, *result.key))
    every = {*modules("thermalize.cli"), *(name for each in RUNNING for name in modules(each))}
    assert STEPS[step].stage in mine
    assert mine <= every
    before, digest = fingerprint_of(plan.recipe(result, {})), fingerprints.digest_of
    for edited in {*mine, *every}:
        monkeypatch.setattr(fingerprints, "digest_of", lambda name, it=edited: "x" if name == it else digest(name))
        assert (fingerprint_of(plan.recipe(result, {})) != before) == (edited in mine), edited


def test_every_module_is_told_from_its_edited_self_and_not_from_other_prose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, before = tmp_path / "thermalize", {}
    shutil.copytree(fingerprints.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(fingerprints, "PACKAGE", package)

    def digest(name: str) -> str:
        for function in (fingerprints._source, fingerprints._content, fingerprints._path):
            function.cache_clear()
        return fingerprints.digest_of(name)

    try:
        for name in {each for step in STEPS.values() for each in modules(step.stage)}:
            before[name] = digest(name)
            path = fingerprints._path(name)
            text = path.read_text()
            path.write_text(f'"""Other words."""\n{text.partition(chr(34) * 3)[2].partition(chr(34) * 3)[2]}\n# why\n')
            assert digest(name) == before[name], name
            path.write_text(f"{text}\nEDITED = 1\n")
            assert digest(name) != before[name], name
    finally:
        monkeypatch.undo()
        digest("thermalize.cli")


def test_a_changed_module_is_named(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    digest, edited = fingerprints.digest_of, "thermalize.metrics.statistics"
    monkeypatch.setattr(fingerprints, "digest_of", lambda name: "x" if name == edited else digest(name))
    assert f"module {edited} changed" in faults(again(plan), "diagnose")
    assert faults(again(plan), "rollout") == ()


def lose_store(plan: Plan) -> None:
    shutil.rmtree(plan.paths.simulation("test").with_name("test.zarr"))


def lose_weights(plan: Plan) -> None:
    (plan.paths.emulator("small") / "model.safetensors").unlink()


def lose_manifest(plan: Plan) -> None:
    plan.paths.rollout("small", "raw", 0).unlink()


@pytest.mark.parametrize(
    ("lose", "step"), [(lose_store, "simulate"), (lose_weights, "emulator"), (lose_manifest, "rollout")]
)
def test_what_is_lost_is_made_again_and_nothing_else(plan: Plan, lose: Callable[[Plan], None], step: str) -> None:
    lose(plan)
    assert outdated(plan) == {step}
    (lost,) = [each for each in plan.results() if each.result.step == step and not each.current]
    assert lost.faults == ("a part of it has gone",)


def test_a_result_of_somebody_else_in_its_place_is_noticed(plan: Plan) -> None:
    """With all its digests in order, and what was made from the one before it outdated with it."""
    table = plan.paths.diagnostics("small", "raw", 0)
    for suffix in ("", ".sha256"):
        shutil.copy(f"{plan.paths.diagnostics('small', 'raw', 1)}{suffix}", f"{table}{suffix}")
    text = Path(f"{table}.sha256").read_text()
    Path(f"{table}.sha256").write_text(text.replace("seed1", "seed0"))
    assert outdated(plan) == {"diagnose", "summary", "ablation"}
    (other,) = [each for each in plan.results() if each.result.step == "diagnose" and not each.current]
    assert other.faults == ("it is not the one that was made",)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"fingerprint": 1}', "[" * 9999])
def test_a_damaged_record_says_nothing(plan: Plan, text: str) -> None:
    record = record_of(plan.paths, "emulator", "small")
    for path in (record, record.with_name(f".{record.name}")):
        path.write_text(text)
    assert "emulator" in outdated(plan)
    assert not plan.status(Result("rollout", ("small", "raw", "0"))).current


def due(plan: Plan, folder: Path) -> set[str]:
    """Steps of what is marked as due below a folder."""
    mark(plan, folder)
    outputs = {result: [Path(name) for name in plan.outputs(result)] for result in results_of(plan.experiment)}
    found = set()
    for result, paths in outputs.items():
        written = due_of(folder, result.step, *result.key)
        newest = max([0.0, *(path.stat().st_mtime for path in paths if path.exists())])
        assert (written.stat().st_mtime > newest) == bool(written.read_text())
        found |= {result.step} if written.read_text() else set()
    return found - {*PICTURES}


def test_what_is_due_is_newer_than_any_result_and_all_else_older(plan: Plan, tmp_path: Path) -> None:
    for path in plan.paths.folder.rglob("*"):
        os.utime(path, (4e9, 4e9))
    folder = tmp_path / "due"
    assert due(plan, folder) == set()
    assert due(again(plan, diagnostics__resamples=50), folder) == {"sample", *AFTER_ROLLOUT}
    assert due(again(plan), folder) == set()


def test_what_is_due_once_more_says_so_in_other_words(plan: Plan, tmp_path: Path) -> None:
    """Snakemake makes nothing again whose inputs have the contents of the last time."""
    changed, path = again(plan, diagnostics__resamples=50), due_of(tmp_path, "diagnose", "small", "raw", "0")
    texts = set()
    for _ in range(3):
        mark(changed, tmp_path)
        texts.add(path.read_text())
    assert len(texts) == 3


def test_what_was_never_made_is_marked_once(plan: Plan, tmp_path: Path) -> None:
    """It is made because nothing is there; a mark that is none, or where something is there, is written again."""
    nothing, path = Plan(plan.experiment, Results("tiny", tmp_path / "nowhere")), due_of(tmp_path, "reference")
    mark(nothing, tmp_path)
    before = path.read_text()
    assert before.endswith("it was never made\n")
    mark(nothing, tmp_path)
    assert path.read_text() == before
    path.write_text("")
    mark(nothing, tmp_path)
    assert before < path.read_text()
    nothing.paths.reference.parent.mkdir(parents=True)
    nothing.paths.reference.touch()
    before = path.read_text()
    mark(nothing, tmp_path)
    assert before < path.read_text()


def test_a_kill_while_a_result_is_made_again_is_no_loss_of_what_is_known(plan: Plan) -> None:
    """Snakemake deletes the files of a result, its record among them, before it is made again."""
    lose_store(plan)
    plan.paths.simulation("test").unlink()
    record_of(plan.paths, "simulate", "test").unlink()
    assert outdated(plan) == {"simulate"}
    assert outdated(again(plan, seed=8)) == {*STEPS} - {*PICTURES, "bands"}


def test_planning_leaves_results_alone(plan: Plan, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in plan.paths.root.rglob("*")}
    mark(again(plan, seed=8), tmp_path / "due")
    assert {path: path.stat().st_mtime_ns for path in plan.paths.root.rglob("*")} == before
    mark(Plan(plan.experiment, Results("tiny", tmp_path / "nowhere")), tmp_path / "due")
    assert not (tmp_path / "nowhere").exists()


def test_a_stage_by_hand_is_recorded(plan: Plan, tiny: tuple[Path, Path]) -> None:
    record = record_of(plan.paths, "diagnose", "small", "raw", "0")
    written = json.loads(record.read_text())
    assert written["settings"]["diagnostics"]["resamples"] == 20
    assert set(written["inputs"]) == {"simulate test", "reference", "rollout small/raw/0"}
    assert "thermalize.metrics.statistics" in written["code"]
    record.unlink()
    words = ("--emulator", "small", "--stabilizer", "raw", "--seed", "0")
    assert run("diagnose", tiny[0], *words, "--results", plan.paths.root).status == 0
    assert json.loads(record.read_text()) == written


def test_a_failed_stage_records_nothing(plan: Plan, tiny: tuple[Path, Path]) -> None:
    lose_store(plan)
    record = record_of(plan.paths, "diagnose", "small", "raw", "0")
    before = record.read_bytes()
    words = ("--emulator", "small", "--stabilizer", "raw", "--seed", "0")
    assert run("diagnose", tiny[0], *words, "--results", plan.paths.root).status == 2
    assert record.read_bytes() == before


def test_why_says_what_differs(plan: Plan, tmp_path: Path) -> None:
    folder = plan.paths.folder
    count = len([*results_of(plan.experiment)])
    pictures = len([each for each in results_of(plan.experiment) if each.step in PICTURES])
    assert [*say([folder])][-1] == f"{count - pictures} of {count} results of tiny are current"
    assert [*say([plan.paths.diagnostics("small", "raw", 0)])] == ["diagnose small/raw/0: current"]
    other = tmp_path / "other.yaml"
    other.write_text(plan.paths.config.read_text().replace("resamples: 20", "resamples: 50"))
    assert [*say([plan.paths.diagnostics("small", "raw", 0)], other)] == [
        "diagnose small/raw/0: setting diagnostics.resamples: 20 → 50",
        "0 of 1 results of tiny are current",
    ]
    assert [*say([plan.paths.simulation("test").with_name("test.zarr") / "zarr.json"])] == ["simulate test: current"]
    said = run("why", plan.paths.emulator("small"))
    assert (said.status, said.out) == (0, "emulator small: current\n")


def test_why_asks_for_results(plan: Plan, tmp_path: Path) -> None:
    for path in (tmp_path, plan.paths.folder / "nothing"):
        with pytest.raises(UserError):
            list(say([path]))
    assert run("why", tmp_path).status == 2
