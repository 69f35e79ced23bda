"""Kills at any moment and bad input: the same command again ends with the same bits, and nothing existing is lost."""

from __future__ import annotations

import random
import shutil
import subprocess
import time

import pytest
from benchmarks.memory import jobs
from workflow_run import TINY, command, environment, fingerprints, kill_family, snakemake, thermalize

KILLS = 5


def kill_after(folder, seconds: float) -> bool:
    """Starts the workflow and kills it and all its children after a while; True if it was still running."""
    process = subprocess.Popen(
        command(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(), start_new_session=True
    )
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        kill_family(process.pid)
        process.wait()
        return True


@pytest.mark.slow
@pytest.mark.timeout(2400)  # the workflow some four times over
def test_sigkill_at_any_moment_then_the_same_command_gives_the_same_bits(tmp_path):
    """The run that nobody disturbs is that of a user, so that the memory of every job is what it asked for."""
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    started = time.monotonic()
    snakemake(straight, cold=True)
    duration = time.monotonic() - started
    assert [job for job in jobs(straight / "logs" / "tiny") if not job.peak <= job.asked] == []
    killed.mkdir()
    moments = random.Random(4)
    # a warm run takes a third of the time
    interrupted = sum(kill_after(killed, moments.uniform(1.0, 0.13 * duration)) for _ in range(KILLS))
    assert interrupted >= 3
    snakemake(killed)
    expected, found = (fingerprints(folder / "results" / "tiny") for folder in (straight, killed))
    assert {name for name in expected if found.get(name) != expected[name]} == set()
    assert set(found) == set(expected)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("frame_interval:", "frame_intervall:", "did you mean 'frame_interval'?"),
        ("dt: 0.25", "dt: 0.25 s", "time units"),
        ("dt: 0.25", "dt: 0.5", "try dt = 0.25"),
        ("train: {members: 4", "train: {members: 5", "not divisible by block = 2"),
        ("points: 32", "points: 33", "points"),
    ],
)
def test_bad_configuration_stops_before_anything_with_one_sentence(tmp_path, old, new, sentence):
    text = TINY.read_text()
    assert old in text
    config = tmp_path / "bad.yaml"
    config.write_text(text.replace(old, new, 1))
    kept = tmp_path / "results" / "tiny" / "precious.txt"
    kept.parent.mkdir(parents=True)
    kept.write_text("mine")
    for done in (
        snakemake(tmp_path, check=False, config=config),
        thermalize("simulate", config, "--split", "train", cwd=tmp_path),
    ):
        assert done.returncode != 0
        assert sentence in done.stderr
        assert "Traceback" not in done.stderr
    assert [p for p in (tmp_path / "results").rglob("*") if p.is_file()] == [kept]


def test_a_gpu_that_is_not_there_stops_before_anything(tmp_path):
    if shutil.which("nvidia-smi"):
        pytest.skip("this machine has a GPU, so asking for one is no error")
    done = snakemake(tmp_path, "--config", "device=cuda", check=False)
    assert done.returncode != 0
    assert "has no usable CUDA GPU; set device: auto or cpu" in done.stdout + done.stderr
    assert not list(tmp_path.glob("results/tiny/simulation/*"))


def test_unknown_names_are_refused_with_the_known_ones(tmp_path):
    done = thermalize("rollout", TINY, "--emulator", "small", "--stabilizer", "thermalised", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "Error: 'thermalised' is not under rollouts.stabilizers; there is raw, thermalized\n"
