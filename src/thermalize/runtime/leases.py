"""GPUs of a machine that several people and several runs share: each device serves one job at a time.

Snakemake counts GPUs and never says which one is meant, and two runs know nothing of each other. A job that was granted
GPUs without being told which therefore takes the lock file of each device that it uses and hides the others from CUDA.
The system drops the locks when the process ends, however it ends. All of this is done before PyTorch is imported.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count, islice
from pathlib import Path

from filelock import FileLock, Timeout

from thermalize.runtime.errors import UserError
from thermalize.runtime.files import explaining

__all__ = ["devices", "lease"]

VISIBLE = "CUDA_VISIBLE_DEVICES"
# Not below $TMPDIR, which is often one per user or per job: a lock that is not shared locks nothing.
FOLDER = Path("/tmp/thermalize-gpus")
PAUSE = 1.0
_HELD: list[FileLock] = []


def devices() -> list[str]:
    """Identifiers of the GPUs of this machine, as its driver tells them; none where there is no NVIDIA driver.

    CUDA numbers devices by speed and the driver by slot, and a container may number them anew, so identifiers and not
    numbers say which device is meant. CUDA itself is not asked: it looks at what is visible once, when it starts.
    """
    command = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return []
    return listed.stdout.split() if listed.returncode == 0 else []


def lease(wanted: int) -> None:
    """Takes so many GPUs for as long as this process lives, and makes them the visible ones; waits where all are taken.

    Where it was already said which devices are meant (by Slurm, the user, the parent of torchrun's processes), nothing
    is taken.

    Raises:
        UserError: the machine has GPUs, but fewer, or the lock files cannot be written.
    """
    if VISIBLE in os.environ or "TORCHELASTIC_RUN_ID" in os.environ:
        return
    present = devices()
    if not present:  # which is for `thermalize.runtime.devices` to judge
        return
    if len(present) < wanted:
        raise UserError(f"{wanted} GPUs were asked for, but this machine has {len(present)}; lower training.gpus")
    with explaining(FOLDER), _for_all_users():
        FOLDER.mkdir(mode=0o1777, exist_ok=True)
        _HELD.extend(taken := _gather(present, wanted))
    os.environ[VISIBLE] = ",".join(Path(lock.lock_file).stem for lock in taken)


@contextmanager
def _for_all_users() -> Iterator[None]:
    """Files are made writable for everybody at once: after a moment's delay somebody would have met them closed."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


def _gather(present: list[str], wanted: int) -> list[FileLock]:
    """One process gathers at a time, so that no two hold a part of what the other waits for, and none is overtaken."""
    queue, locks = _lock("queue"), [_lock(name) for name in present]
    held: list[FileLock] = []
    for attempt in count():
        if _taken(queue):
            free = (lock for lock in locks if not lock.is_locked and _taken(lock))
            held += islice(free, wanted - len(held))
        if len(held) == wanted:
            break
        if attempt == 0:
            print(f"Waiting for {wanted} of the {len(present)} GPU(s) here; other jobs use them.", file=sys.stderr)
        time.sleep(PAUSE)
    queue.release()
    return held


def _lock(name: str) -> FileLock:
    return FileLock(FOLDER / f"{name}.lock", mode=0o666)


def _taken(lock: FileLock) -> bool:
    """Whether this process has the lock, which it takes if nobody else has."""
    with suppress(Timeout):
        if not lock.is_locked:
            lock.acquire(blocking=False)
    return lock.is_locked
