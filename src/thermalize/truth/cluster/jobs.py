"""Workers as jobs of a batch system: submitted, replaced when their time is over, and cancelled at the end.

Dask keeps the number of jobs (`cluster.adapt`) and is told which ones are lost (`cluster.scale_down`): those whose
workers were there and stay away, and those that are refused. The Dask scheduler runs in this process, so a job that
outlives it ends by itself.
"""

from __future__ import annotations

import asyncio
import logging
import shlex
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import dask
from distributed import SchedulerPlugin, Status
from distributed.deploy.spec import ProcessInterface

import thermalize
from thermalize.config import JobQueueConfig
from thermalize.runtime.errors import UserError
from thermalize.truth.cluster.processes import SPAWNED, THREADS, signals_later

__all__ = ["cluster_class", "job_cluster", "settings"]

SECONDS_UNTIL_LOST = 60.0  # a worker that is killed within its job is started again there, which takes a while


@contextmanager
def job_cluster(workers: int, config: JobQueueConfig) -> Iterator[str]:
    """Address of a scheduler in this process with that many workers in jobs, which are cancelled with the context.

    Raises:
        UserError: the batch system is not here, or refuses the jobs.
    """
    job = cluster_class(config).job_cls
    for command in (job.submit_command, job.cancel_command):
        if shutil.which(command) is None:
            raise UserError(
                f"{command}, which simulation.dask.jobqueue.kind: {config.kind} needs, is not on this machine; "
                "run this where jobs are submitted, or leave jobqueue out"
            )
    with ExitStack() as stack:
        # Dask would forget the job of a lost worker at once where a job has one, and never where it has several
        stack.enter_context(dask.config.set({"distributed.deploy.lost-worker-timeout": "3650 days"}))
        with signals_later():
            lost = _Lost(config.cores)
            lost.cluster = cluster = _start(config, lost)
            stack.callback(cluster.close)
            cluster.scheduler.add_plugin(lost)
            number = -(-workers // config.cores)
            cluster.adapt(minimum_jobs=number, maximum_jobs=number)
            _wait(lost, number)
        yield cluster.scheduler_address


def cluster_class(config: JobQueueConfig) -> Any:
    """The class of dask-jobqueue for a batch system, with `job_cls`, that of its jobs.

    Raises:
        UserError: it is imported first in a thread.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        # its import, which workers have no use for, would make signals end this process as if all were well
        from dask_jobqueue import LSFCluster, PBSCluster, SLURMCluster  # noqa: PLC0415
    except ValueError:
        raise UserError("Jobs of a batch system can be used in a thread only after `import dask_jobqueue`") from None
    if threading.current_thread() is threading.main_thread():
        for number, handler in before.items():
            signal.signal(number, handler)
    return {"slurm": SLURMCluster, "pbs": PBSCluster, "lsf": LSFCluster}[config.kind]


def settings(config: JobQueueConfig) -> dict[str, Any]:
    """Arguments of the cluster class; None leaves it to `jobqueue.yaml`, where sites keep their own."""
    prologue = config.prologue or dask.config.get(f"jobqueue.{config.kind}.job-script-prologue", None) or ()
    account = "project" if config.kind == "lsf" else "account"
    hours, minutes, _ = config.walltime.split(":")
    return {
        "cores": config.cores,
        "processes": config.cores,
        "memory": config.memory,
        # LSF knows no seconds
        "walltime": f"{hours}:{minutes}" if config.kind == "lsf" else config.walltime,
        "queue": config.queue,
        account: config.account,
        "interface": config.interface,
        "job_name": "thermalize",
        "job_extra_directives": list(config.directives) or None,
        "job_script_prologue": [*prologue, *_exports()],
        "log_directory": config.log_directory,
    }


def _exports() -> list[str]:
    """One thread per process, and this package, wherever it is installed."""
    source = shlex.quote(str(Path(thermalize.__file__).parents[1]))
    threads = [f"export {name}={value}" for name, value in THREADS.items()]
    spawned = f"export DASK_DISTRIBUTED__NANNY__PRE_SPAWN_ENVIRON={shlex.quote(str(SPAWNED))}"
    return [*threads, spawned, f"export PYTHONPATH={source}${{PYTHONPATH:+:$PYTHONPATH}}"]


def _start(config: JobQueueConfig, lost: _Lost) -> Any:
    kind = cluster_class(config)
    try:
        return kind(
            **settings(config),
            job_cls=_telling(kind.job_cls, lost),
            scheduler_options={"dashboard_address": ":0"},
            silence_logs=logging.CRITICAL,
        )
    except (OSError, RuntimeError) as error:
        raise UserError(f"{error}; check simulation.dask.jobqueue") from error


def _telling(job: Any, lost: _Lost) -> Any:
    """The job class that tells what became of its submission, which Dask leaves to the log, and that it is closed."""

    class Telling(job):  # type: ignore[misc]
        async def start(self) -> None:
            try:
                await super().start()
            except (OSError, RuntimeError, ValueError) as error:
                await ProcessInterface.start(self)  # type: ignore[no-untyped-call]
                lost.wait(self.name, self.name)
                lost.submitted.put(error)
            else:
                lost.submitted.put(self.job_id)

        async def close(self) -> None:
            await super().close()
            await ProcessInterface.close(self)  # type: ignore[no-untyped-call]

    return Telling


def _wait(lost: _Lost, jobs: int) -> None:
    """Return once so many jobs are submitted; a refused one is a `UserError`."""
    names = []
    for _ in range(jobs):
        found = lost.submitted.get()
        if isinstance(found, Exception):
            reason = [line for line in str(found).splitlines() if line.strip()][-1].strip()
            raise UserError(f"The batch system refused a job: {reason}; check simulation.dask.jobqueue") from found
        names.append(found)
    print(f"Submitted jobs {', '.join(names)}; blocks are computed as soon as they begin.", file=sys.stderr, flush=True)


class _Lost(SchedulerPlugin):
    """Gives up a job once its workers were there and are all gone: at the end of its walltime, or with its node.

    Args:
        cores: worker processes of a job.
    """

    cluster: Any = None

    def __init__(self, cores: int) -> None:
        self.cores = cores
        self.submitted: SimpleQueue[str | Exception] = SimpleQueue()
        """Numbers of jobs, or why they were refused."""
        self._names: dict[str, str] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def add_worker(self, scheduler: Any, worker: str) -> None:
        self._names[worker] = name = str(scheduler.workers[worker].name)
        if timer := self._timers.pop(self._job(name), None):
            timer.cancel()

    def remove_worker(self, scheduler: Any, worker: str, **_: Any) -> None:  # noqa: ARG002
        name = self._names.pop(worker)
        if self._job(name) not in map(self._job, self._names.values()):
            self.wait(self._job(name), name)

    def wait(self, job: str, name: str) -> None:
        """Give the job of the worker `name` up, unless one of its workers comes back in time."""
        loop = asyncio.get_running_loop()
        self._timers[job] = loop.call_later(SECONDS_UNTIL_LOST, self._give_up, job, name)

    def _job(self, name: str) -> str:
        """Where a job has several workers, Dask numbers them at the end of their names."""
        return name if self.cores == 1 else name.rpartition("-")[0]

    def _give_up(self, job: str, name: str) -> None:
        del self._timers[job]
        if self.cluster.status == Status.running:
            self._last = asyncio.ensure_future(self.cluster.scale_down([name]))
