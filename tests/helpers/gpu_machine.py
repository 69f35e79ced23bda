"""A machine with GPUs that are not there: the driver's command lists them, and processes can take them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from workflow_run import environment

from thermalize.runtime import leases

TAKE = """
import os, sys
from pathlib import Path
from thermalize.runtime import leases
if user := os.environ.get("BECOME"):
    os.setgid(int(user))
    os.setuid(int(user))
leases.FOLDER, leases.PAUSE = Path(sys.argv[1]), 0.05
leases.lease(int(sys.argv[2]))
print(os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
sys.stdin.read()
"""


class Machine:
    """GPUs by name, the folder of their locks, and the processes that were told to take some."""

    def __init__(self, folder: Path, *gpus: str, status: int = 0) -> None:
        self.locks, self.bin = folder / "locks", folder / "bin"
        self.bin.mkdir(parents=True)
        listing = self.bin / "nvidia-smi"
        listing.write_text(f"#!/bin/sh\nprintf '%s\\n' {' '.join(gpus)}\nexit {status}\n")
        listing.chmod(0o755)
        self.started: list[subprocess.Popen[str]] = []

    @property
    def environment(self) -> dict[str, str]:
        """As on a workstation: nothing says which device is meant."""
        inherited = {name: value for name, value in environment().items() if name != "CUDA_VISIBLE_DEVICES"}
        return {**inherited, "PATH": f"{self.bin}{os.pathsep}{inherited['PATH']}"}

    def stand_in(self, monkeypatch: pytest.MonkeyPatch) -> Machine:
        """This process runs on the machine."""
        monkeypatch.setenv("PATH", self.environment["PATH"])
        for variable in ("CUDA_VISIBLE_DEVICES", "TORCHELASTIC_RUN_ID"):
            monkeypatch.setenv(variable, "")  # so that it is put back even where only the test sets it
            monkeypatch.delenv(variable)
        monkeypatch.setattr(leases, "FOLDER", self.locks)
        monkeypatch.setattr(leases, "_HELD", [])
        return self

    def take(self, wanted: int, **environment: str) -> subprocess.Popen[str]:
        """A process that takes GPUs, says which, and keeps them until its input ends."""
        process = subprocess.Popen(
            [sys.executable, "-c", TAKE, str(self.locks), str(wanted)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**self.environment, **environment},
        )  # fmt: skip
        self.started.append(process)
        return process

    def kill_all(self) -> None:
        for process in self.started:
            process.kill()
            process.communicate()


def told(process: subprocess.Popen[str]) -> set[str]:
    """The devices that a process took, once it has them."""
    assert process.stdout
    return set(process.stdout.readline().strip().split(","))


def complaint(process: subprocess.Popen[str]) -> str:
    """The first line that a process writes to its standard error."""
    assert process.stderr
    return process.stderr.readline()
