"""Simulation through Dask and through the command: kills, signals, two jobs at once, and never a bit of difference."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from socket import socket
from typing import Any

import pytest
from batch_system import BatchSystem, alive, wait_for
from distributed import LocalCluster
from store_data import KOLMOGOROV, QG, experiment, settings, tree, windowed
from workflow_run import python

from thermalize.runtime.errors import UserError
from thermalize.store.manifest import open_store, verify
from thermalize.systems import Diverged
from thermalize.truth.cluster import each, jobs
from thermalize.truth.simulate import simulate

pytestmark = pytest.mark.slow

# so long that a kill meets blocks that are finished, in work and not yet begun
LONG = {
    "block": 2,
    "shard_frames": 100,
    "splits": {s: {"members": 12, "frames": 750} for s in ("train", "valid", "test")},
}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The files of an undisturbed simulation by one process."""
    folder = tmp_path_factory.mktemp("expected")
    simulate(experiment(**LONG), "train", folder / "train.manifest.json", workers=1)
    return tree(folder)


@pytest.fixture
def heeding() -> Iterator[None]:
    """What is started heeds Ctrl-C, also where this runs in the background of a shell, which lets it be ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Command:
    """`thermalize simulate`, in a process group of its own."""

    def __init__(self, folder: Path, workers: int, **simulation: Any) -> None:
        self.folder, self.workers = folder, workers
        self.store = folder / "results" / "small" / "simulation"
        self.config = folder / "config.yaml"
        self.config.write_text(json.dumps(settings(**LONG, **simulation)))

    def start(self, executable: str | Path = sys.executable) -> subprocess.Popen[str]:
        arguments = ["simulate", str(self.config), "--split", "train", "--workers", str(self.workers)]
        return subprocess.Popen(
            [executable, "-m", "thermalize", *arguments, "--results", str(self.folder / "results")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self) -> str:
        """To the end; what it printed."""
        process = self.start(python())
        output, _ = process.communicate()
        assert process.returncode == 0, output
        return output

    def blocks(self) -> int:
        return len(list(self.store.glob("train.zarr.partial.blocks/block-*.json")))


@pytest.fixture
def command(tmp_path: Path) -> Callable[[int], Command]:
    return lambda workers: Command(tmp_path, workers)


def ended(process: subprocess.Popen[str]) -> Callable[[], str | None]:
    """A reason not to wait for the process any longer."""
    return lambda: None if process.poll() is None else f"ended: {process.communicate()[0]}"


def test_two_processes_give_the_bits_of_one(tmp_path: Path, expected: dict[str, str]) -> None:
    before = dict(os.environ)
    simulate(experiment(**LONG), "train", tmp_path / "train.manifest.json", workers=2)
    assert tree(tmp_path) == expected
    assert dict(os.environ) == before
    assert multiprocessing.active_children() == []


def test_a_running_scheduler_is_used_and_left_alone(tmp_path: Path, expected: dict[str, str]) -> None:
    with LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL
    ) as cluster:
        for name in ("a", "b"):
            config = experiment(**LONG, dask={"scheduler": cluster.scheduler_address})
            simulate(config, "train", tmp_path / name / "train.manifest.json")
            assert tree(tmp_path / name) == expected


@pytest.fixture
def machines() -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Address of a scheduler, and two workers under addresses of their own that nobody would start again."""
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    dask, port = [sys.executable, "-m", "dask"], free_port()
    address = f"tcp://127.0.0.1:{port}"
    at = ["--host", "127.0.0.1", "--port", str(port), "--dashboard-address", "127.0.0.1:0"]
    scheduler = subprocess.Popen([*dask, "scheduler", *at], **quiet)
    options = ["--no-nanny", "--nthreads", "1", "--no-dashboard", "--death-timeout", "60"]
    hosts = ["127.0.0.2", "127.0.0.3"] if sys.platform == "linux" else ["127.0.0.1"] * 2
    workers = [subprocess.Popen([*dask, "worker", address, "--host", host, *options], **quiet) for host in hosts]
    wait_for(lambda: answers(port), lambda: scheduler.poll() is not None)
    yield address, workers
    for process in (*workers, scheduler):
        process.kill()
        process.wait()


def free_port() -> int:
    with socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def answers(port: int) -> bool:
    with socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def test_a_cluster_of_several_machines_loses_one_of_them(
    tmp_path: Path,
    machines: tuple[str, list[subprocess.Popen[bytes]]],
    expected: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    address, workers = machines
    folder = tmp_path / "store"

    def lose_one() -> None:
        wait_for((folder / "train.zarr.partial.blocks" / "block-0001.json").exists)
        workers[0].kill()

    thread = threading.Thread(target=lose_one)
    thread.start()
    simulate(experiment(**LONG, dask={"scheduler": address}), "train", folder / "train.manifest.json")
    thread.join()
    assert workers[0].wait() == -signal.SIGKILL
    assert workers[1].poll() is None
    assert tree(folder) == expected
    assert re.search(r"^Dask dashboard: http://127\.0\.0\.1:\d+/status$", capsys.readouterr().err, re.MULTILINE)


@pytest.fixture
def batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchSystem]:
    system = BatchSystem(tmp_path / "batch", "slurm")
    monkeypatch.setenv("PATH", system.path)
    yield system
    system.kill_all()


JOBS = {"workers": 2, "jobqueue": {"kind": "slurm", "memory": "4 GB", "walltime": "01:00:00"}}


def test_jobs_give_the_bits_of_one_process_and_a_killed_one_costs_its_block(
    tmp_path: Path, batch: BatchSystem, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "SECONDS_UNTIL_LOST", 1.5)
    store = tmp_path / "store"

    def kill_one() -> None:
        wait_for((store / "train.zarr.partial.blocks" / "block-0001.json").exists)
        batch.kill(batch.jobs[0])

    thread = threading.Thread(target=kill_one)
    thread.start()
    simulate(experiment(**LONG, dask=JOBS), "train", store / "train.manifest.json")
    thread.join()
    assert tree(store) == expected
    assert set(batch.jobs) <= batch.cancelled
    wait_for(lambda: not batch.running)


def test_sigterm_cancels_the_jobs(tmp_path: Path, batch: BatchSystem, expected: dict[str, str]) -> None:
    job = Command(tmp_path, 1, dask=JOBS)
    process = job.start()
    wait_for(lambda: job.blocks() >= 1, ended(process))
    process.terminate()
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, output
    submitted = re.match(r"Submitted jobs ([\d, ]+); ", output)
    assert submitted
    assert set(submitted[1].split(", ")) == set(batch.jobs)
    assert "Traceback" not in output
    assert batch.cancelled == set(batch.jobs)
    wait_for(lambda: not batch.running)
    Command(tmp_path, 1).run()
    assert tree(job.store) == expected


@pytest.mark.parametrize("system", [KOLMOGOROV, QG], ids=["Kolmogorov", "QG"])
def test_planes_and_windows_do_not_depend_on_who_computes(tmp_path: Path, system: dict[str, Any]) -> None:
    config = experiment(**{**system, "splits": windowed(8, 4, 100), "shard_frames": 100})
    simulate(config, "train", tmp_path / "one" / "train.manifest.json", workers=1)
    killing = threading.Thread(target=kill_a_worker, args=(tmp_path / "two" / "train.zarr.partial.blocks",))
    killing.start()
    simulate(config, "train", tmp_path / "two" / "train.manifest.json", workers=2)
    killing.join()
    assert tree(tmp_path / "two") == tree(tmp_path / "one")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nobody"])
def test_a_scheduler_that_does_not_answer_is_named(tmp_path: Path, address: str) -> None:
    with pytest.raises(UserError, match=rf"No Dask scheduler answers at {address} .*simulation\.dask\.scheduler"):
        simulate(experiment(dask={"scheduler": address}), "train", tmp_path / "train.manifest.json")


SCHEDULER = """
from distributed import LocalCluster

if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster:
        print(cluster.scheduler_address, flush=True)
        input()
"""


def test_a_lost_scheduler_is_one_sentence_and_no_lost_work(tmp_path: Path, expected: dict[str, str]) -> None:
    script, folder = tmp_path / "scheduler.py", tmp_path / "store"
    script.write_text(SCHEDULER)
    scheduler = subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert scheduler.stdout is not None
    address = scheduler.stdout.readline().strip()

    def kill() -> None:
        wait_for((folder / "train.zarr.partial.blocks" / "block-0000.json").exists)
        scheduler.kill()

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(UserError, match="The Dask scheduler was lost; start it and run the same command"):
        simulate(experiment(**LONG, dask={"scheduler": address}), "train", folder / "train.manifest.json")
    thread.join()
    scheduler.communicate()
    simulate(experiment(**LONG), "train", folder / "train.manifest.json", workers=1)
    assert tree(folder) == expected


def kill_a_worker(folder: Path) -> None:
    """Kill one of the processes once the log in the folder knows of a block."""
    wait_for(lambda: list(folder.glob("block-*.json")))
    multiprocessing.active_children()[0].kill()


def test_a_killed_worker_costs_its_block_only(tmp_path: Path, expected: dict[str, str]) -> None:
    thread = threading.Thread(target=kill_a_worker, args=(tmp_path / "train.zarr.partial.blocks",))
    thread.start()
    simulate(experiment(**LONG), "train", tmp_path / "train.manifest.json", workers=2)
    thread.join()
    assert tree(tmp_path) == expected


def diverge(step: int) -> None:
    raise Diverged(step, 0.5, "try dt = 0.1")


def fall(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_errors_come_back_from_the_workers() -> None:
    with pytest.raises(Diverged, match=r"no longer finite at step 3 .*try dt = 0\.1"):
        list(each(diverge, [3, 3], workers=2, scheduler=None))


def test_workers_that_are_killed_again_and_again_are_explained() -> None:
    with pytest.raises(UserError, match=r"killed again and again .*lower simulation\.block"):
        list(each(fall, [0, 1], workers=2, scheduler=None))


@pytest.mark.parametrize("workers", [1, 2])
def test_sigkill_at_any_moment_and_the_same_command_again(
    command: Callable[[int], Command], expected: dict[str, str], workers: int
) -> None:
    job, moments, kills = command(workers), random.Random(workers), 0
    for _ in range(4):
        process = job.start()
        wait_for((job.store / "train.zarr.partial").exists, ended(process))
        time.sleep(moments.uniform(0.0, 1.5))
        kills += process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        manifest = job.store / "train.manifest.json"
        if manifest.exists():
            verify(manifest)
            break
        with pytest.raises(UserError):
            open_store(manifest)
    assert kills > 0
    job.run()
    assert tree(job.store) == expected


@pytest.mark.usefixtures("heeding")
@pytest.mark.parametrize(
    ("number", "send", "blocks"),
    [(signal.SIGTERM, os.kill, 1), (signal.SIGINT, os.killpg, 1), (signal.SIGINT, os.killpg, 0)],
    ids=["Snakemake", "Ctrl-C", "Ctrl-C while workers start"],
)
def test_signals_end_the_command_in_order(
    command: Callable[[int], Command],
    expected: dict[str, str],
    number: signal.Signals,
    send: Callable[[int, int], None],
    blocks: int,
) -> None:
    job = command(2)
    process = job.start()
    wait_for(lambda: (job.store / "train.zarr.partial.blocks").exists() and job.blocks() >= blocks, ended(process))
    time.sleep(0.5)
    send(process.pid, number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number, output
    assert "Traceback" not in output
    assert "distributed" not in output
    wait_for(lambda: not alive(process.pid))
    assert not (job.store / "train.manifest.json").exists()
    command(1).run()
    assert tree(job.store) == expected


def test_two_identical_jobs_at_once(command: Callable[[int], Command], expected: dict[str, str]) -> None:
    job = command(1)
    processes = [job.start() for _ in range(2)]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert sum("Another job is writing" in output for output in outputs) == 1
    assert sum("blocks=6/6" in output for output in outputs) == 1
    assert tree(job.store) == expected


def test_the_command_says_only_how_far_it_is(command: Callable[[int], Command]) -> None:
    lines = command(2).run().splitlines()
    assert lines
    assert all(line.startswith("simulate train:") for line in lines), lines


def test_a_script_without_a_guard_is_told_what_it_needs(tmp_path: Path) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[1] / 'helpers')!r})\n"
        "from store_data import experiment\n"
        "from thermalize.truth.simulate import simulate\n"
        f"simulate(experiment(), 'train', Path({str(tmp_path)!r}) / 'train.manifest.json', workers=2)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert "UserError: Dask's worker processes did not start; a script that simulates needs" in done.stderr
