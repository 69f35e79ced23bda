"""The workflow through a real Slurm on this machine: which device a job is given, kills, retries, and the results.

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
PROFILE = ROOT / "profiles" / "slurm"
TARGET = "results/tiny/tables/summary.csv"
# A cluster without accounting knows its jobs through squeue alone, and on one machine there is nothing to wait for.
HERE = ("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2")
SOON = ("--seconds-between-status-checks", "2", "--latency-wait", "5")


def submit(folder: Path, *arguments: str, log: Path, path: str | None = None) -> subprocess.Popen[bytes]:
    """Snakemake, submitting jobs from a folder."""
    folder.mkdir(exist_ok=True)
    start = (sys.executable, "-m", "snakemake", *arguments, "--directory", str(folder))
    variables = {**environment(), **({"PATH": path} if path else {})}
    with log.open("wb") as stream:
        return subprocess.Popen([*start, *HERE, *SOON], stdout=stream, stderr=stream, env=variables, cwd=folder)


def submitted(rule: str) -> list[dict[str, str]]:
    """What Slurm knows of the jobs of a rule, in the order in which they were submitted."""
    lines = output("scontrol", "show", "job", "--details", "--oneliner").splitlines()
    jobs = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]
    return [job for job in jobs if job.get("Comment", "").split("_wildcards_")[0] == f"rule_{rule}"]


def test_jobs_are_given_devices_of_their_own(cluster, tmp_path):
    """A workstation's GPUs are in sight too: a job would take one of them if Slurm had not said which it has."""
    path = Machine(tmp_path / "machine", "GPU-a", "GPU-b").environment["PATH"]
    snakefile, log = Path(__file__).with_name("devices.smk"), tmp_path / "log"
    arguments = ("--snakefile", str(snakefile), "--workflow-profile", str(PROFILE))
    assert submit(tmp_path, *arguments, log=log, path=path).wait() == 0, log.read_text()
    seen = {file.stem: file.read_text().strip() for file in tmp_path.glob("*.devices")}
    assert {seen.pop("one"), seen.pop("two")} == {"0", "1"}
    assert seen == {"none": "None", "both": "0,1"}


def written(folder: Path) -> Path:
    """The tiny experiment with a single seed, and a training that is long enough to be killed."""
    config = yaml.safe_load(TINY.read_text()) | {"seeds": [0]}
    config["emulators"]["small"]["training"] |= {"updates": 600, "checkpoint_every": 10, "validate_every": 200}
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def asking_for_gpus(folder: Path) -> Path:
    """The profile, whose jobs with networks ask for a GPU although this machine has none that a network could use."""
    profile = yaml.safe_load((PROFILE / "profile.yaml").read_text())
    for resources in profile["set-resources"].values():
        resources["gpu"] = 1
    folder.mkdir()
    (folder / "profile.yaml").write_text(yaml.safe_dump(profile))
    return folder


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


def progress(process: subprocess.Popen[bytes], partial: Path, seen: set[str], log: Path) -> set[str]:
    """Waits until a job has written several checkpoints that are not among those `seen`; their names."""
    found: set[str] = set()
    while len(found - seen) < 4:
        assert process.poll() is None, log.read_text()[-6000:]
        found |= {path.name for path in partial.glob("*.pt")}
        time.sleep(0.01)
    return found


def test_the_experiment_ends_as_on_a_workstation_however_often_its_training_is_killed(cluster, tmp_path):
    config, here, there, log = written(tmp_path), tmp_path / "here", tmp_path / "there", tmp_path / "log"
    snakemake(here, TARGET, config=config)
    workflow = ("--snakefile", str(ROOT / "Snakefile"), "--configfile", str(config))
    profile = asking_for_gpus(tmp_path / "profile")
    process = submit(there, TARGET, *workflow, "--workflow-profile", str(profile), log=log)
    seen: set[str] = set()
    for stop in (cancel, kill):
        seen |= progress(process, there / "results" / "tiny" / "emulators" / "small.partial", seen, log)
        stop(cluster, there)
    assert process.wait() == 0, log.read_text()[-6000:]
    assert [job["JobState"] for job in submitted("train_emulator")] == ["CANCELLED", "FAILED", "COMPLETED"]
    attempt = (there / "logs" / "tiny" / "emulators" / "small.log").read_text()
    assert "600/600" in attempt
    assert " 0/600" not in attempt, "the last attempt began anew"
    expected, found = (fingerprints(folder / "results" / "tiny") for folder in (here, there))
    assert found == expected
    granted = {rule: submitted(rule)[-1] for rule in ("train_emulator", "rollout", "simulate", "diagnose")}
    assert {(rule, job["JOB_GRES"], job["Partition"], job["Account"]) for rule, job in granted.items()} == {
        ("train_emulator", "gpu:a100:1", "gpu", "my-project"),
        ("rollout", "gpu:a100:1", "gpu", "my-project"),
        ("simulate", "(null)", "compute", "my-project"),
        ("diagnose", "(null)", "compute", "my-project"),
    }
