"""Workers as jobs of a batch system: submitted, replaced when their time is over, and cancelled at the end.

The Dask scheduler runs in this process, so a job that outlives it ends by itself.
"""

from __future__ import annotations

import asyncio
import logging
import shlex
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import dask
from distributed import SchedulerPlugin
from distributed.deploy.spec import ProcessInterface

import thermalize
from thermalize.config import JobQueueConfig
from thermalize.runtime.errors import UserError
from thermalize.truth.cluster.processes import SPAWNED, THREADS, signals_later

__all__ = ["cluster_class", "job_cluster", "settings"]

SECONDS_BETWEEN_LOOKS = 5.0
LOOKS_UNTIL_LOST = 12  # a worker that is killed within its job is started again there, which takes a while


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
        # Dask would forget lost jobs, but not submit others; `_keep` does both
        stack.enter_context(dask.config.set({"distributed.deploy.lost-worker-timeout": "3650 days"}))
        with signals_later():
            cluster = _start(config)
            stack.callback(cluster.close)
            _submit(cluster, -(-workers // config.cores))
        begun = _Begun(cluster)
        cluster.scheduler.add_plugin(begun)
        keeping = asyncio.run_coroutine_threadsafe(_keep(cluster, begun), cluster.loop.asyncio_loop)
        stack.callback(keeping.cancel)
        yield cluster.scheduler_address


def cluster_class(config: JobQueueConfig) -> Any:
    """The class of dask-jobqueue for a batch system, with `job_cls`, that of its jobs.

    Its import, which workers have no use for, would make SIGINT and SIGTERM end this process as if all were well.
    """
    taken, signal.signal = signal.signal, lambda *_: None
    try:
        from dask_jobqueue import LSFCluster, PBSCluster, SLURMCluster  # noqa: PLC0415
    finally:
        signal.signal = taken
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


def _start(config: JobQueueConfig) -> Any:
    kind = cluster_class(config)
    try:
        return kind(
            **settings(config),
            job_cls=_closing(kind.job_cls),
            scheduler_options={"dashboard_address": ":0"},
            silence_logs=logging.CRITICAL,
        )
    except (OSError, RuntimeError) as error:
        raise UserError(f"{error}; check simulation.dask.jobqueue") from error


def _closing(job: Any) -> Any:
    """The job class with a state that follows when it is closed, which the cluster asks for."""

    class Closing(job):  # type: ignore[misc]
        async def close(self) -> None:
            await super().close()
            await ProcessInterface.close(self)  # type: ignore[no-untyped-call]

    return Closing


def _submit(cluster: Any, jobs: int) -> None:
    for _ in range(jobs):
        cluster.worker_spec.update(cluster.new_worker_spec())
    try:
        # not `scale`, which leaves it to the log that a job was refused
        cluster.sync(cluster._correct_state)
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"The batch system refused a job: {_reason(error)}; check simulation.dask.jobqueue") from error
    names = ", ".join(str(job.job_id) for job in cluster.workers.values())
    print(f"Submitted jobs {names}; blocks are computed as soon as they begin.", file=sys.stderr, flush=True)


def _reason(error: Exception) -> str:
    return [line for line in str(error).splitlines() if line.strip()][-1].strip()


class _Begun(SchedulerPlugin):
    """Numbers of the jobs of which a worker was there, however shortly; a look from time to time would miss some."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster
        self.jobs: set[str | None] = {None}  # a job without a number was refused when it was to replace another

    def add_worker(self, scheduler: Any, worker: str) -> None:
        self.jobs |= {self.cluster.workers[name].job_id for name in _here(self.cluster, {scheduler.workers[worker]})}


async def _keep(cluster: Any, begun: _Begun) -> None:
    """Submit a job again once its workers were there and are gone: at the end of its walltime, or with its node."""
    looks: Counter[str] = Counter()
    while True:
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
        here = _here(cluster, cluster.scheduler.workers.values())
        gone = {name for name, job in cluster.workers.items() if job.job_id in begun.jobs} - here
        looks = Counter({name: looks[name] + 1 for name in gone})
        for name in [name for name, count in looks.items() if count >= LOOKS_UNTIL_LOST]:
            await cluster.workers.pop(name).close()
        with suppress(OSError, RuntimeError, ValueError):
            await cluster._correct_state()


def _here(cluster: Any, workers: Iterable[Any]) -> set[str]:
    """Names of the jobs to which these workers of the scheduler belong."""
    connected = {str(worker.name) for worker in workers}
    return {name for name in cluster.workers if connected & _worker_names(name, cluster.worker_spec[name])}


def _worker_names(job: str, spec: dict[str, Any]) -> set[str]:
    return {f"{job}{suffix}" for suffix in spec.get("group", [""])}
