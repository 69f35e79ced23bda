"""Worker processes on this machine, and what the main process must take care of while they run.

Signals, environment and imports of the main process while workers start, run and stop.

Quiet single-threaded worker processes on this machine.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import current_process, resource_tracker
from types import FrameType

import dask
from distributed import LocalCluster

from thermalize.runtime.errors import UserError

__all__ = [
    "GUARD",
    "SPAWNED",
    "THREADS",
    "environment",
    "local_cluster",
    "refuse_within_worker",
    "signals_later",
    "stopping_on_sigterm",
]

THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
# Dask has its workers return freed memory at once, and solvers, which free some in every operation, then spend most of
# their time on getting it back
SPAWNED = {**THREADS, "MALLOC_TRIM_THRESHOLD_": str(2**26), "MALLOC_MMAP_THRESHOLD_": str(2**22)}
GUARD = "a script that simulates needs `if __name__ == '__main__':` around its main part, because the workers import it"


def refuse_within_worker() -> None:
    """A script without `if __name__ == "__main__":` starts over in each worker that imports it; stop it there."""
    if getattr(current_process(), "_inheriting", False):
        raise UserError(f"This is a Dask worker; {GUARD}")


@contextmanager
def stopping_on_sigterm() -> Iterator[None]:
    """SIGTERM, by which Slurm and Snakemake end jobs, raises SystemExit here, so that workers are stopped in order."""

    def stop(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def signals_later() -> Iterator[None]:
    """Keep SIGINT and SIGTERM waiting; processes started meanwhile leave them, sent to the whole group, to this one."""
    # multiprocessing would lift the mask when it starts its tracker together with the first process
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Environment variables for processes that are started meanwhile; libraries read them when they are loaded."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def local_cluster(workers: int) -> Iterator[str]:
    """Address of a scheduler with that many worker processes, which end with the context."""
    with ExitStack() as stack:
        with signals_later():
            cluster = _start(workers)
            stack.callback(cluster.close)
            stack.push(lambda error, *_: _kill_workers(cluster) if error is not None else None)
        yield cluster.scheduler_address


def _start(workers: int) -> LocalCluster:
    try:
        with environment(THREADS), dask.config.set({"distributed.nanny.pre-spawn-environ": SPAWNED}):
            return LocalCluster(  # type: ignore[no-untyped-call]
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
                silence_logs=logging.CRITICAL,
                memory_limit=0,
                env=THREADS,
            )
    except RuntimeError as error:
        raise UserError(f"Dask's worker processes did not start; {GUARD}") from error


def _kill_workers(cluster: LocalCluster) -> None:
    """Workers in the middle of a task would be waited for; what they write counts only once it is whole."""
    for nanny in cluster.workers.values():
        nanny.auto_restart = False
        if nanny.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(nanny.pid, signal.SIGKILL)
