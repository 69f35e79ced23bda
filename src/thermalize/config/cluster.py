"""Where the blocks of a simulation are computed: processes here, jobs of a batch system, or a scheduler that runs."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from thermalize.config.base import Line, Strict, quantity

__all__ = ["MOST_WORKERS", "DaskConfig", "JobQueueConfig"]

MEMORY = r"(?!0+(\.0+)? ?\D)\d{1,12}(\.\d{1,6})? ?[kMGT]i?B"
WALLTIME = r"\d{1,5}:[0-5]\d:[0-5]\d"
MOST_WORKERS = 4096


class JobQueueConfig(Strict):
    """Workers as jobs of a batch system; what is left out here may stand in Dask's own `jobqueue.yaml`."""

    kind: Literal["slurm", "pbs", "lsf"] = Field(description="the batch system")
    cores: int = quantity(
        "1", "cores of a job, each with a worker process; divides `workers`", 1, gt=0, le=MOST_WORKERS
    )
    memory: str = Field(description="memory of a job, such as 4 GB")
    walltime: str = Field(description='longest run of a job in quotes, hours:minutes:seconds, such as "02:00:00"')
    queue: Line | None = Field(None, description="queue or partition")
    account: Line | None = Field(None, description="account or project that is charged")
    interface: Line | None = Field(None, description="network over which workers are reached, such as ib0")
    directives: tuple[Line, ...] = Field(
        (), max_length=100, description="further options for the head of the job script"
    )
    prologue: tuple[Line, ...] = Field(
        (), max_length=100, description="shell commands before a worker starts, such as module load"
    )
    log_directory: Line | None = Field(None, description="folder for the output of the jobs, which all nodes see")

    @field_validator("memory", mode="before")
    @classmethod
    def _amount(cls, value: Any) -> Any:
        if not re.fullmatch(MEMORY, str(value)):
            raise ValueError(f"{value!r} is no amount of memory; write a number and its unit, such as 4 GB or 512 MiB")
        return value

    @field_validator("walltime", mode="before")
    @classmethod
    def _duration(cls, value: Any) -> Any:
        # YAML reads 12:00:00 without quotes as a number
        if not isinstance(value, str) or not re.fullmatch(WALLTIME, value):
            raise ValueError(f'{value!r} is no walltime; write hours:minutes:seconds in quotes, such as "02:00:00"')
        return value


class DaskConfig(Strict):
    workers: int = quantity(
        "1", "single-threaded worker processes, here or in the jobs of `jobqueue`", 2, gt=0, le=MOST_WORKERS
    )
    scheduler: Line | None = Field(None, description="address of a running Dask scheduler instead of processes here")
    jobqueue: JobQueueConfig | None = Field(None, description="jobs of a batch system instead of processes here")

    @property
    def elsewhere(self) -> bool:
        """Whether blocks are computed on other machines than this one."""
        return self.scheduler is not None or self.jobqueue is not None

    @model_validator(mode="after")
    def _one_place(self) -> DaskConfig:
        if self.scheduler is not None and self.jobqueue is not None:
            raise ValueError("scheduler and jobqueue are both given; keep the one that is to be used")
        if self.jobqueue is not None and self.workers % self.jobqueue.cores:
            cores = self.jobqueue.cores
            raise ValueError(
                f"workers = {self.workers} is not divisible by jobqueue.cores = {cores}; "
                f"try workers: {cores * -(-self.workers // cores)}"
            )
        return self
