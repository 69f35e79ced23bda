"""`make gpu-check` as far as it goes without a GPU: what it compares, and that it sees what is wrong."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from gpu_checks import ROOT, Pretended, Wrong, like, tiny_check, verdicts

from gpu import (
    experiment,
    leases,
    limits,
    machine,
    networks,
    resuming,
    running,
    sampling,
    solvers,
    stepping,
    training,
)
from gpu.learning import truth_of
from gpu.report import FAILED, NOT_RUN, OK, Row
from gpu.running import Check
from gpu.sizes import SIZES
from thermalize.config.load import load_experiment
from thermalize.training.passes import Passes


@pytest.fixture
def check(tmp_path: Path) -> Check:
    return tiny_check(tmp_path)


# What is compared.


def test_published_sizes_are_those_of_the_configurations():
    published = SIZES["published"]()
    flow, eddy = (load_experiment(ROOT / "configs" / f"{name}.yaml") for name in ("kolmogorov", "qg-eddy"))
    assert published.emulator == flow.emulators["unet"]
    assert published.diffusion == flow.diffusion["unet"]
    assert published.members == flow.rollouts.members
    assert published.block == flow.simulation.block
    assert published.data.system.stored_grid == flow.simulation.grid
    thermalized = flow.rollouts.stabilizers["thermalized"]
    assert (thermalized.start, thermalized.stop) == (stepping.START, stepping.STOP)
    for simulation, found in ((flow.simulation, published.flows[1]), (eddy.simulation, published.flows[2])):
        assert (found.system, found.stepper, found.dt) == (simulation.system, simulation.stepper, simulation.dt)


def test_equal_solvers_and_networks_are_found_equal(check: Check):
    assert verdicts(solvers.rows(check)) == {OK}
    assert verdicts(networks.rows(check)) == {OK}


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        (solvers.rows, ("tendency, float64", "tendency, float32", "trajectory, float64", "trajectory, float32")),
        (networks.rows, ("output, float32", "gradient, float32")),
    ],
    ids=["solver", "networks"],
)
def test_a_wrong_result_is_seen(check: Check, rows: object, what: tuple[str, ...]):
    found = {row.what: row.verdict for row in rows(like(check, Wrong))}  # type: ignore[operator]
    for name in what:
        assert {verdict for text, verdict in found.items() if text.endswith(name)} == {FAILED}, name


def test_states_that_are_not_finite_are_seen(check: Check):
    class Lost(Check):
        def fetch(self, x: torch.Tensor) -> torch.Tensor:
            return super().fetch(x) * torch.nan

    found = [row for row in stepping.rows(like(check, Lost)) if row.verdict in (OK, FAILED)]
    assert {row.verdict for row in found} == {FAILED}
    assert len(found) == 4
    assert running.difference(torch.tensor([torch.nan]), torch.ones(1)) == float("inf")


def test_statistics_of_two_samples_are_told_from_those_of_another_system(check: Check):
    truth = truth_of(check, sampling.FLOW, (16, 20, 400, 4))
    states = truth.normalised().double()
    for label, found, expected in (
        ("the same", states[8:], {OK}),
        ("louder", 1.5 * states[8:], {FAILED}),
        ("rougher", states[8:] + 0.7 * torch.randn(states[8:].shape), {FAILED}),
        ("all lost", states[8:] * torch.nan, {FAILED}),
    ):
        assert expected <= verdicts(sampling._statistics("x", found, states[:8], truth)), label
    assert verdicts(sampling._statistics("x", states[8:], states[:8], truth)) == {OK}


def summary(**changes: float) -> dict[str, dict[str, str]]:
    row = {"seconds_per_step": "0.01"}
    for name in experiment.COMPARED:
        centre = changes.get(name, 1.0)
        row |= {name: str(centre), f"{name}_low": str(centre - 0.1), f"{name}_high": str(centre + 0.1)}
    return {"raw": row}


@pytest.mark.parametrize(
    ("changes", "devices", "wrong"),
    [
        ({}, {"cuda"}, set()),
        ({"log_spectral_distance": 1.15}, {"cuda"}, set()),
        ({"log_spectral_distance": 1.3}, {"cuda"}, {"raw: log spectral distance"}),
        ({"stable_fraction": float("nan")}, {"cuda"}, {"raw: stable fraction"}),
        ({}, {"cuda", "cpu"}, {"device that the results name"}),
    ],
)
def test_experiments_of_two_devices_are_compared(changes: dict[str, float], devices: set[str], wrong: set[str]):
    found = SimpleNamespace(device="cuda", devices=lambda: devices, summary=lambda: summary(**changes))
    rows = experiment._findings(found, SimpleNamespace(summary=summary))  # type: ignore[arg-type]
    assert {row.what for row in rows if row.verdict == FAILED} == wrong


def running_in(group: int, process: psutil.Process) -> bool:
    """Whether a process of that group is more than an entry that nobody has collected yet."""
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, psutil.Error):
        return False


def test_an_experiment_that_fails_or_is_stopped_leaves_nothing_running(check: Check, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(experiment, "commands", lambda *_: [["sh", "-c", "echo no such GPU >&2; exit 3"]])
    (found,) = (row for row in experiment.rows(check) if row.verdict == FAILED)
    assert found.reason == "status 3: no such GPU"
    monkeypatch.setattr(experiment, "commands", lambda *_: [["sh", "-c", "trap '' TERM; sleep 600 & sleep 600"]])
    monkeypatch.setattr(experiment, "GRACE", 0.3)
    slow = experiment._Run(replace(check, folder=check.folder / "slow"), "cpu", "stage by stage", 1)
    slow.stop()
    assert slow.process.returncode is not None
    assert not [each for each in psutil.process_iter() if running_in(slow.process.pid, each)]


@pytest.mark.slow
def test_a_training_that_learns_nothing_is_seen(check: Check):
    class Rising(Check):
        seen = 0

        def fetch(self, x: torch.Tensor) -> torch.Tensor:
            self.seen += 1
            return super().fetch(x) + self.seen

    found = {row.what: row.verdict for row in training.rows(like(check, Rising)) if row.verdict in (OK, FAILED)}
    losses = {verdict for text, verdict in found.items() if "loss of one batch" in text}
    assert losses == {FAILED}


def test_leases_are_seen_to_hold_and_not_to_hold(check: Check, monkeypatch: pytest.MonkeyPatch):
    assert verdicts(leases.rows(check)) == {OK}
    monkeypatch.setattr(leases, "PATIENCE", 1.0)
    monkeypatch.setattr(leases, "CHILD", "print('GPU-pretended', flush=True); input()")
    found = {row.what: row.verdict for row in leases.rows(replace(check))}
    assert found["a second process waits"] == FAILED
    assert found["a process that was told its device takes none"] == FAILED


# What only a GPU has.


@pytest.fixture
def pretended(check: Check, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Every call to CUDA answers; memory is short for more than two samples where it was limited."""
    short = {"share": 1.0}
    properties = SimpleNamespace(name="pretended", total_memory=10**9, major=9, minor=0)
    answers = {
        "device_count": 1, "empty_cache": None, "get_device_properties": properties, "is_bf16_supported": True,
        "max_memory_allocated": 10**8, "max_memory_reserved": 10**8, "memory_reserved": 10**5,
        "reset_peak_memory_stats": None, "set_sync_debug_mode": None, "synchronize": None,
    }  # fmt: skip
    for name, answer in answers.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, answer=answer, **__: answer)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda share, _: short.update(share=share))
    computing = Passes._accumulate

    def accumulate(passes: Passes, batch: tuple[torch.Tensor, ...]) -> float:
        most = 99 if short["share"] == 1 else 2 if short["share"] > 0.01 else 0
        if min(passes.largest or 99, len(batch[0])) > most:
            raise torch.OutOfMemoryError
        return computing(passes, batch)

    monkeypatch.setattr(Passes, "_accumulate", accumulate)
    return like(check, Pretended)


def test_the_code_for_gpus_runs(pretended: Check):
    for module in (machine, networks, stepping, limits):
        found = list(module.rows(pretended))
        assert NOT_RUN not in {row.verdict for row in found}, module.__name__
        assert FAILED not in {row.verdict for row in found}, [row for row in found if row.verdict == FAILED]
    assert pretended.memory("most") == Row("", "most", 0.1, "GB")


def test_waits_of_the_cpu_for_the_gpu_are_counted(pretended: Check, monkeypatch: pytest.MonkeyPatch):
    truth = truth_of(pretended, pretended.size.data, pretended.size.windows)
    emulator, denoiser = (
        stepping.model_of(config, truth) for config in (pretended.size.emulator, pretended.size.diffusion)
    )
    emulator.register_forward_pre_hook(lambda *_: warnings.warn("called a synchronizing CUDA operation", stacklevel=1))
    raw = stepping.NoStabilizerConfig(kind="none")
    rollout = stepping.rollout_of(pretended, raw, truth, [emulator, denoiser])
    row = stepping._synchronizations(pretended, "raw", rollout, truth.normalised()[:2, 0])
    assert row.value == 1


@pytest.mark.slow
def test_a_wrong_continuation_is_seen(check: Check, monkeypatch: pytest.MonkeyPatch):
    assert verdicts(resuming.rows(check)) == {OK}
    torch.manual_seed(0)
    found = [row for row in resuming.rows(like(check, Wrong)) if "rollout" in row.what]
    assert verdicts(iter(found)) == {FAILED}
    monkeypatch.setattr(torch.optim.AdamW, "load_state_dict", lambda *_: None)  # momenta begin anew
    found = [row for row in resuming.rows(like(check, Check)) if "killed" in row.what]
    assert len(found) == 2
    assert verdicts(iter(found)) == {FAILED}
