"""Tasks on the workers of a Dask cluster, what they say while they run, and their results as they come.

What a task says while it runs: `report(value)` within it reaches the process that asked for it, wherever it runs.

On a worker the values travel as events of a Dask topic, at most one a second; a worker that is killed may repeat some.

Tasks handed to the workers of a Dask cluster, and their results as they come.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib import import_module
from socket import create_connection
from typing import Any, Generic, TypeVar
from uuid import uuid4

from distributed import Client, KilledWorker, as_completed, get_worker
from distributed.comm.addressing import get_address_host_port
from distributed.comm.core import CommClosedError

from thermalize.config import JobQueueConfig
from thermalize.runtime.errors import UserError
from thermalize.truth.cluster.jobs import job_cluster
from thermalize.truth.cluster.processes import local_cluster

__all__ = ["Reporting", "each", "report", "telling"]

Task = TypeVar("Task")
Tell = Callable[[Any], None]

SECONDS_BETWEEN_REPORTS = 1.0
_tell: ContextVar[Tell | None] = ContextVar("tell", default=None)


def report(value: Any) -> None:
    """Say something from within a task: numbers, text, lists and dictionaries of them; no one may be listening."""
    tell = _tell.get()
    if tell is not None:
        tell(value)


@contextmanager
def telling(tell: Tell | None) -> Iterator[None]:
    """Hand what is reported meanwhile to `tell`."""
    token = _tell.set(tell)
    try:
        yield
    finally:
        _tell.reset(token)


@dataclass(frozen=True)
class Reporting(Generic[Task]):
    """The function of a task whose reports become events of a topic; made here, called on a worker."""

    function: Callable[[Task], Any]
    topic: str

    def __call__(self, task: Task) -> Any:
        with telling(_sparsely(lambda value: get_worker().log_event(self.topic, value))):
            return self.function(task)


def _sparsely(tell: Tell) -> Tell:
    next_time = 0.0

    def tell_sometimes(value: Any) -> None:
        nonlocal next_time
        if time.monotonic() >= next_time:
            next_time = time.monotonic() + SECONDS_BETWEEN_REPORTS
            tell(value)

    return tell_sometimes


SECONDS_TO_CONNECT = 30


def each(
    function: Callable[[Task], Any],
    tasks: Sequence[Task],
    workers: int,
    scheduler: str | None = None,
    jobqueue: JobQueueConfig | None = None,
    told: Callable[[Any], None] | None = None,
) -> Generator[Any]:
    """Results of the tasks as they finish, in any order.

    Args:
        function: importable by the workers.
        tasks: pickled to the workers.
        workers: processes on this machine, or in jobs of the batch system; one process here, or a single task here,
            needs no cluster and runs in this process.
        scheduler: address of a running Dask scheduler, which is used instead.
        jobqueue: batch system whose jobs are to be the workers.
        told: called with what the tasks `report`, in whatever thread that arrives.

    Raises:
        UserError: the scheduler does not answer or is lost, jobs are refused, workers lack the function, or tasks kill
            their workers again and again.
    """
    if not tasks:
        return
    if scheduler is None and jobqueue is None and min(workers, len(tasks)) == 1:
        yield from _in_this_process(function, tasks, told)
        return
    with _client(min(workers, len(tasks)), scheduler, jobqueue) as client:
        if scheduler is not None or jobqueue is not None:
            print(f"Dask dashboard: {client.dashboard_link}", file=sys.stderr, flush=True)
            _check_workers(client, function.__module__)
        yield from _gather(client, _listening(client, function, told), tasks)


def _in_this_process(
    function: Callable[[Task], Any], tasks: Sequence[Task], told: Callable[[Any], None] | None
) -> Iterator[Any]:
    for task in tasks:
        with telling(told):
            result = function(task)
        yield result


def _listening(
    client: Client, function: Callable[[Task], Any], told: Callable[[Any], None] | None
) -> Callable[[Task], Any]:
    if told is None:
        return function
    topic = f"thermalize-{uuid4()}"
    client.subscribe_topic(topic, lambda event: told(event[1]))  # type: ignore[no-untyped-call]
    return Reporting(function, topic)


def _check_workers(client: Client, module: str) -> None:
    """A worker that cannot load a task ends without a word to us, and so does the next one that gets it."""
    error = client.submit(import_module, module, pure=False).exception()  # type: ignore[no-untyped-call]
    if error is not None:
        raise UserError(
            f"A Dask worker cannot import {module} ({error}); it needs this package and what it depends on, as here"
        )


def _gather(client: Client, function: Callable[[Task], Any], tasks: Sequence[Task]) -> Iterator[Any]:
    """Each result is let go once it is here; Dask would make it anew when the worker that still has it is lost."""
    futures = as_completed(client.map(function, tasks, pure=False), loop=client.loop)  # type: ignore[no-untyped-call]
    try:
        for future in futures:
            result = future.result()
            future.release()
            yield result
    except KilledWorker as error:
        raise UserError(
            "Dask workers were killed again and again on the same block, most likely for lack of memory or, as jobs, "
            "of time; lower simulation.block or simulation.shard_frames, or give the jobs more"
        ) from error
    except (CancelledError, CommClosedError) as error:
        raise UserError(
            "The Dask scheduler was lost; start it and run the same command, finished work is kept"
        ) from error


@contextmanager
def _client(workers: int, scheduler: str | None, jobqueue: JobQueueConfig | None) -> Iterator[Client]:
    # Dask tells of every connection that ends, also after its own silence is over
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        if scheduler is not None:
            address = _knock(scheduler)
        elif jobqueue is not None:
            address = stack.enter_context(job_cluster(workers, jobqueue))
        else:
            address = stack.enter_context(local_cluster(workers))
        client = Client(address, timeout=SECONDS_TO_CONNECT, set_as_default=False)  # type: ignore[no-untyped-call]
        yield stack.enter_context(client)


def _knock(scheduler: str) -> str:
    """The address; a `Client` that reaches nobody hangs for a minute when it is thrown away, so look first."""
    try:
        host, port = get_address_host_port(scheduler)
        create_connection((host, port), timeout=SECONDS_TO_CONNECT).close()
    except (OSError, ValueError) as error:
        raise UserError(
            f"No Dask scheduler answers at {scheduler} ({error}); check simulation.dask.scheduler"
        ) from error
    return scheduler
