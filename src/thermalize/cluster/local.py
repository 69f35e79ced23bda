"""Quiet single-threaded worker processes on this machine."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import dask
from distributed import LocalCluster

from thermalize.cluster.processes import GUARD, SPAWNED, THREADS, environment, signals_later
from thermalize.errors import UserError

__all__ = ["local_cluster"]


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
