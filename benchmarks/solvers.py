"""Our spectral solvers against exponax, jax-cfd and pyqg-jax on one thread, at equal error.

    python -m benchmarks.solvers [--output numbers.json] [--cases kolmogorov-64 …] [--rounds 7] [--no-steps] [--quick]

Prints the tables and writes them into docs/performance.md; the raw numbers go to a JSON file. Given the file of an
earlier run, it measures the named cases anew and keeps the rest. Needs the packages of requirements-peers.lock.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.machine import one_thread
from benchmarks.report import page, tables

__all__ = ["main"]

ROOT = Path(__file__).resolve().parents[1]


def main(arguments: list[str] | None = None) -> int:
    """Measures in a process of its own, whose libraries see one thread from the start."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "solvers.json", help="raw numbers")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "performance.md", help="page to write into")
    options, rest = parser.parse_known_args(arguments)
    command = [sys.executable, "-m", "benchmarks.compare", "--output", str(options.output), *rest]
    status = subprocess.run(command, cwd=ROOT, env=one_thread(), check=False).returncode
    if status == 0:
        generated = tables(json.loads(options.output.read_text(encoding="utf-8")))
        print(generated)
        options.page.write_text(page(options.page.read_text(encoding="utf-8"), generated), encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())
