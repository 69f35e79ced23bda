"""`make gpu-check` as a command: libraries that are missing, time that runs out, and the table."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from gpu_checks import FOREIGN, ROOT, part, run, script, tiny_check
from workflow_run import environment

from gpu import check as command
from gpu import report, running
from gpu.report import FAILED, NOT_RUN, OK, Row
from gpu.running import Check, Clock
from gpu.sizes import SIZES


@pytest.fixture
def check(tmp_path: Path) -> Check:
    return tiny_check(tmp_path)


# What is missing.


def settings() -> list[object]:
    """Of the tiny sizes, as numbers and words."""
    tiny = SIZES["tiny"]()
    models = [*tiny.networks.values(), *(flow.system for flow in tiny.flows), tiny.emulator, tiny.diffusion]
    return json.loads(json.dumps([model.model_dump() for model in models]))


DUMPED = """
import json, sys
sys.path[:0] = [{tests!r}]
from gpu import standins
standins.find_spec = lambda name: None
assert standins.stand_in() == ["pydantic", "tqdm"]
from gpu.sizes import SIZES
tiny = SIZES["tiny"]()
models = [*tiny.networks.values(), *(flow.system for flow in tiny.flows), tiny.emulator, tiny.diffusion]
print(json.dumps([model.model_dump() for model in models]))
"""


def test_settings_without_pydantic_are_those_with_it():
    done = subprocess.run(
        [sys.executable, "-c", DUMPED.format(tests=str(ROOT / "tests"))],
        capture_output=True, text=True, check=False, env=environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == settings()


def test_a_machine_with_torch_alone_runs_what_needs_no_more(tmp_path: Path):
    options = ("--device", "cpu", "--size", "tiny", "--parts", "machine,memory,experiment", "--out", str(tmp_path))
    done = script(*options, blocked=FOREIGN)
    assert done.returncode == 0, done.stderr
    rows = [Row(**row) for row in json.loads((tmp_path / "gpu-check.json").read_text())]
    stood_in = {row.value for row in rows if row.what == "replaced by a stand-in"}
    assert stood_in == {"pydantic", "tqdm"}
    (skipped,) = (row for row in rows if row.part == "experiment" and row.verdict == NOT_RUN)
    assert "this Python lacks" in skipped.reason
    assert "zarr" in skipped.reason
    assert {row.verdict for row in rows if row.part == "memory"} >= {OK}


def test_nothing_is_installed_unless_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys):
    called: list[list[str]] = []
    monkeypatch.setattr(command, "missing", lambda: {"zarr": "zarr>=3.1", "torch": "torch>=2.13"})
    monkeypatch.setattr(command, "_check", lambda _: 0)
    monkeypatch.setattr(
        command.subprocess, "run", lambda line, **_: called.append(line) or SimpleNamespace(returncode=0)
    )
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert command.main(["--device", "cpu", "--out", str(tmp_path)]) == 0
    assert called == []
    assert command.main(["--device", "cpu", "--out", str(tmp_path), "--install"]) == 0
    (line,) = called
    assert line[1:4] == ["-m", "pip", "install"]
    assert line[-3:] == ["--target", str(tmp_path / "packages"), "zarr>=3.1"]


@pytest.mark.parametrize(
    ("version", "sentence"),
    [("2.10.1+cu128", "torch 2.10.1+cu128 is older than 2.11"), ("2.11.0a0+cu130", "sees no CUDA GPU here")],
)
def test_what_cannot_be_checked_is_one_sentence(monkeypatch, capsys, version: str, sentence: str):
    monkeypatch.setattr(torch, "__version__", version)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert command.main([]) == 2
    said = capsys.readouterr()
    assert sentence in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_an_old_python_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    assert command.main([]) == 2
    assert "needs Python 3.11 or later" in capsys.readouterr().err


# Time, faults, the table.


def test_a_part_that_would_not_end_is_not_begun(check: Check, monkeypatch: pytest.MonkeyPatch):
    begun: list[bool] = []
    late = replace(check, clock=Clock(20))
    rows = run([part(monkeypatch, lambda _: begun.append(True) or iter(()), least=30.0)], late)
    assert begun == []
    assert rows[0].verdict == NOT_RUN
    assert rows[0].reason.endswith("s are left, and it takes about 30 s")


def test_a_part_is_stopped_at_its_limit_and_keeps_what_it_found(check: Check, monkeypatch: pytest.MonkeyPatch):
    def endless(_: Check) -> Iterator[Row]:
        yield report.measured("found", 1)
        while True:
            torch.ones(10).sum()

    rows = run([part(monkeypatch, endless, limit=0.2)], check)
    assert [row.what for row in rows] == ["found", "the rest of this part", "time of this part"]
    assert rows[1].verdict == NOT_RUN


def test_a_fault_and_a_missing_library_are_rows(check: Check, monkeypatch: pytest.MonkeyPatch, capsys):
    def faulty(_: Check) -> Iterator[Row]:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
        yield

    def lacking(_: Check) -> Iterator[Row]:
        raise ModuleNotFoundError("No module named zarr", name="zarr")
        yield

    rows = [run([part(monkeypatch, rows)], check)[0] for rows in (faulty, lacking)]
    assert [row.verdict for row in rows] == [FAILED, NOT_RUN]
    assert "illegal memory access" in rows[0].reason
    assert rows[1].reason == "this Python lacks zarr"


@pytest.mark.parametrize(("right", "status"), [(True, 0), (False, 1)])
def test_the_exit_status_tells_whether_all_is_right(monkeypatch, capsys, tmp_path, right: bool, status: int):
    only = part(monkeypatch, lambda _: iter([report.judged("it", right, "it must be")]))
    monkeypatch.setattr(command, "parts", lambda: [only])
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda *_, **__: None)
    options = ["--device", "cpu", "--size", "tiny", "--out", str(tmp_path)]
    assert command.main(options) == status
    printed = capsys.readouterr().out
    assert f"{int(not right)} of 1 verdicts FAILED on a CPU in place of a GPU" in printed


def test_a_part_that_does_not_exist_is_refused(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda *_, **__: None)
    assert command.main(["--device", "cpu", "--parts", "machine,solvers", "--out", str(tmp_path)]) == 2
    assert "there is no part solvers; there is machine, training" in capsys.readouterr().err


def test_the_parts_fit_into_eight_minutes():
    parts = command.parts()
    *short, experiment = parts
    assert sum(part.limit for part in short) + experiment.least + running.SLACK < 60 * command.MINUTES
    assert len({part.name for part in parts}) == len(parts)
    assert parts[1].name == "training"


def test_the_table_is_narrow_plain_and_complete(tmp_path: Path):
    rows = [
        Row("machine", "GPU", "NVIDIA H100 80GB HBM3 with a very long name that fills the line"),
        Row("solver", "Kolmogorov 512²: ‖u − v‖ → σ of a thing with a long name, as long as two lines", 1e-9, "", OK),
        Row("solver", "x", float("inf"), "ms", FAILED, "because " * 40),
        Row("solver", "y", 12_345_678, "", NOT_RUN, "one | two"),
    ]
    text = report.table(rows)
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 120
    for word in ("NVIDIA H100 80GB HBM3", "12,345,678", "512^2" if "512^2" in text else "5122", "FAILED", "not run"):
        assert word in text
    report.write(tmp_path, rows)
    page = (tmp_path / "gpu-check.md").read_text(encoding="utf-8").splitlines()
    assert len(page) == len(rows) + 2
    assert {line.count("|") for line in page} == {6}
    assert [row["verdict"] for row in json.loads((tmp_path / "gpu-check.json").read_text())] == [
        "",
        OK,
        FAILED,
        NOT_RUN,
    ]


def test_make_uses_the_python_of_the_machine():
    run = subprocess.run(
        ["make", "--dry-run", "gpu-check", "PYTHON=python3.12", "GPU_CHECK_INSTALL=1"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "python3.12 tests/gpu/check.py --install" in run.stdout
    assert ".venv/bin/python" not in run.stdout
    assert "pip" not in run.stdout


@pytest.mark.slow
def test_everything_runs_on_a_cpu(tmp_path: Path):
    done = script("--device", "cpu", "--size", "tiny", "--out", str(tmp_path), "--minutes", "25")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [Row(**row) for row in json.loads((tmp_path / "gpu-check.json").read_text())]
    for name in (each.name for each in command.parts()):
        assert {row.verdict for row in rows if row.part == name} & {OK, ""}, name
    assert not [row for row in rows if row.verdict == NOT_RUN and "CPU" not in row.reason]
    assert done.stdout.count("part         what") == 1
    assert max(map(len, done.stdout.splitlines())) <= 120


@pytest.mark.slow
def test_the_tiny_experiment_runs_stage_by_stage_without_snakemake(tmp_path: Path):
    options = ("--device", "cpu", "--size", "tiny", "--parts", "experiment", "--out", str(tmp_path), "--minutes", "25")
    done = script(*options, blocked=("snakemake",))
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [Row(**row) for row in json.loads((tmp_path / "gpu-check.json").read_text())]
    assert "stage by stage" in {row.value for row in rows}
    assert sum(row.verdict == OK for row in rows) == 9
