"""How far tasks are reaches the process that waits for them, and a person reads it."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest
from cluster_tasks import counting
from distributed import LocalCluster
from store_data import KOLMOGOROV, experiment

from thermalize.runtime import progress
from thermalize.runtime.progress import track_blocks
from thermalize.truth.cluster import each, report, tasks
from thermalize.truth.simulate import Block, integrate
from thermalize.truth.simulated import Ensemble


def test_reports_of_this_process_arrive_at_once() -> None:
    told: list[Any] = []
    for last in each(counting, [2, 3], workers=1, told=told.append):
        assert told[-1] == [last, last]
    assert told == [[2, n] for n in range(3)] + [[3, n] for n in range(4)]


def test_nobody_needs_to_listen() -> None:
    assert list(each(counting, [2, 3], workers=1)) == [2, 3]
    report("to nobody")


@pytest.fixture
def scheduler() -> Any:
    options = {
        "n_workers": 2,
        "threads_per_worker": 1,
        "processes": False,
        "protocol": "tcp",
        "silence_logs": logging.CRITICAL,
    }
    with LocalCluster(dashboard_address="127.0.0.1:0", **options) as cluster:
        yield cluster.scheduler_address


def test_reports_of_workers_arrive_while_they_work(scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "SECONDS_BETWEEN_REPORTS", 0.0)
    told: list[Any] = []
    done = list(each(counting, [20, 30], workers=2, scheduler=scheduler, told=lambda value: told.append(list(value))))
    assert sorted(done) == [20, 30]
    for last in done:
        said = [number for task, number in told if task == last]
        assert said == list(range(len(said)))
        assert len(said) > 1


def test_workers_do_not_flood_the_scheduler(scheduler: str) -> None:
    told: list[Any] = []
    assert len(list(each(counting, [2000, 2001], workers=2, scheduler=scheduler, told=told.append))) == 2
    assert 2 <= len(told) < 200


@pytest.mark.parametrize("system", [{}, KOLMOGOROV], ids=["KS", "Kolmogorov in windows"])
def test_a_block_says_how_many_steps_it_has_done(tmp_path: Path, system: dict[str, Any]) -> None:
    config = experiment(**system)
    ensemble, told = Ensemble(config, "train"), list[tuple[int, int]]()
    block = Block(config, "train", 1, tmp_path / "train.zarr.partial", "f")
    block.log.begin(ensemble.layout)
    list(each(integrate, [block], workers=1, told=told.append))
    steps = [step for index, step in told if index == 1]
    assert len(steps) == len(told)
    assert steps == sorted(steps)
    timing = config.simulation
    assert min(step for step in steps if step) < timing.spin_up / timing.dt
    assert ensemble.steps - timing.steps_per_frame <= steps[-1] <= ensemble.steps


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_the_bar_moves_within_blocks(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "FIRST_LINE_AFTER", 0.0)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    with track_blocks(4, 100, "simulate train", done=1) as bar:
        for block, steps in ((1, 10), (2, 30), (1, 50), (2, 20), (1, 50)):
            bar.reach(block, steps)
        bar.finish(1)
        bar.reach(1, 90)
        bar.finish(3)
        bar.finish(2)
    shown = [re.findall(r"train: (\d+)/(\d+) .*blocks=(\d)/(\d)", line)[0] for line in lines(capsys)]
    assert [int(done) for done, *_ in shown] == [110, 140, 180, 230, 330, 400, 400]
    assert {(total, blocks) for _, total, _, blocks in shown} == {("400", "4")}
    assert [int(blocks) for _, _, blocks, _ in shown] == [1, 1, 1, 2, 3, 4, 4]


def test_the_rate_leaves_out_the_start_of_the_workers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, *[600.0] * 3, *[610.0] * 4])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with track_blocks(1, 100, "simulate train") as bar:
        bar.reach(0, 10)
        bar.reach(0, 20)
    monkeypatch.undo()
    assert "20/100 [00:10<00:40,  2.00step/s" in lines(capsys)[0]
