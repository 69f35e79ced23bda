"""`make gpu-check` as far as it goes without a GPU: what it compares, sees and says, with a CPU in place of the GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import psutil
import pytest
import torch
from gpu import check as command
from gpu import experiment, leases, machine, networks, report, running, sampling, solvers, stepping, training
from gpu.learning import truth_of
from gpu.report import FAILED, NOT_RUN, OK, Row
from gpu.running import CPU, Check, Clock, Part
from gpu.sizes import SIZES, Size
from workflow_run import environment

from thermalize.configfile import load_experiment
from thermalize.training.passes import Passes

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "tests" / "gpu" / "check.py"
FOREIGN = (
    "pydantic",
    "tqdm",
    "yaml",
    "xarray",
    "zarr",
    "dask",
    "distributed",
    "netCDF4",
    "typer",
    "snakemake",
    "scipy",
)
BLOCKED = """
import sys
blocked = {blocked!r}
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in blocked:
            raise ModuleNotFoundError("No module named " + name, name=name)
import importlib.util
finding = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in blocked else finding(name, package)
sys.meta_path.insert(0, Blocker())
sys.argv = [{script!r}, *sys.argv[1:]]
import runpy
sys.path[0] = {folder!r}
runpy.run_path({script!r}, run_name="__main__")
"""


class Wrong(Check):
    """The device computes something else in the fourth digit."""

    def fetch(self, x: torch.Tensor) -> torch.Tensor:
        return super().fetch(x) * (1 + 1e-3 * torch.randn(x.shape))


class Pretended(Check):
    """A CPU that is taken for a GPU."""

    @property
    def cuda(self) -> bool:
        return True


@pytest.fixture(scope="module")
def size() -> Size:
    """The tiny sizes with one flow, which is fast enough for a fast test."""
    tiny = SIZES["tiny"]()
    return replace(tiny, flows=tiny.flows[:1], updates=4)


@pytest.fixture
def check(size: Size, tmp_path: Path) -> Check:
    return Check(CPU, size, Clock(100), tmp_path)


def like(check: Check, kind: type[Check]) -> Check:
    return kind(check.device, check.size, check.clock, check.folder)


def verdicts(rows: Iterator[Row]) -> set[str]:
    """Those of what can be right or wrong."""
    return {row.verdict for row in rows} & {OK, FAILED}


def run(parts: list[Part], check: Check) -> list[Row]:
    """The rows of some parts, which are kept after each."""
    found: list[Row] = []
    kept: list[int] = []
    running.run(parts, check, found, lambda rows: kept.append(len(rows)))
    assert len(kept) == len(parts)
    assert kept[-1] == len(found)
    return found


def script(*arguments: str, blocked: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """The check from its command line, in a Python that lacks some libraries."""
    code = BLOCKED.format(blocked=set(blocked), script=str(SCRIPT), folder=str(SCRIPT.parent))
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, env=environment()
    )


def part(monkeypatch: pytest.MonkeyPatch, rows: object, **options: float) -> Part:
    """A part whose rows are these."""
    module = ModuleType("gpu.pretended")
    module.rows = rows  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gpu.pretended", module)
    return Part("pretended", "pretended", **{"limit": 10.0, **options})


# What is compared.


def test_published_sizes_are_those_of_the_configurations():
    published = SIZES["published"]()
    flow, eddy = (load_experiment(ROOT / "configs" / f"{name}.yaml") for name in ("kolmogorov", "qg-eddy"))
    assert published.emulator == flow.emulators["unet"]
    assert published.diffusion == flow.diffusion["unet"]
    assert published.members == flow.rollouts.members
    assert published.block == flow.simulation.block
    assert published.data.system.stored_grid == flow.simulation.grid
    thermalized = flow.rollouts.stabilizers["thermalized"]
    assert (thermalized.start, thermalized.stop) == (stepping.START, stepping.STOP)
    for simulation, found in ((flow.simulation, published.flows[1]), (eddy.simulation, published.flows[2])):
        assert (found.system, found.stepper, found.dt) == (simulation.system, simulation.stepper, simulation.dt)


def test_equal_solvers_and_networks_are_found_equal(check: Check):
    assert verdicts(solvers.rows(check)) == {OK}
    assert verdicts(networks.rows(check)) == {OK}


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        (solvers.rows, ("tendency, float64", "tendency, float32", "trajectory, float64", "trajectory, float32")),
        (networks.rows, ("output, float32", "gradient, float32")),
    ],
    ids=["solver", "networks"],
)
def test_a_wrong_result_is_seen(check: Check, rows: object, what: tuple[str, ...]):
    found = {row.what: row.verdict for row in rows(like(check, Wrong))}  # type: ignore[operator]
    for name in what:
        assert {verdict for text, verdict in found.items() if text.endswith(name)} == {FAILED}, name


def test_states_that_are_not_finite_are_seen(check: Check):
    class Lost(Check):
        def fetch(self, x: torch.Tensor) -> torch.Tensor:
            return super().fetch(x) * torch.nan

    found = [row for row in stepping.rows(like(check, Lost)) if row.verdict in (OK, FAILED)]
    assert {row.verdict for row in found} == {FAILED}
    assert len(found) == 4
    assert running.difference(torch.tensor([torch.nan]), torch.ones(1)) == float("inf")


def test_statistics_of_two_samples_are_told_from_those_of_another_system(check: Check):
    truth = truth_of(check, sampling.FLOW, (16, 20, 400, 4))
    states = truth.normalised().double()
    for label, found, expected in (
        ("the same", states[8:], {OK}),
        ("louder", 1.5 * states[8:], {FAILED}),
        ("rougher", states[8:] + 0.7 * torch.randn(states[8:].shape), {FAILED}),
        ("all lost", states[8:] * torch.nan, {FAILED}),
    ):
        assert expected <= verdicts(sampling._statistics("x", found, states[:8], truth)), label
    assert verdicts(sampling._statistics("x", states[8:], states[:8], truth)) == {OK}


def summary(**changes: float) -> dict[str, dict[str, str]]:
    row = {"seconds_per_step": "0.01"}
    for name in experiment.COMPARED:
        centre = changes.get(name, 1.0)
        row |= {name: str(centre), f"{name}_low": str(centre - 0.1), f"{name}_high": str(centre + 0.1)}
    return {"raw": row}


@pytest.mark.parametrize(
    ("changes", "devices", "wrong"),
    [
        ({}, {"cuda"}, set()),
        ({"log_spectral_distance": 1.15}, {"cuda"}, set()),
        ({"log_spectral_distance": 1.3}, {"cuda"}, {"raw: log spectral distance"}),
        ({"stable_fraction": float("nan")}, {"cuda"}, {"raw: stable fraction"}),
        ({}, {"cuda", "cpu"}, {"device that the results name"}),
    ],
)
def test_experiments_of_two_devices_are_compared(changes: dict[str, float], devices: set[str], wrong: set[str]):
    found = SimpleNamespace(device="cuda", devices=lambda: devices, summary=lambda: summary(**changes))
    rows = experiment._findings(found, SimpleNamespace(summary=summary))  # type: ignore[arg-type]
    assert {row.what for row in rows if row.verdict == FAILED} == wrong


def running_in(group: int, process: psutil.Process) -> bool:
    """Whether a process of that group is more than an entry that nobody has collected yet."""
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, psutil.Error):
        return False


def test_an_experiment_that_fails_or_is_stopped_leaves_nothing_running(check: Check, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(experiment, "commands", lambda *_: [["sh", "-c", "echo no such GPU >&2; exit 3"]])
    (found,) = (row for row in experiment.rows(check) if row.verdict == FAILED)
    assert found.reason == "status 3: no such GPU"
    monkeypatch.setattr(experiment, "commands", lambda *_: [["sh", "-c", "trap '' TERM; sleep 600 & sleep 600"]])
    monkeypatch.setattr(experiment, "GRACE", 0.3)
    slow = experiment._Run(replace(check, folder=check.folder / "slow"), "cpu", "stage by stage", 1)
    slow.stop()
    assert slow.process.returncode is not None
    assert not [each for each in psutil.process_iter() if running_in(slow.process.pid, each)]


@pytest.mark.slow
def test_a_training_that_learns_nothing_is_seen(check: Check):
    class Rising(Check):
        seen = 0

        def fetch(self, x: torch.Tensor) -> torch.Tensor:
            self.seen += 1
            return super().fetch(x) + self.seen

    found = {row.what: row.verdict for row in training.rows(like(check, Rising)) if row.verdict in (OK, FAILED)}
    losses = {verdict for text, verdict in found.items() if "loss of one batch" in text}
    assert losses == {FAILED}


def test_leases_are_seen_to_hold_and_not_to_hold(check: Check, monkeypatch: pytest.MonkeyPatch):
    assert verdicts(leases.rows(check)) == {OK}
    monkeypatch.setattr(leases, "PATIENCE", 1.0)
    monkeypatch.setattr(leases, "CHILD", "print('GPU-pretended', flush=True); input()")
    found = {row.what: row.verdict for row in leases.rows(replace(check))}
    assert found["a second process waits"] == FAILED
    assert found["a process that was told its device takes none"] == FAILED


# What only a GPU has.


@pytest.fixture
def pretended(check: Check, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Every call to CUDA answers; memory is short for more than two samples where it was limited."""
    short = {"share": 1.0}
    properties = SimpleNamespace(name="pretended", total_memory=10**9, major=9, minor=0)
    answers = {
        "device_count": 1, "empty_cache": None, "get_device_properties": properties, "is_bf16_supported": True,
        "max_memory_allocated": 10**8, "max_memory_reserved": 10**8, "memory_reserved": 10**5,
        "reset_peak_memory_stats": None, "set_sync_debug_mode": None, "synchronize": None,
    }  # fmt: skip
    for name, answer in answers.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, answer=answer, **__: answer)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda share, _: short.update(share=share))
    computing = Passes._accumulate

    def accumulate(passes: Passes, batch: tuple[torch.Tensor, ...]) -> float:
        most = 99 if short["share"] == 1 else 2 if short["share"] > 0.01 else 0
        if min(passes.largest or 99, len(batch[0])) > most:
            raise torch.OutOfMemoryError
        return computing(passes, batch)

    monkeypatch.setattr(Passes, "_accumulate", accumulate)
    return like(check, Pretended)


def test_the_code_for_gpus_runs(pretended: Check):
    from gpu import limits

    for module in (machine, networks, stepping, limits):
        found = list(module.rows(pretended))
        assert NOT_RUN not in {row.verdict for row in found}, module.__name__
        assert FAILED not in {row.verdict for row in found}, [row for row in found if row.verdict == FAILED]
    assert pretended.memory("most") == Row("", "most", 0.1, "GB")


def test_waits_of_the_cpu_for_the_gpu_are_counted(pretended: Check, monkeypatch: pytest.MonkeyPatch):
    import warnings

    truth = truth_of(pretended, pretended.size.data, pretended.size.windows)
    emulator, denoiser = (
        stepping.model_of(config, truth) for config in (pretended.size.emulator, pretended.size.diffusion)
    )
    emulator.register_forward_pre_hook(lambda *_: warnings.warn("called a synchronizing CUDA operation", stacklevel=1))
    raw = stepping.NoStabilizerConfig(kind="none")
    rollout = stepping.rollout_of(pretended, raw, truth, [emulator, denoiser])
    row = stepping._synchronizations(pretended, "raw", rollout, truth.normalised()[:2, 0])
    assert row.value == 1


# What is missing.


def settings() -> list[object]:
    """Of the tiny sizes, as numbers and words."""
    tiny = SIZES["tiny"]()
    models = [*tiny.networks.values(), *(flow.system for flow in tiny.flows), tiny.emulator, tiny.diffusion]
    return json.loads(json.dumps([model.model_dump() for model in models]))


DUMPED = """
import json, sys
sys.path[:0] = [{tests!r}]
from gpu.standins import stand_in
import importlib.util
importlib.util.find_spec = None
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
    done = script("--device", "cpu", "--size", "tiny", "--out", str(tmp_path), "--minutes", "15")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [Row(**row) for row in json.loads((tmp_path / "gpu-check.json").read_text())]
    for name in (part.name for part in command.parts()):
        assert {row.verdict for row in rows if row.part == name} & {OK, ""}, name
    assert not [row for row in rows if row.verdict == NOT_RUN and "CPU" not in row.reason]
    assert done.stdout.count("part         what") == 1
    assert max(map(len, done.stdout.splitlines())) <= 120


@pytest.mark.slow
def test_the_tiny_experiment_runs_stage_by_stage_without_snakemake(tmp_path: Path):
    options = ("--device", "cpu", "--size", "tiny", "--parts", "experiment", "--out", str(tmp_path), "--minutes", "15")
    done = script(*options, blocked=("snakemake",))
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [Row(**row) for row in json.loads((tmp_path / "gpu-check.json").read_text())]
    assert "stage by stage" in {row.value for row in rows}
    assert sum(row.verdict == OK for row in rows) == 9


@pytest.mark.slow
def test_a_wrong_continuation_is_seen(check: Check, monkeypatch: pytest.MonkeyPatch):
    from gpu import resuming

    assert verdicts(resuming.rows(check)) == {OK}
    torch.manual_seed(0)
    found = [row for row in resuming.rows(like(check, Wrong)) if "rollout" in row.what]
    assert verdicts(iter(found)) == {FAILED}
    monkeypatch.setattr(torch.optim.AdamW, "load_state_dict", lambda *_: None)  # momenta begin anew
    found = [row for row in resuming.rows(like(check, Check)) if "killed" in row.what]
    assert len(found) == 2
    assert verdicts(iter(found)) == {FAILED}
