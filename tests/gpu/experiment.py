"""configs/tiny.yaml end to end on the device and beside it on the CPU: through Snakemake, without it stage by stage.

The models of both learn from the same batches in another arithmetic, so the results are two samples of one experiment:
the intervals of each diagnostic must overlap.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep

from gpu.report import Row, failed, judged, measured, not_run
from gpu.running import ROOT, Check

__all__ = ["LIBRARIES", "commands", "rows"]

LIBRARIES = (
    *("dask", "distributed", "filelock", "fsspec", "jinja2", "matplotlib", "netCDF4", "pandas", "psutil", "pydantic"),
    *("rich", "safetensors", "scipy", "scoringrules", "tqdm", "typer", "upath", "xarray", "yaml", "zarr"),
)
"""What the stages import; Snakemake itself is not needed."""
COMPARED = ("stable_fraction", "log_spectral_distance", "wasserstein_field", "wasserstein_increment")
TABLE = "results/tiny/tables/summary.csv"
TRAINED_ON = re.compile(r"process\(es\), (\w+)")
TAIL = 500
GRACE = 5.0
"""Seconds for a run to end by itself when it is told to."""


def rows(check: Check) -> Iterator[Row]:
    lacking = [name for name in LIBRARIES if name in check.missing]
    if lacking:
        yield not_run("the tiny experiment", f"this Python lacks {', '.join(lacking)}")
        return
    how = "snakemake" if find_spec("snakemake") else "stage by stage"
    yield measured("the tiny experiment is run", how)
    check.forget()  # what this process keeps of the GPU's memory
    devices = list(dict.fromkeys((check.device.type, "cpu")))
    cores = max(1, len(os.sched_getaffinity(0)) // len(devices))
    runs = {device: _Run(check, device, how, cores) for device in devices}
    try:
        while any(run.process.poll() is None for run in runs.values()):
            sleep(0.2)
    finally:
        for run in runs.values():
            run.stop()
    for device, run in runs.items():
        yield measured(f"tiny experiment on {device}", run.seconds, "s")
        if run.process.returncode:
            yield failed(f"tiny experiment on {device}", f"status {run.process.returncode}: {run.tail}")
    if not any(run.process.returncode for run in runs.values()):
        yield from _findings(runs[check.device.type], runs["cpu"])


class _Run:
    """The experiment on one device, in a folder of its own, as a process group that ends with this check."""

    def __init__(self, check: Check, device: str, how: str, cores: int) -> None:
        self.folder, self.device = check.folder / f"tiny-{device}", device
        self.folder.mkdir(parents=True)
        config = _configured(self.folder, device)
        lines = [shlex.join(command) for command in commands(config, device, how, cores)]
        script = self.folder / "run.sh"
        script.write_text("set -e\n" + "\n".join(lines) + "\n")
        self.began, self.log = monotonic(), self.folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                ["sh", str(script)], cwd=self.folder, stdout=log, stderr=log, env=_environment(check, self.folder),
                start_new_session=True,
            )  # fmt: skip

    def stop(self) -> None:
        """Ends whatever of it still runs, first with time to end by itself."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._send(number):
                until = monotonic() + GRACE
                while self._send(0) and monotonic() < until:
                    self.process.poll()
                    sleep(0.1)
        self.process.wait()

    def _send(self, number: int) -> bool:
        """A signal to the whole group, if anything of it is left."""
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            return False
        return True

    @property
    def seconds(self) -> float:
        """From the start until the summary was written."""
        table = self.folder / TABLE
        written = table.stat().st_mtime if table.exists() else self.log.stat().st_mtime
        return written - (self.folder / "run.sh").stat().st_mtime

    @property
    def tail(self) -> str:
        return " ".join(self.log.read_text(errors="replace")[-TAIL:].split())

    def summary(self) -> dict[str, dict[str, str]]:
        """Rows of the summary by stabilizer."""
        with (self.folder / TABLE).open(newline="") as file:
            return {row["stabilizer"]: row for row in csv.DictReader(file)}

    def devices(self) -> set[str]:
        """On which devices networks were trained and timed, as the results say."""
        results = self.folder / "results" / "tiny"
        cost = json.loads((results / "cost" / "small.json").read_text())
        pages = [(results / kind / "small" / "README.md").read_text() for kind in ("emulators", "diffusion")]
        return {str(cost["_"]["device"]).split(":")[0], *(name for page in pages for name in TRAINED_ON.findall(page))}


def commands(config: Path, device: str, how: str, cores: int) -> list[list[str]]:
    """What makes the summary table of the tiny experiment."""
    if how == "snakemake":
        where = ["--snakefile", str(ROOT / "Snakefile"), "--configfile", str(config), "--cores", str(cores)]
        profile = ["--workflow-profile", str(ROOT / "profiles" / "default"), "--resources", "gpu=1"]
        return [[sys.executable, "-m", "snakemake", TABLE, *where, *profile]]
    granted = ["--gpus", str(int(device == "cuda"))]
    rollouts = [
        ["--emulator", "small", "--stabilizer", stabilizer, "--seed", seed]
        for stabilizer in ("raw", "thermalized")
        for seed in ("0", "1")
    ]
    stages = [
        ["device", *granted],
        *(["simulate", "--split", split, "--workers", "1", *granted] for split in ("train", "valid", "test")),
        ["reference"],
        ["train-emulator", "--emulator", "small", *granted],
        ["train-diffusion", "--diffusion", "small", *granted],
        *(["rollout", *which, *granted] for which in rollouts),
        *(["diagnose", *which] for which in rollouts),
        ["cost", "--emulator", "small", *granted],
        ["summary"],
    ]
    return [[sys.executable, "-m", "thermalize", stage, str(config), *rest] for stage, *rest in stages]


def _configured(folder: Path, device: str) -> Path:
    """The configuration with networks and solver on the device."""
    import yaml

    content = yaml.safe_load((ROOT / "configs" / "tiny.yaml").read_text(encoding="utf-8"))
    content["device"] = content["simulation"]["device"] = device
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def _environment(check: Check, folder: Path) -> dict[str, str]:
    """Rules call `python`, which must be this one whatever it is called."""
    shim = folder / "bin" / "python"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    shim.chmod(0o755)
    path = f"{shim.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return check.environment(PATH=path, OMP_NUM_THREADS="1", MPLBACKEND="Agg")


def _findings(run: _Run, reference: _Run) -> Iterator[Row]:
    yield judged("device that the results name", run.devices() == {run.device}, run.device, ", ".join(run.devices()))
    found, expected = run.summary(), reference.summary()
    for stabilizer, row in found.items():
        for name in COMPARED:
            ours, theirs = (_interval(each, name) for each in (row, expected[stabilizer]))
            overlap = ours[0] <= theirs[1] and theirs[0] <= ours[1]
            reason = f"{ours[0]:.3g} to {ours[1]:.3g}; on the CPU {theirs[0]:.3g} to {theirs[1]:.3g}: they must overlap"
            yield judged(f"{stabilizer}: {name.replace('_', ' ')}", overlap, reason, float(row[name]))
        yield measured(f"{stabilizer}: a step, {run.device}", 1e3 * float(row["seconds_per_step"]), "ms")


def _interval(row: dict[str, str], name: str) -> tuple[float, float]:
    return float(row[f"{name}_low"]), float(row[f"{name}_high"])
