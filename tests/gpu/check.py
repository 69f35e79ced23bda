"""Compares this machine's GPU with its CPU and times the published sizes: `make gpu-check`.

It runs with the Python and the PyTorch that are there, in eight minutes, and prints one table. Nothing is installed
unless it is asked for; what a library is missing for is not run, and said so.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import warnings
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpu.report import Row
    from gpu.running import Part

__all__ = ["OLDEST_TORCH", "install_command", "main", "missing", "parts"]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OLDEST_PYTHON, OLDEST_TORCH = (3, 11), (2, 11)
MINUTES = 8.0
MODULES = {
    "netcdf4": "netCDF4",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "universal-pathlib": "upath",
}
"""Of packages whose module has another name."""


def main(arguments: list[str] | None = None) -> int:
    """0 where all that ran is right, on a GPU or on a CPU if asked for; 1 where something is wrong; 2 without a GPU."""
    options = _options(arguments)
    if sys.version_info < OLDEST_PYTHON:
        return _refuse(f"thermalize needs Python 3.11 or later, and this is {sys.version.split()[0]}; name another: "
                       "make gpu-check PYTHON=python3.12")  # fmt: skip
    if options.install:
        options.packages.append(options.out / "packages")
        _install(options.out / "packages")
    sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != HERE]  # whose names are not for all
    sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests"), *(str(folder.resolve()) for folder in options.packages)]
    if fault := _fault(options.device):
        return _refuse(fault)
    return _check(options)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gpu-check", description=__doc__.split("\n")[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu only tries the check itself")
    parser.add_argument("--size", choices=("published", "tiny"), default="published", help="of what is trained and run")
    parser.add_argument("--parts", default="", help="names of the parts to run, with commas between; all when left out")
    parser.add_argument(
        "--minutes", type=float, default=MINUTES, help="for everything; parts may take more in proportion"
    )
    parser.add_argument(
        "--out", type=Path, default=os.environ.get("OUT"), help="folder for the table as Markdown and JSON"
    )
    parser.add_argument(
        "--packages", type=Path, action="append", default=[], help="folder with libraries that are missing"
    )
    parser.add_argument("--install", action="store_true", help="fetch missing libraries with pip into OUT/packages")
    options = parser.parse_args(arguments)
    options.parts = [name for name in options.parts.split(",") if name]
    options.out = Path(options.out or tempfile.mkdtemp(prefix="gpu-check-"))
    return options


def _refuse(sentence: str) -> int:
    print(f"gpu-check: {sentence}", file=sys.stderr)
    return 2


def _fault(device: str) -> str:
    """Why nothing can be checked here."""
    for name in ("torch", "numpy"):
        if find_spec(name) is None:
            return f"{sys.executable} has no {name}; name a Python that has: make gpu-check PYTHON=…"
    import torch

    version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    if version < OLDEST_TORCH:
        return f"torch {torch.__version__} is older than 2.11, the oldest that is looked at"
    if device == "cuda" and not torch.cuda.is_available():
        return (f"torch {torch.__version__} sees no CUDA GPU here; --device cpu --size tiny tries the check itself "
                "without one")  # fmt: skip
    return ""


def missing() -> dict[str, str]:
    """The libraries of the package that this Python lacks: module, and what pip calls it with its version."""
    import tomllib

    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    names = {line.split(">")[0].strip(): line for line in wanted}
    modules = {MODULES.get(name.lower(), name.replace("-", "_")): line for name, line in names.items()}
    return {module: line for module, line in modules.items() if find_spec(module) is None}


def install_command(folder: Path, wanted: list[str]) -> list[str]:
    """Into a folder of its own: the Python of the machine, its torch above all, stays as it is."""
    return [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), *wanted]


def _install(folder: Path) -> None:
    wanted = [line for module, line in missing().items() if module != "torch"]
    if wanted and subprocess.run(install_command(folder, wanted), check=False).returncode:
        print(f"gpu-check: pip could not install {', '.join(wanted)}", file=sys.stderr)


def parts() -> list[Part]:
    """The parts with the seconds that each may take; the longest comes last and has what the others leave."""
    from gpu.running import Part

    return [
        Part("machine", "machine", 10),
        Part("training", "training", 75, least=20),
        Part("step", "stepping", 50, least=15),
        Part("networks", "networks", 40, least=10),
        Part("solver", "solvers", 40, least=10),
        Part("rollouts", "sampling", 55, least=20),
        Part("resume", "resuming", 50, least=15),
        Part("memory", "limits", 30, least=10),
        Part("leases", "leases", 60, least=15),
        Part("experiment", "experiment", 300, least=60),
    ]


def _check(options: argparse.Namespace) -> int:
    lacking, packages = tuple(missing()), tuple(str(folder.resolve()) for folder in options.packages)
    from gpu.standins import stand_in

    replaced = stand_in()  # before anything is imported that needs what is missing
    import torch

    from gpu.report import Row, write
    from gpu.running import Check, Clock, run
    from gpu.sizes import SIZES

    warnings.filterwarnings("ignore", message=".*deterministic.*")
    torch.use_deterministic_algorithms(True, warn_only=True)  # as every stage with networks does
    longer = options.minutes / MINUTES
    available = {part.name: replace(part, limit=longer * part.limit) for part in parts()}
    if unknown := [name for name in options.parts if name not in available]:
        return _refuse(f"there is no part {', '.join(unknown)}; there is {', '.join(available)}")
    chosen = [available[name] for name in options.parts or available]
    rows = [Row("libraries", "missing", len(lacking), reason=", ".join(lacking))]
    rows += [Row("libraries", "replaced by a stand-in", name) for name in replaced]
    with tempfile.TemporaryDirectory(prefix="gpu-check-", ignore_cleanup_errors=True) as folder:
        clock, size = Clock(60 * options.minutes), SIZES[options.size]()
        check = Check(torch.device(options.device), size, clock, Path(folder), lacking, packages)
        run(chosen, check, rows, lambda found: write(options.out, found))
    return _told(rows, options)


def _told(rows: list[Row], options: argparse.Namespace) -> int:
    """Prints the table and returns the exit status that it stands for."""
    import torch

    from gpu.report import FAILED, OK, table

    wrong, judged = (sum(row.verdict in verdicts for row in rows) for verdicts in ((FAILED,), (OK, FAILED)))
    where = torch.cuda.get_device_name() if options.device == "cuda" else "a CPU in place of a GPU"
    print(table(rows))
    print(f"\n{wrong} of {judged} verdicts FAILED on {where}, {options.size} sizes")
    print(f"As Markdown and JSON: {options.out}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
