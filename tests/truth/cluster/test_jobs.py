"""Workers as jobs: what the configuration may say, what the job scripts say, and what happens to jobs that end."""

from __future__ import annotations

import ast
import logging
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import dask
import pytest
import yaml
from batch_system import BatchSystem, wait_for
from cluster_tasks import end_job_once, fall_once, marked, whereabouts
from distributed import LocalCluster
from pydantic import ValidationError
from store_data import KOLMOGOROV, experiment, settings, windowed

import thermalize
from thermalize.config import DaskConfig, JobQueueConfig
from thermalize.config.load import parse_experiment
from thermalize.runtime.errors import UserError
from thermalize.truth.cluster import each, jobs
from thermalize.truth.cluster.processes import THREADS

PLAIN: dict[str, Any] = {"kind": "slurm", "memory": "4 GB", "walltime": "02:00:00"}


def config(**changes: Any) -> JobQueueConfig:
    return JobQueueConfig.model_validate({**PLAIN, **changes})


def refusal(**dask: Any) -> str:
    with pytest.raises(UserError) as caught:
        parse_experiment(settings(dask=dask), "my.yaml")
    return str(caught.value)


@pytest.mark.parametrize("memory", ["4 GB", "4GB", "1.5 TB", "512 MiB", "2000000 kB"])
@pytest.mark.parametrize("walltime", ["02:00:00", "0:30:00", "168:00:00"])
def test_amounts_that_are_understood(memory: str, walltime: str) -> None:
    assert config(memory=memory, walltime=walltime).memory == memory


@pytest.mark.parametrize("memory", ["4", 4, "4 gigabytes", "GB", "4 G", "-4 GB", ""])
def test_an_amount_of_memory_has_a_unit(memory: Any) -> None:
    reason = f"{memory!r} is no amount of memory; write a number and its unit, such as 4 GB or 512 MiB"
    assert refusal(jobqueue={**PLAIN, "memory": memory}).endswith(f"simulation.dask.jobqueue.memory: {reason}")


@pytest.mark.parametrize("walltime", ["2 h", "02:00", 43200, "1-00:00:00", "02:60:00", "02:00:00 "])
def test_a_walltime_is_hours_minutes_and_seconds(walltime: Any) -> None:
    reason = f'{walltime!r} is no walltime; write hours:minutes:seconds in quotes, such as "02:00:00"'
    assert refusal(jobqueue={**PLAIN, "walltime": walltime}).endswith(f"simulation.dask.jobqueue.walltime: {reason}")


@pytest.mark.parametrize(
    ("dask", "sentence"),
    [
        (
            {"scheduler": "tcp://a:1", "jobqueue": PLAIN},
            "simulation.dask.scheduler and jobqueue are both given; keep the one that is to be used",
        ),
        (
            {"workers": 6, "jobqueue": {**PLAIN, "cores": 4}},
            "simulation.dask.workers = 6 is not divisible by jobqueue.cores = 4; try workers: 8",
        ),
        (
            {"jobqueue": {**PLAIN, "kind": "slrum"}},
            "simulation.dask.jobqueue.kind: 'slrum' is unknown; did you mean 'slurm'? Known: slurm, pbs, lsf",
        ),
        (
            {"jobqueue": {**PLAIN, "partition": "long"}},
            "simulation.dask.jobqueue.partition: this key is unknown; known: " + ", ".join(JobQueueConfig.model_fields),
        ),
        (
            {"jobqueue": {"kind": "slurm", "memory": "4 GB"}},
            "simulation.dask.jobqueue.walltime: this key is missing",
        ),
        (
            {"jobqueue": {**PLAIN, "prologue": "module load python"}},
            "simulation.dask.jobqueue.prologue: 'module load python' is not a list; write ['module load python']",
        ),
    ],
)
def test_what_cannot_be_is_one_sentence(dask: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(**dask)


@pytest.mark.parametrize("where", [{"scheduler": "tcp://a:1"}, {"jobqueue": PLAIN}])
def test_the_device_of_other_machines_is_not_looked_up_here(where: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="device = auto looks at this machine, but dask computes on others"):
        experiment(dask=where, device="auto")
    assert experiment(dask=where, device="cuda").simulation.dask.elsewhere
    assert not experiment(device="auto").simulation.dask.elsewhere


@pytest.mark.parametrize("number", range(3))
def test_the_examples_of_the_documentation_are_valid(number: int) -> None:
    page = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")
    examples = re.findall(r"```yaml\n(simulation:\n.*?)```", page, re.DOTALL)
    assert len(examples) == 3
    section = yaml.safe_load(examples[number])["simulation"]
    dask = experiment(**{**KOLMOGOROV, "block": 8, "splits": windowed(8, 3, 1), **section}).simulation.dask
    assert dask.elsewhere == ("dask" in section)


def script(**changes: Any) -> list[str]:
    chosen = config(**changes)
    job = jobs.cluster_class(chosen).job_cls("tcp://head:1", name="worker", **jobs.settings(chosen))
    return job.job_script().splitlines()


FULL = {
    "cores": 4,
    "memory": "8 GiB",
    "walltime": "12:30:00",
    "queue": "long",
    "account": "climate",
    "interface": "lo",
    "prologue": ["module load python", "cd $SCRATCH"],
}
DIRECTIVES = {
    "slurm": {
        "#SBATCH -J thermalize",
        "#SBATCH -n 1",
        "#SBATCH --cpus-per-task=4",
        "#SBATCH --mem=8G",
        "#SBATCH -t 12:30:00",
        "#SBATCH -p long",
        "#SBATCH -A climate",
        "#SBATCH --exclusive",
    },
    "pbs": {
        "#PBS -N thermalize",
        "#PBS -l select=1:ncpus=4:mem=8192MB",
        "#PBS -l walltime=12:30:00",
        "#PBS -q long",
        "#PBS -A climate",
        "#PBS --exclusive",
    },
    "lsf": {
        "#BSUB -J thermalize",
        "#BSUB -n 4",
        '#BSUB -R "span[hosts=1]"',
        "#BSUB -M 8589935",
        "#BSUB -W 12:30",
        "#BSUB -q long",
        '#BSUB -P "climate"',
        "#BSUB --exclusive",
    },
}


@pytest.mark.parametrize("kind", DIRECTIVES)
def test_the_job_script_asks_for_what_is_configured(kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LSF_ENVDIR", str(tmp_path))
    lines = script(kind=kind, directives=["--exclusive"], **FULL)
    assert {line for line in lines if line.startswith("#") and not line.startswith("#!")} == DIRECTIVES[kind]
    worker = lines[-1].split()
    options = dict(pairwise(worker))
    assert (options["--nworkers"], options["--nthreads"], options["--interface"]) == ("4", "1", "lo")
    assert options["--memory-limit"] == "2.00GiB"


@pytest.mark.parametrize("kind", DIRECTIVES)
def test_what_is_left_out_is_not_asked_for(kind: str) -> None:
    found = [line for line in script(kind=kind) if line.startswith("#") and not line.startswith("#!")]
    assert len(found) == {"slurm": 5, "pbs": 3, "lsf": 4}[kind]


def test_workers_have_one_thread_and_find_this_package() -> None:
    lines = script(prologue=["module load python", "export OMP_NUM_THREADS=8"])
    start = lines.index("module load python")
    source = Path(thermalize.__file__).parents[1]
    exports = [line.removeprefix("export ").partition("=") for line in lines[start + 2 : -1]]
    values = {name: value for name, _, value in exports}
    assert {values[name] for name in THREADS} == {"1"}
    assert values["PYTHONPATH"] == f"{source}${{PYTHONPATH:+:$PYTHONPATH}}"
    # what Dask's own processes export to those they start
    spawned = ast.literal_eval(shlex.split(values["DASK_DISTRIBUTED__NANNY__PRE_SPAWN_ENVIRON"])[0])
    assert set(THREADS.items()) <= set(spawned.items())


def test_what_is_left_out_may_stand_in_the_file_of_the_site() -> None:
    jobs.cluster_class(config())
    site = {
        "queue": "everyone",
        "account": "site",
        "job-extra-directives": ["--reservation=ours"],
        "job-script-prologue": ["module load site"],
    }
    with dask.config.set({f"jobqueue.slurm.{key}": value for key, value in site.items()}):
        plain = script()
        chosen = script(queue="long", directives=["--exclusive"], prologue=["module load python"])
    assert {"#SBATCH -p everyone", "#SBATCH -A site", "#SBATCH --reservation=ours", "module load site"} <= set(plain)
    assert {"#SBATCH -p long", "#SBATCH -A site", "#SBATCH --exclusive", "module load python"} <= set(chosen)
    assert not {"#SBATCH --reservation=ours", "module load site"} & set(chosen)


def test_a_missing_batch_system_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        UserError, match=r"^sbatch, which simulation\.dask\.jobqueue\.kind: slurm needs, is not on this"
    ):
        next(each(abs, [-1, -2], 2, jobqueue=config()))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "The batch system refused a job: sbatch: error: invalid partition specified: nowhere; check simulation"),
        ({"interface": "ib7"}, "'ib7' is not a valid network interface.*; check simulation.dask.jobqueue"),
    ],
)
def test_a_refused_job_is_one_sentence(
    changes: dict[str, Any], sentence: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", BatchSystem(tmp_path, "slurm", refuse=True).path)
    with pytest.raises(UserError, match=sentence) as caught:
        next(each(abs, [-1, -2], 2, jobqueue=config(**changes)))
    assert "\n" not in str(caught.value)


def test_workers_without_the_package_are_told_so() -> None:
    options = {"n_workers": 1, "processes": False, "protocol": "tcp", "silence_logs": logging.CRITICAL}
    with (
        LocalCluster(dashboard_address="127.0.0.1:0", **options) as cluster,
        pytest.raises(UserError, match=r"A Dask worker cannot import nowhere\.tasks \(No module named 'nowhere'\)"),
    ):
        next(each(elsewhere, [1, 2], 2, scheduler=cluster.scheduler_address))


def test_the_library_leaves_signals_alone() -> None:
    """Its import would make them end the process with status 0."""
    code = (
        "import signal, threading\n"
        "from thermalize.truth.cluster import jobs\n"
        "from thermalize.config import JobQueueConfig\n"
        "from thermalize.runtime.errors import UserError\n"
        f"config = JobQueueConfig(**{PLAIN})\n"
        "numbers = (signal.SIGINT, signal.SIGTERM)\n"
        "before = [signal.signal, *map(signal.getsignal, numbers)]\n"
        "found = []\n"
        "for _ in range(2):\n"
        "    def attempt():\n"
        "        try:\n"
        "            found.append(jobs.cluster_class(config).__name__)\n"
        "        except UserError as error:\n"
        "            found.append(str(error))\n"
        "    thread = threading.Thread(target=attempt)\n"
        "    thread.start()\n"
        "    thread.join()\n"
        "    jobs.cluster_class(config)\n"
        "assert found[0] == 'Jobs of a batch system can be used in a thread only after `import dask_jobqueue`'\n"
        "assert found[1] == 'SLURMCluster'\n"
        "assert jobs.cluster_class(config).job_cls.submit_command == 'sbatch'\n"
        "assert before == [signal.signal, *map(signal.getsignal, numbers)]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def elsewhere(_: int) -> None:
    """A function of a module that workers do not have."""


elsewhere.__module__ = "nowhere.tasks"


@pytest.fixture
def batch(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchSystem]:
    system = BatchSystem(tmp_path / "batch", getattr(request, "param", "slurm"))
    monkeypatch.setenv("PATH", system.path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "helpers"))
    yield system
    system.kill_all()


@pytest.mark.slow
@pytest.mark.parametrize("batch", ["slurm", "pbs", "lsf"], indirect=True)
def test_tasks_are_computed_in_jobs_that_are_cancelled_at_the_end(
    batch: BatchSystem, request: pytest.FixtureRequest
) -> None:
    kind = request.node.callspec.params["batch"]
    found = list(each(whereabouts, [0.3] * 4, 2, jobqueue=config(kind=kind)))
    assert len(found) == 4
    assert os.getpid() not in {process for process, _ in found}
    assert {threads for _, threads in found} == {"1"}
    assert len(batch.jobs) == 2
    assert batch.cancelled == set(batch.jobs)
    wait_for(lambda: not batch.running)


@pytest.mark.slow
def test_the_cores_of_a_job_are_processes(batch: BatchSystem) -> None:
    found = list(each(whereabouts, [0.5] * 6, 2, jobqueue=config(cores=2)))
    assert len(batch.jobs) == 1
    assert len({process for process, _ in found}) == 2
    assert batch.cancelled == set(batch.jobs)


@pytest.mark.slow
@pytest.mark.parametrize("cores", [1, 2])
def test_jobs_that_end_are_submitted_again(batch: BatchSystem, cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "SECONDS_UNTIL_LOST", 1.5)
    results = each(whereabouts, [0.5] * 8, 2, jobqueue=config(cores=cores))
    found = [next(results)]
    before = batch.jobs
    batch.kill_all()
    found += list(results)
    assert len(found) == 8
    assert len(before) == 2 // cores
    # not all of them where the first ones that are back finish the rest
    assert len(before) < len(batch.jobs) <= 2 * len(before)
    assert batch.cancelled == set(batch.jobs)


@pytest.mark.slow
def test_a_worker_that_is_killed_within_a_job_is_replaced_there(batch: BatchSystem, tmp_path: Path) -> None:
    assert len(list(each(fall_once, [tmp_path] * 3, 1, jobqueue=config()))) == 3
    assert len(batch.jobs) == 1


@pytest.mark.slow
def test_a_job_that_is_gone_as_soon_as_it_is_there_is_submitted_again(
    batch: BatchSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "SECONDS_UNTIL_LOST", 4.0)
    assert len(list(each(end_job_once, [tmp_path] * 3, 1, jobqueue=config()))) == 3
    assert len(batch.jobs) == 2


@pytest.mark.slow
def test_an_error_here_cancels_the_jobs(batch: BatchSystem) -> None:
    results = each(whereabouts, [0.1] + [30.0] * 3, 2, jobqueue=config())
    next(results)
    with pytest.raises(GeneratorExit):
        results.throw(GeneratorExit)
    assert batch.cancelled == set(batch.jobs)
    wait_for(lambda: not batch.running)


@pytest.mark.slow
def test_a_result_that_is_here_is_not_made_again_when_its_worker_is_lost(tmp_path: Path) -> None:
    results = each(marked, [(tmp_path, number) for number in range(10)], 2)
    first = dict(next(results) for _ in range(6))
    os.kill(first[0], signal.SIGKILL)
    assert set(first) | set(dict(results)) == set(range(10))
    times = {number: len(list(tmp_path.glob(f"{number}-*"))) for number in first}
    assert times == dict.fromkeys(first, 1)


def test_where_blocks_are_computed_has_one_place() -> None:
    assert not DaskConfig(workers=4).elsewhere
    assert DaskConfig(workers=4, jobqueue=config(cores=2)).elsewhere
    assert DaskConfig(scheduler="tcp://a:1").elsewhere
