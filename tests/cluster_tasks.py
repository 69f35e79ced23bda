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


def fall_once(folder: Path) -> None:
    """Killed by a signal in the first process that comes by."""
    if not (folder / "fell").exists():
        (folder / "fell").touch()
        os.kill(os.getpid(), signal.SIGKILL)


def counting(last: int) -> int:
    """Says every number on the way to the last one."""
    from thermalize.cluster import report

    for number in range(last + 1):
        report([last, number])
    return last
