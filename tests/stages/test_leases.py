"""Which commands take GPUs: those that were granted some and use them, and of several processes the one above them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
import torch
from gpu_machine import Machine
from training_runs import settings, store, written
from workflow_run import environment, python

import thermalize.truth.simulate
from thermalize import cli
from thermalize.runtime.errors import UserError
from thermalize.stages import cost, diffusion, emulator, rollouts, samples
from thermalize.training import processes

NETWORKS: dict[str, tuple[Any, str, tuple[str, ...]]] = {
    "train-emulator": (emulator, "train_emulator", ("--emulator", "unet")),
    "train-diffusion": (diffusion, "train_diffusion", ("--diffusion", "unet")),
    "sample": (samples, "sample_diffusion", ("--diffusion", "unet")),
    "rollout": (rollouts, "rollout", ("--emulator", "unet", "--stabilizer", "raw")),
    "cost": (cost, "measure_cost", ("--emulator", "unet")),
}
TORCHRUN = """
import sys
from thermalize.training.processes import torchrun
sys.argv[0] = "thermalize"
sys.exit(torchrun(2))
"""


def visible() -> str | None:
    return os.environ.get("CUDA_VISIBLE_DEVICES")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Two GPUs that torch can see as far as they are visible."""
    machine = Machine(tmp_path / "machine", "GPU-a", "GPU-b").stand_in(monkeypatch)
    count = lambda: 2 if visible() is None else len((visible() or "").split(","))  # noqa: E731
    monkeypatch.setattr(torch.cuda, "device_count", count)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count() > 0)
    monkeypatch.setattr(torch, "set_deterministic_debug_mode", lambda *_, **__: None)
    return machine


@pytest.fixture
def seen(monkeypatch):
    """Instead of computing, stages note which devices they would see, and how many processes would be started."""
    seen: list[Any] = []
    for module, function, _ in NETWORKS.values():
        monkeypatch.setattr(module, function, lambda *_: seen.append(visible()))
    monkeypatch.setattr(thermalize.truth.simulate, "simulate", lambda *_, **__: seen.append(visible()))
    monkeypatch.setattr(processes, "torchrun", lambda count: seen.append((count, visible())))
    return seen


def call(folder, command: str, *arguments: str, **changes: Any) -> None:
    config = written(folder, {**settings(), "device": "auto", **changes})
    cli.app([command, str(config), *arguments, "--results", str(folder)], standalone_mode=False)


@pytest.mark.parametrize("command", NETWORKS)
def test_a_stage_takes_the_gpu_that_it_was_granted(machine, seen, tmp_path, command):
    call(tmp_path, command, *NETWORKS[command][2], "--gpus", "1")
    assert seen == ["GPU-a"]


@pytest.mark.parametrize("command", NETWORKS)
@pytest.mark.parametrize(("device", "granted"), [("cpu", ("--gpus", "1")), ("auto", ("--gpus", "0")), ("auto", ())])
def test_no_gpu_is_taken_that_is_not_used_or_not_granted(machine, seen, tmp_path, command, device, granted):
    call(tmp_path, command, *NETWORKS[command][2], *granted, device=device)
    assert seen == [None]
    assert not machine.locks.exists()


@pytest.mark.parametrize(("device", "expected"), [("cuda", "GPU-a"), ("auto", "GPU-a"), ("cpu", None)])
def test_a_simulation_takes_its_gpu(machine, seen, tmp_path, device, expected):
    simulation = {**settings()["simulation"], "device": device}
    call(tmp_path, "simulate", "--split", "train", "--gpus", "1", simulation=simulation)
    assert seen == [expected]


def test_looking_for_the_device_takes_none(machine, tmp_path):
    call(tmp_path, "device", "--gpus", "1", device="cuda")
    assert visible() is None
    assert not machine.locks.exists()


def several(count: int) -> dict[str, Any]:
    return {"emulators": settings(gpus=count)["emulators"]}


def test_several_processes_share_the_devices_that_the_first_has_taken(machine, seen, tmp_path):
    with pytest.raises(SystemExit):
        call(tmp_path, "train-emulator", "--emulator", "unet", "--gpus", "2", **several(2))
    assert seen == [(2, "GPU-a,GPU-b")]


def test_a_process_of_torchrun_starts_no_further_ones(machine, seen, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("WORLD_SIZE", "1")
    call(tmp_path, "train-emulator", "--emulator", "unet", "--gpus", "2", **several(2))
    assert seen == [None]


@pytest.mark.parametrize(
    ("chosen", "granted", "sentence"),
    [
        (None, "1", "2 GPUs are needed, but the scheduler granted 1"),
        ("7", "2", r"2 GPUs are needed, but 1 can be used \(CUDA_VISIBLE_DEVICES=7\)"),
        (None, "4", "4 GPUs were asked for, but this machine has 2"),
    ],
)
def test_too_few_gpus_are_refused_before_anything(machine, seen, tmp_path, monkeypatch, chosen, granted, sentence):
    if chosen:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    with pytest.raises(UserError, match=sentence):
        call(tmp_path, "train-emulator", "--emulator", "unet", "--gpus", granted, **several(max(2, int(granted))))
    assert seen == []
    assert not machine.locks.exists()


def started(config, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", TORCHRUN, "train-emulator", str(config), "--emulator", "unet", *arguments]
    where = {"cwd": config.parent, "env": {**environment(), "PYTHON_EXEC": str(python())}}  # which torchrun starts
    return subprocess.run(command, capture_output=True, text=True, check=False, **where)


@pytest.mark.slow
def test_the_same_command_runs_in_several_processes(tmp_path):
    config = written(tmp_path, settings())
    paths = store(config)
    done = started(config)
    assert done.returncode == 0, done.stderr
    assert "2 process(es)" in (paths.emulator("unet") / "README.md").read_text()


@pytest.mark.slow
def test_the_exit_status_of_several_processes_is_theirs(tmp_path):
    done = started(written(tmp_path, settings()), "--threads", "1")
    assert done.returncode == 2
    assert done.stderr.count("Error: ") == 1
    assert "Traceback" not in done.stderr
