"""What the tests of `make gpu-check` share: checks of a CPU in place of a GPU, and its command line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from gpu import running
from gpu.report import FAILED, OK, Row
from gpu.running import CPU, Check, Clock, Part
from gpu.sizes import SIZES
from workflow_run import environment, python

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tests" / "gpu" / "check.py"
FOREIGN = ("pydantic", "tqdm", "yaml", "xarray", "zarr", "dask", "distributed", "netCDF4", "typer", "snakemake")
"""Libraries that a machine with PyTorch and NumPy alone lacks."""

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
sys.executable = {python!r}
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


def tiny_check(folder: Path) -> Check:
    """The tiny sizes with one flow, which is fast enough for a fast test."""
    tiny = SIZES["tiny"]()
    return Check(CPU, replace(tiny, flows=tiny.flows[:1], updates=4), Clock(100), folder)


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
    """The check from its command line, in a Python that lacks some libraries; what it starts is warm."""
    code = BLOCKED.format(blocked=set(blocked), python=str(python()), script=str(SCRIPT), folder=str(SCRIPT.parent))
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, env=environment()
    )


def part(monkeypatch: pytest.MonkeyPatch, rows: object, **options: float) -> Part:
    """A part whose rows are these."""
    module = ModuleType("gpu.pretended")
    module.rows = rows  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gpu.pretended", module)
    return Part("pretended", "pretended", **{"limit": 10.0, **options})
