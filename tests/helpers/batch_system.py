"""A batch system for tests: `sbatch`, `qsub` and `bsub` run jobs in the background here, their partners kill them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

SUBMIT = """#!/bin/bash
cd {queue}
id=$$
cat "${{1:-/dev/stdin}}" > $id.sh
setsid bash $id.sh > $id.out 2>&1 < /dev/null &
echo $! > $id.group
echo "{answer}"
"""
CANCEL = """#!/bin/bash
touch {queue}/$1.cancelled
kill -KILL -- -$(cat {queue}/$1.group)
"""
REFUSE = """#!/bin/bash
echo "sbatch: error: invalid partition specified: nowhere" >&2
exit 1
"""
COMMANDS = {
    "slurm": ("sbatch", "scancel", "Submitted batch job $id"),
    "pbs": ("qsub", "qdel", "$id.server"),
    "lsf": ("bsub", "bkill", "Job <$id> is submitted to queue <normal>."),
}


class BatchSystem:
    """The commands of one kind in a folder of their own, and the jobs that went through them."""

    def __init__(self, folder: Path, kind: str, refuse: bool = False) -> None:
        self.bin, self.queue = folder / "bin", folder / "queue"
        submit, cancel, answer = COMMANDS[kind]
        for path in (self.bin, self.queue):
            path.mkdir(parents=True)
        self._command(submit, REFUSE if refuse else SUBMIT.format(queue=self.queue, answer=answer))
        self._command(cancel, CANCEL.format(queue=self.queue))

    def _command(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(script)
        path.chmod(0o755)

    @property
    def path(self) -> str:
        """PATH with these commands first."""
        return f"{self.bin}:{os.environ['PATH']}"

    @property
    def jobs(self) -> list[str]:
        """Jobs in the order in which they were submitted."""
        return [path.stem for path in sorted(self.queue.glob("*.group"), key=lambda path: path.stat().st_mtime_ns)]

    @property
    def cancelled(self) -> set[str]:
        return {path.stem for path in self.queue.glob("*.cancelled")}

    @property
    def running(self) -> list[str]:
        return [job for job in self.jobs if alive(self._group(job))]

    def script(self, job: str) -> str:
        return (self.queue / f"{job}.sh").read_text()

    def output(self, job: str) -> str:
        return (self.queue / f"{job}.out").read_text()

    def kill(self, job: str) -> None:
        """What the end of its walltime, or of its node, is to a job."""
        os.killpg(self._group(job), signal.SIGKILL)

    def kill_all(self) -> None:
        for job in self.running:
            self.kill(job)

    def _group(self, job: str) -> int:
        return int((self.queue / f"{job}.group").read_text())


def alive(group: int) -> bool:
    """Whether a process of the group is left, other than one that nobody asked for its end."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(condition: Callable[[], object], stopped: Callable[[], object] = lambda: None) -> None:
    """Wait some minutes for a condition; `stopped` gives a reason to give up before."""
    for _ in range(30000):
        if condition():
            return
        reason = stopped()
        assert not reason, reason
        time.sleep(0.01)
    pytest.fail("waited in vain")
