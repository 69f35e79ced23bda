"""The workflow through a real Slurm on this machine: results, kills, retries, and which device a job is given.

The GPUs of the cluster are device nodes that Slurm hands out like real ones; the networks compute on the CPU. So this
shows what is submitted, granted, killed and continued, and nothing about CUDA.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml
from gpu_machine import Machine
from slurm_machine import Cluster, output
from workflow_run import ROOT, TINY, environment, fingerprints, snakemake

pytestmark = pytest.mark.slurm
# A cluster without accounting knows its jobs through squeue alone, and on one machine there is nothing to wait for.
HERE = ("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2")
SOON = ("--seconds-between-status-checks", "2", "--latency-wait", "5")
NETWORKS = ("train_emulator", "train_diffusion", "sample", "rollout", "cost")


def submitting(folder: Path, *arguments: str, snakefile: Path = ROOT / "Snakefile") -> list[str]:
    profile = ("--workflow-profile", str(ROOT / "profiles" / "slurm"))
    start = (sys.executable, "-m", "snakemake", *arguments)
    return [*start, "--snakefile", str(snakefile), "--directory", str(folder), *profile, *HERE, *SOON]


def submit(folder: Path, *arguments: str, path: str | None = None, **options: Path) -> str:
    variables = {**environment(), **({"PATH": path} if path else {})}
    command = submitting(folder, *arguments, **options)
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables, cwd=folder)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return done.stdout + done.stderr


def written(folder: Path, **training: int) -> Path:
    """The tiny experiment with a single seed, and trainings of another length."""
    config = yaml.safe_load(TINY.read_text()) | {"seeds": [0]}
    for section in ("emulators", "diffusion"):
        config[section]["small"]["training"] |= training
    folder.mkdir()
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def submitted(rule: str) -> list[dict[str, str]]:
    """What Slurm knows of the jobs of a rule, in the order in which they were submitted."""
    lines = output("scontrol", "show", "job", "--details", "--oneliner").splitlines()
    jobs = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]
    return [job for job in jobs if job.get("Comment", "").split("_wildcards_")[0] == f"rule_{rule}"]


def test_jobs_are_given_devices_of_their_own(cluster, tmp_path):
    """A workstation's GPUs are in sight too: a job would take one of them if Slurm had not said which it has."""
    workstation = Machine(tmp_path / "machine", "GPU-a", "GPU-b")
    path, snakefile = workstation.environment["PATH"], Path(__file__).with_name("devices.smk")
    submit(tmp_path, path=path, snakefile=snakefile)
    seen = {file.stem: file.read_text().strip() for file in tmp_path.glob("*.devices")}
    assert {seen.pop("one"), seen.pop("two")} == {"0", "1"}
    assert seen == {"none": "None", "both": "0,1"}


def test_the_experiment_ends_as_on_a_workstation(cluster, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    target = "results/tiny/tables/summary.csv"
    config = written(here)
    snakemake(here, target, config=config)
    there.mkdir()
    gpus = [f"{rule}:gpu=1" for rule in NETWORKS]
    submit(there, target, "--configfile", str(config), "--set-resources", *gpus)
    expected, found = (fingerprints(folder / "results" / "tiny") for folder in (here, there))
    assert found == expected
    granted = {rule: submitted(rule)[-1]["JOB_GRES"] for rule in ("train_emulator", "rollout", "simulate", "diagnose")}
    assert granted == {"train_emulator": "gpu:1", "rollout": "gpu:1", "simulate": "(null)", "diagnose": "(null)"}
    assert {submitted(rule)[-1]["Partition"] for rule in ("train_emulator", "rollout")} == {"gpu"}
    assert {submitted(rule)[-1]["Partition"] for rule in ("simulate", "diagnose")} == {"compute"}
    assert {submitted(rule)[-1]["Account"] for rule in ("train_emulator", "diagnose")} == {"my-project"}


def cancel(cluster: Cluster, _: Path) -> None:
    (number,) = (job for comment, job in cluster.running().items() if comment.startswith("rule_train_emulator"))
    subprocess.run(["scancel", number], check=True)


def kill(_: Cluster, folder: Path) -> None:
    """What a lack of memory is to a job: its process is gone at once."""
    found = [each for each in psutil.process_iter(["cmdline", "cwd"]) if each.info["cwd"] == str(folder)]
    trainings = [each for each in found if "train-emulator" in (each.info["cmdline"] or ())]
    assert trainings
    for process in trainings:
        process.kill()


def test_a_killed_training_is_submitted_again_and_ends_with_the_same_bits(cluster, tmp_path):
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    target = "results/tiny/emulators/small/model.safetensors"
    config = written(straight, updates=1500, checkpoint_every=10, validate_every=500)
    snakemake(straight, target, config=config)
    killed.mkdir()
    command = submitting(killed, target, "--configfile", str(config))
    partial, seen = killed / "results" / "tiny" / "emulators" / "small.partial", set[str]()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment(), cwd=killed)
    for stop in (cancel, kill):
        seen |= progress(process, partial, seen, tmp_path / "log")
        stop(cluster, killed)
    assert process.wait() == 0, (tmp_path / "log").read_text()[-6000:]
    states = [job["JobState"] for job in submitted("train_emulator")[-3:]]
    assert states == ["CANCELLED", "FAILED", "COMPLETED"]
    expected, found = (fingerprints(folder / "results" / "tiny" / "emulators") for folder in (straight, killed))
    assert found == expected
    stage = (killed / "logs" / "tiny" / "emulators" / "small.log").read_text()
    assert "1500/1500" in stage
    assert " 0/1500" not in stage, "the last attempt began anew"


def progress(process: subprocess.Popen[bytes], partial: Path, seen: set[str], log: Path) -> set[str]:
    """Waits until a job has written several checkpoints that are not among those `seen`; all of their names."""
    found: set[str] = set()
    while len(found - seen) < 4:
        assert process.poll() is None, log.read_text()[-6000:]
        found |= {path.name for path in partial.glob("*.pt")}
        time.sleep(0.01)
    return found
