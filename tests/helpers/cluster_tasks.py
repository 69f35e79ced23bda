"""Tasks for the workers of the cluster tests, which import nothing but this."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def whereabouts(seconds: float) -> tuple[int, str]:
    """The process and its number of threads, after a nap."""
    time.sleep(seconds)
    return os.getpid(), os.environ["OMP_NUM_THREADS"]


def marked(task: tuple[Path, int]) -> tuple[int, int]:
    """Leaves a file for every time it runs; its number and process."""
    folder, number = task
    (folder / f"{number}-{time.time_ns()}").touch()
    time.sleep(0.5)
    return number, os.getpid()


def fall_once(folder: Path) -> None:
    """Its process is killed, once, after a while in which its nanny learns that it has started."""
    if _first(folder):
        time.sleep(3.0)
        os.kill(os.getpid(), signal.SIGKILL)


def end_job_once(folder: Path) -> None:
    """Its whole job is killed, once, at the moment it gets a task."""
    if _first(folder):
        os.killpg(0, signal.SIGKILL)


def _first(folder: Path) -> bool:
    came = (folder / "came").exists()
    (folder / "came").touch()
    return not came


def counting(last: int) -> int:
    """Says every number on the way to the last one."""
    from thermalize.truth.cluster import report

    for number in range(last + 1):
        report([last, number])
    return last
