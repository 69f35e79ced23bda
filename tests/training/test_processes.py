"""Several processes under torchrun: the same losses as one, killed and resumed to the same bits, refused by name."""

from __future__ import annotations

import contextlib
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from safetensors.torch import load_file
from training_runs import command, run, settings, store, written
from workflow_run import environment

from thermalize.runtime.errors import UserError
from thermalize.training.processes import ALONE, Processes, processes

EMULATOR, DIFFUSION = ("train-emulator", "--emulator", "unet"), ("train-diffusion", "--diffusion", "unet")


def test_shares_are_equal_and_together_the_batch():
    batch = np.arange(12)
    shares = [batch[Processes(rank, 3).share(12)] for rank in range(3)]
    assert np.concatenate(shares).tolist() == batch.tolist()
    with pytest.raises(UserError, match="batch_size = 12 is not divisible among 5 processes"):
        Processes(0, 5).share(12)


def test_without_torchrun_a_process_is_alone():
    with processes(torch.device("cpu")) as group:
        assert (group.first, group.size, group.mean(2.0), group.agreed({"a": 1})) == (True, 1, 2.0, {"a": 1})
    assert ALONE.share(4) == slice(0, 4)


def prepared(folder: Path, **training: object) -> Path:
    """A configuration beside its data."""
    config = written(folder, settings(**training))
    store(config)
    return config


def model(config: Path, group: str) -> Path:
    return config.parent / "results" / "small" / group / "unet"


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "group"), [(EMULATOR, "emulators"), (DIFFUSION, "diffusion")])
def test_two_processes_have_the_losses_of_one_at_the_same_batch(tmp_path, stage, group):
    histories, weights = [], []
    for count in (1, 2):
        config = prepared(tmp_path / str(count))
        done = run(config, *stage, processes=count)
        assert done.returncode == 0, done.stderr
        histories.append(pd.read_csv(model(config, group) / "history.csv"))
        weights.append(load_file(model(config, group) / "last.safetensors"))
        assert f"{count} process(es)" in (model(config, group) / "README.md").read_text()
        assert done.stderr.count("12/12") == 1, "the first process alone shows progress"
    np.testing.assert_allclose(histories[1].to_numpy(), histories[0].to_numpy(), rtol=1e-5)
    for name, expected in weights[0].items():
        # Adam turns the rounding of a gradient near zero into a step of the size of the learning rate
        torch.testing.assert_close(weights[1][name], expected, rtol=1e-3, atol=1e-3)


def kill_family(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to a process and its children, if they are still there."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for each in psutil.Process(process.pid).children(recursive=True):
            each.kill()
    process.kill()
    process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
def test_a_training_killed_again_and_again_ends_with_the_same_bits(tmp_path, count):
    long = {"updates": 60, "validate_every": 20, "checkpoint_every": 3}
    straight, killed = (prepared(tmp_path / name, **long) for name in ("straight", "killed"))
    assert run(straight, *EMULATOR, processes=count).returncode == 0
    partial, seen = model(killed, "emulators").with_name("unet.partial"), set()
    for kills in range(3):
        start = command(killed, *EMULATOR, processes=count)
        process = subprocess.Popen(start, cwd=killed.parent, env=environment(), stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            found = {path.name for path in partial.glob("*.pt")}
            if len(found - seen) >= kills + 1:
                break
            time.sleep(0.01)
        seen |= {path.name for path in partial.glob("*.pt")}
        kill_family(process)
    assert seen, "no training was killed after a checkpoint"
    assert run(killed, *EMULATOR, processes=count).returncode == 0
    for name in ("model.safetensors", "last.safetensors", "history.csv", "model.json"):
        assert (model(killed, "emulators") / name).read_bytes() == (model(straight, "emulators") / name).read_bytes()
    assert not partial.exists()


@pytest.mark.slow
def test_a_batch_that_cannot_be_shared_is_refused_once(tmp_path):
    config = prepared(tmp_path / "odd", batch_size=9)
    done = run(config, *EMULATOR, processes=2)
    assert done.returncode != 0
    assert done.stderr.count("Error: batch_size = 9 is not divisible among 2 processes") == 1
    assert [path.name for path in model(config, "emulators").parent.iterdir()] == [".unet.lock"]
