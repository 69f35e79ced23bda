"""Independent tasks on a Dask cluster: quiet single-threaded processes here, or a scheduler that already runs.

Tasks must not care where, in which order or how often they run. A worker that is killed costs the task it was on, which
Dask hands to another.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from multiprocessing import current_process, resource_tracker
from socket import create_connection
from types import FrameType
from typing import Any, TypeVar

from distributed import Client, KilledWorker, LocalCluster, as_completed
from distributed.comm.addressing import get_address_host_port
from distributed.comm.core import CommClosedError

from thermalize.errors import UserError

__all__ = ["each", "refuse_within_worker", "stopping_on_sigterm"]

Task = TypeVar("Task")

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
SECONDS_TO_CONNECT = 30
GUARD = "a script that simulates needs `if __name__ == '__main__':` around its main part, because the workers import it"


def each(function: Callable[[Task], Any], tasks: Sequence[Task], workers: int, scheduler: str | None) -> Generator[Any]:
    """Results of the tasks as they finish, in any order.

    Args:
        function: importable by the workers.
        tasks: pickled to the workers.
        workers: processes on this machine; one, or a single task, needs no cluster and runs in this process.
        scheduler: address of a running Dask scheduler, which is used instead.

    Raises:
        UserError: the scheduler does not answer or is lost, or tasks kill their workers again and again.
    """
    if not tasks or (scheduler is None and min(workers, len(tasks)) == 1):
        yield from map(function, tasks)
        return
    with _client(min(workers, len(tasks)), scheduler) as client:
        yield from _gather(client, function, tasks)


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


def _gather(client: Client, function: Callable[[Task], Any], tasks: Sequence[Task]) -> Iterator[Any]:
    futures = client.map(function, tasks, pure=False)
    try:
        for future in as_completed(futures, loop=client.loop):  # type: ignore[no-untyped-call]
            yield future.result()
    except KilledWorker as error:
        raise UserError(
            "Dask workers were killed again and again on the same block, most likely for lack of memory; "
            "lower simulation.block or simulation.shard_frames"
        ) from error
    except (CancelledError, CommClosedError) as error:
        raise UserError(
            "The Dask scheduler was lost; start it and run the same command, finished work is kept"
        ) from error


@contextmanager
def _client(workers: int, scheduler: str | None) -> Iterator[Client]:
    # Dask tells of every connection that ends, also after its own silence is over
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        if scheduler is not None:
            _knock(scheduler)
        address = scheduler if scheduler is not None else stack.enter_context(_local_cluster(workers))
        client = Client(address, timeout=SECONDS_TO_CONNECT, set_as_default=False)  # type: ignore[no-untyped-call]
        yield stack.enter_context(client)


def _knock(scheduler: str) -> None:
    """A `Client` that reaches nobody hangs for a minute when it is thrown away, so look for a listener first."""
    try:
        host, port = get_address_host_port(scheduler)
        create_connection((host, port), timeout=SECONDS_TO_CONNECT).close()
    except (OSError, ValueError) as error:
        raise UserError(
            f"No Dask scheduler answers at {scheduler} ({error}); check simulation.dask.scheduler"
        ) from error


@contextmanager
def _local_cluster(workers: int) -> Iterator[LocalCluster]:
    with ExitStack() as stack:
        with _signals_later():
            cluster = _start(workers)
            stack.callback(cluster.close)
            stack.push(lambda error, *_: _kill_workers(cluster) if error is not None else None)
        yield cluster


def _start(workers: int) -> LocalCluster:
    threads = dict.fromkeys(THREADS, "1")
    try:
        with _environment(threads):
            return LocalCluster(  # type: ignore[no-untyped-call]
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
                silence_logs=logging.CRITICAL,
                memory_limit=0,
                env=threads,
            )
    except RuntimeError as error:
        raise UserError(f"Dask's worker processes did not start; {GUARD}") from error


def _kill_workers(cluster: LocalCluster) -> None:
    """Workers in the middle of a task would be waited for; what they write counts only once it is whole."""
    for nanny in cluster.workers.values():
        nanny.auto_restart = False
        if nanny.pid is not None:
            os.kill(nanny.pid, signal.SIGKILL)


@contextmanager
def _signals_later() -> Iterator[None]:
    """Keep SIGINT and SIGTERM waiting; processes started meanwhile leave them, sent to the whole group, to this one."""
    # multiprocessing would lift the mask when it starts its tracker together with the first process
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Environment variables for processes that are started meanwhile; libraries read them when they are loaded."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)
