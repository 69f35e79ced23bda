"""Two experiments of one name: no job computes what another was asked for, and each says so in one sentence."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from workflow_run import TINY, command, environment, snakemake, thermalize

from thermalize.config import Experiment
from thermalize.config.load import load_experiment, resolved_yaml
from thermalize.runtime.errors import UserError
from thermalize.store.results import Results
from thermalize.workflow.marks import due_of, mark
from thermalize.workflow.plan import Plan, settings_digest
from thermalize.workflow.resolved import check_settings, hold_experiment, write_experiment
from thermalize.workflow.steps import STEPS, results_of

WILDCARDS = {
    "split": "train",
    "emulator": "small",
    "diffusion": "small",
    "stabilizer": "thermalized",
    "seed": 0,
    "figure": "spectra",
}
RESTART = "If that is another experiment, give it another `name:`; then run the same command again"


def tiny(**changes: Any) -> Experiment:
    return Experiment.model_validate({**yaml.safe_load(TINY.read_text()), **changes})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "results" / "tiny" / "config.yaml"
    write_experiment(tiny(), path, "a.yaml")
    return path


def check(path: Path, stage: str, planned: Experiment) -> None:
    check_settings(load_experiment(path), settings_digest(planned, stage, WILDCARDS), path, stage, WILDCARDS)


@pytest.mark.parametrize("stage", STEPS)
def test_a_job_takes_its_own_settings_and_no_others(path: Path, stage: str) -> None:
    check(path, stage, tiny())
    write_experiment(tiny(seed=8), path, "b.yaml")
    with pytest.raises(UserError) as caught:
        check(path, stage, tiny())
    assert str(caught.value) == (
        f"{path} no longer holds the settings that this job was planned with (seed: 7 → 8); it was rewritten for"
        f" b.yaml. {RESTART}"
    )
    check(path, stage, tiny(seed=8))


def test_a_change_that_a_job_does_not_read_does_not_stop_it(path: Path) -> None:
    diagnostics = {**yaml.safe_load(TINY.read_text())["diagnostics"], "resamples": 50}
    write_experiment(tiny(diagnostics=diagnostics), path, "a.yaml")
    for stage in ("simulate", "emulator", "diffusion", "rollout"):
        check(path, stage, tiny())
    with pytest.raises(UserError, match=r"diagnostics\.resamples: 100 → 50"):
        check(path, "diagnose", tiny())


def test_a_rollout_knows_the_truth_that_it_starts_from(path: Path) -> None:
    simulation = yaml.safe_load(TINY.read_text())["simulation"]
    simulation["splits"]["test"]["frames"] = 61
    write_experiment(tiny(simulation=simulation), path, "b.yaml")
    for stage in ("rollout", "diagnose", "sample", "ensemble"):
        with pytest.raises(UserError, match=r"simulation\.splits\.test\.frames: 60 → 61"):
            check(path, stage, tiny())


def test_a_job_whose_model_has_gone_is_stopped_and_a_file_without_a_past_too(path: Path) -> None:
    emulators = yaml.safe_load(TINY.read_text())["emulators"]
    path.write_text(resolved_yaml(tiny(emulators={"other": emulators["small"]})))
    with pytest.raises(UserError, match=r"planned with; it was rewritten for another configuration\. If"):
        check(path, "emulator", tiny())


def test_nobody_changes_the_experiment_of_a_run_that_is_going_on(path: Path) -> None:
    before = path.read_text()
    with hold_experiment(tiny(), path, "a.yaml"):
        hold_experiment(tiny(), path, "a.yaml").close()  # a second run of the same
        assert write_experiment(tiny(), path, "copy.yaml") == ""
        for change in (write_experiment, hold_experiment):
            with pytest.raises(UserError) as caught:
                change(tiny(seed=8), path, "b.yaml")
            assert str(caught.value) == (
                f"{path.parent} belongs to a run of a.yaml that is going on, and b.yaml has other settings"
                " (seed: 7 → 8); give one of the two another `name:`, or wait for the run to end"
            )
        assert path.read_text() == before
    with hold_experiment(tiny(seed=8), path, "b.yaml"):
        assert load_experiment(path) == tiny(seed=8)


def test_many_changes_are_named_in_part_and_odd_names_of_files_on_one_line(path: Path) -> None:
    other = tiny(seed=8, seeds=[1], device="cpu", rollouts={**yaml.safe_load(TINY.read_text())["rollouts"], "steps": 9})
    changed = write_experiment(other, path, "b\n\x1b[2J.yaml")
    assert "seed: 7 → 8, seeds: [0, 1] → [1], device: 'auto' → 'cpu', " in changed
    assert "1 more" in changed
    assert path.read_text().splitlines()[1] == "name: tiny"
    with pytest.raises(UserError) as caught:
        check(path, "simulate", tiny())
    assert str(caught.value).isprintable()


def test_the_command_line_says_what_it_replaces_and_what_a_job_was_planned_with(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(TINY.read_text().replace("seed: 7", "seed: 8"))
    assert thermalize("resolve", TINY, cwd=tmp_path).stderr == ""
    done = thermalize("resolve", "b.yaml", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == (
        "results/tiny/config.yaml held other settings before (seed: 7 → 8); results that are there already were made"
        " with those.\n"
    )
    planned = settings_digest(tiny(), "simulate", WILDCARDS)
    arguments = ("--settings", planned, "simulate", "results/tiny/config.yaml", "--split", "train")
    done = thermalize(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "Error: results/tiny/config.yaml no longer holds the settings that this job was planned with (seed: 7 → 8); it"
        f" was rewritten for b.yaml. {RESTART}\n"
    )
    assert not (tmp_path / "results" / "tiny" / "simulation").exists()


def test_a_stage_by_hand_leaves_the_results_of_another_experiment_alone(tmp_path: Path) -> None:
    """It has no settings to compare with but those beside the results."""
    other = tmp_path / "b.yaml"
    other.write_text(TINY.read_text().replace("seed: 7", "seed: 8"))
    assert thermalize("resolve", TINY, cwd=tmp_path).returncode == 0
    for arguments in (
        ("simulate", "b.yaml", "--split", "valid"),
        ("train-diffusion", "b.yaml", "--diffusion", "small"),
        ("figure", "b.yaml", "--name", "spectra"),
    ):
        done = thermalize(*arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr == (
            f"Error: results/tiny belongs to {TINY}, and b.yaml has other settings (seed: 7 → 8); give one of the two"
            " another `name:`, or change the experiment there with `thermalize resolve b.yaml`\n"
        )
    assert not (tmp_path / "results" / "tiny" / "simulation").exists()
    other.write_text(TINY.read_text().replace("resamples: 100", "resamples: 50"))  # which a simulation does not read
    assert thermalize("simulate", "b.yaml", "--split", "valid", cwd=tmp_path).returncode == 0


@pytest.fixture
def at_once() -> Iterator[None]:
    """What waits for a pipe is woken with an error."""

    def wake(*_: object) -> None:
        raise TimeoutError("it waits")

    before = signal.signal(signal.SIGALRM, wake)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def linked(path: Path, kind: str, victim: Path) -> None:
    """Something that is no plain file in the place of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(victim if kind == "link" else victim.with_name("missing"))


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe"])
def test_the_lock_of_an_experiment_is_a_plain_file(tmp_path: Path, path: Path, kind: str) -> None:
    (tmp_path / "somebody").mkdir()
    linked(lock := path.with_name(".config.yaml.lock"), kind, tmp_path / "somebody" / "thesis.tex")
    said = f"{lock} is no plain file, as a lock must be; delete it, then run the same command again"
    for call in (
        lambda: write_experiment(tiny(), path, "a.yaml"),
        lambda: hold_experiment(tiny(), path, "a.yaml"),
    ):
        with pytest.raises(UserError) as caught:
            call()
        assert str(caught.value) == said
    assert not list((tmp_path / "somebody").iterdir())


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe"])
def test_no_plan_waits_for_a_pipe_or_writes_through_a_link(tmp_path: Path, path: Path, kind: str) -> None:
    """Whatever stands where results, their digests, records and marks are expected: then they are none."""
    victim = tmp_path / "somebody" / "thesis.tex"
    victim.parent.mkdir()
    victim.write_text("years of work")
    os.utime(victim, (1, 1))
    results = Results("tiny", tmp_path / "results")
    plan = Plan(tiny(), results)
    for name in (*plan.everything(), *(name for result in results_of(tiny()) for name in plan.outputs(result))):
        linked(Path(name), kind, victim)
        linked(Path(name).with_name(f".{Path(name).name}"), kind, victim)
    linked(results.simulation("train").with_name(".sources.json"), kind, victim)
    assert not [status for status in plan.results() if status.current]
    for result in results_of(tiny()):
        linked(due_of(tmp_path / "due", result.step, *result.key), kind, victim)
    mark(plan, tmp_path / "due")
    linked(path, kind, victim)
    linked(path.with_name(".config.before.yaml"), kind, victim)
    write_experiment(tiny(seed=8), path, "b.yaml")
    assert load_experiment(path) == tiny(seed=8)
    assert [(each.name, each.read_text()) for each in victim.parent.iterdir()] == [("thesis.tex", "years of work")]
    assert victim.stat().st_mtime == 1


@pytest.mark.slow
def test_a_run_is_not_given_the_settings_of_another(tmp_path: Path) -> None:
    """While A runs, a run of B is refused; what overwrites the file all the same stops A, which then goes on as A."""
    targets = [f"results/tiny/simulation/{split}.manifest.json" for split in ("train", "valid", "test")]
    other, config = tmp_path / "b.yaml", tmp_path / "results" / "tiny" / "config.yaml"
    other.write_text(TINY.read_text().replace("seed: 7", "seed: 8"))
    started = command(tmp_path, *targets, "--set-threads", "simulate=2", cold=True)  # one after the other
    run = subprocess.Popen(started, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment())
    while run.poll() is None and not list(tmp_path.glob("results/tiny/simulation/*.partial")):
        time.sleep(0.05)
    run.send_signal(signal.SIGSTOP)  # no further job begins meanwhile
    refused = snakemake(tmp_path, *targets, check=False, config=other)
    assert refused.returncode != 0
    assert "other settings (seed: 7 → 8)" in refused.stdout + refused.stderr
    assert load_experiment(config) == tiny()
    shutil.copy(other, config)
    run.send_signal(signal.SIGCONT)
    said, _ = run.communicate()
    assert run.returncode != 0
    assert "no longer holds the settings that this job was planned with" in said
    assert planned(tmp_path, targets) in (1, 2)
    snakemake(tmp_path, *targets)
    assert planned(tmp_path, targets) == 0


def planned(folder: Path, targets: list[str]) -> int:
    """Simulations that a dry run would run."""
    done = snakemake(folder, "--dry-run", *targets)
    return max([0, *map(int, re.findall(r"^simulate +(\d+)$", done.stdout + done.stderr, re.MULTILINE))])
