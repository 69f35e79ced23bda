"""The page of verified values: what the solvers were checked against, and what they gave.

python docs/verification.py                    runs the checks and writes docs/verification.md
python docs/verification.py --records FILE     writes the page from records of an earlier run

The records are those of tests/helpers/verification.py, one check per line. Of repeated checks (random examples) the
worst is shown. Numbers are rounded to what their tolerance or standard error resolves, residuals to a power of ten
above them, so that another machine gives the same page up to the statistics of chaotic runs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from math import ceil, floor, log10
from pathlib import Path
from typing import Any

__all__ = ["main", "page"]

HERE = Path(__file__).parent
PLUGIN = 'pytest_plugins = ["verification"]'
SECTIONS = {
    "ks": "Kuramoto–Sivashinsky",
    "kolmogorov": "Kolmogorov flow",
    "qg": "Two-layer quasi-geostrophy",
    "plane": "Truncation to the stored grid",
    "steppers": "Time steppers",
    "peers": "Against other codes",
}
NOT_RUN = {
    "ks": [
        (
            "L = 32π, N = 64: error at T = 30, 0.4",
            "the configuration refuses this grid: it resolves wavenumbers up to 1.3 and the dissipation needs 2",
        )
    ],
    "kolmogorov": [
        (
            "rms ω truncated to 64² of runs on 512² with ν = 1e−4",
            "half an hour of one core for a few members; 192² with ν = 2e−4 stands for it above",
        ),
        (
            "errors of Crank–Nicolson Runge–Kutta on a decaying mode",
            "the scheme is not ours; exponential schemes solve this problem exactly",
        ),
    ],
    "qg": [
        (
            "rms q of 256² runs truncated to 64²: 8.63e−6, 1.17e−6 s⁻¹ (eddy), 7.64e−6, 3.01e−7 s⁻¹ (jet)",
            "ten minutes (eddy) and an hour (jet) of one core for one member; runs on 64² are checked above",
        )
    ],
    "peers": [
        (
            "pyqg 0.7.2 itself",
            "it needs an environment of its own (numpy < 2); its values are references above, and pyqg-jax equals it",
        ),
        (
            "trajectories of jax-cfd",
            "its scheme is another; its refined trajectory is a reference above",
        ),
    ],
}
INTRODUCTION = """# Verification

What the solvers of `thermalize.systems` were checked against, and what they gave, on one CPU thread in double precision
unless said otherwise. Every row is an assertion of a test: `make test` runs them, those marked * with `make test-slow`,
those against other codes with `make test-peers`. The page is made from a run of them by `make verification`; it is not
edited.

A residual is shown as a power of ten above the largest one found. ± behind a measured value is its standard error over
members. *Independent code* is a second implementation, written apart from this one for the purpose.
"""


def page(records: Iterable[dict[str, Any]]) -> str:
    """The page from the records of a run, in the order of the tests."""
    rows = worst_of_each(sorted(records, key=lambda record: (record["test"].split("::")[0], record["line"])))
    parts = [INTRODUCTION]
    for system, title in SECTIONS.items():
        chosen = [(record, count) for record, count in rows if record["system"] == system]
        parts.append("\n".join([f"## {title}\n", *table(chosen), *not_run(system)]) + "\n")
    return "\n".join(parts)


def worst_of_each(records: Iterable[dict[str, Any]]) -> list[tuple[dict[str, Any], int]]:
    """One record per test and quantity, that with the largest deviation, and how many there were."""
    found: dict[tuple[str, str], tuple[dict[str, Any], int]] = {}
    for record in records:
        key = record["test"], record["quantity"]
        best, count = found.get(key, (record, 0))
        found[key] = (record if deviation(record) > deviation(best) else best), count + 1
    return list(found.values())


def deviation(record: dict[str, Any]) -> float:
    pairs = zip(record["measured"], record["reference"], strict=True)
    return max(abs(measured - reference) for measured, reference in pairs)


def table(rows: Iterable[tuple[dict[str, Any], int]]) -> Iterator[str]:
    yield "| Quantity | Reference | Measured | Tolerance | Source of the reference | Test |"
    yield "|---|---|---|---|---|---|"
    for record, count in rows:
        quantity = ("\\* " if record["slow"] else "") + record["quantity"].replace("|", "\\|")
        examples = f", worst of {count}" if count > 1 else ""
        cells = [quantity, reference(record), measured(record) + examples, tolerance(record), record["source"]]
        yield "| " + " | ".join([*cells, f"`{record['test'].split('::')[1]}`"]) + " |"


def not_run(system: str) -> Iterator[str]:
    if rows := NOT_RUN.get(system):
        yield "\n| Not run | Why |\n|---|---|"
        yield from (f"| {what} | {why} |" for what, why in rows)


def reference(record: dict[str, Any]) -> str:
    return ", ".join(number(value) for value in record["reference"])


def measured(record: dict[str, Any]) -> str:
    """Values to the digits that are stable; residuals as an upper bound."""
    error = record["error"]
    if error is not None:
        value, unit = record["measured"][0], 10.0 ** floor(log10(2 * error))
        return f"{rounded(value, unit)} ± {rounded(error, 10.0 ** floor(log10(error)), like=value)}"
    if not any(record["reference"]):
        return bound(max(abs(value) for value in record["measured"]), record["tolerance"])
    return ", ".join(rounded(value, unit) for value, unit in zip(record["measured"], units(record), strict=True))


def units(record: dict[str, Any]) -> list[float]:
    """What one in the last shown digit of each value is worth: the decade of its tolerance, or the second digit."""
    if record["bound"] == "least":
        return [0.01] * len(record["reference"])
    sizes = [abs(value) for value in record["reference"]]
    smallest = min(size for size in sizes if size > 0)
    allowed = [record["tolerance"] * ((size or smallest) if record["relative"] else 1.0) for size in sizes]
    return [
        10.0 ** min(floor(log10(value)), floor(log10(size or smallest)) - 1)
        for value, size in zip(allowed, sizes, strict=True)
    ]


def tolerance(record: dict[str, Any]) -> str:
    value = record["tolerance"]
    if record["bound"] == "least":
        return f"≥ {number(record['reference'][0] - value)}"
    if record["relative"]:
        return f"{number(100 * value)} %"
    return f"{'' if any(record['reference']) else '≤ '}{number(value)}"


def bound(value: float, allowed: float) -> str:
    """A power of ten well above a residual, or what is allowed if that is less."""
    return f"< {number(min(allowed, 10.0 ** ceil(log10(3 * value))))}" if value else "0"


def number(value: float) -> str:
    """As short as twelve digits allow, with a proper minus sign."""
    text = f"{value:.12g}"
    if value and not 1e-3 <= abs(value) < 1e5:
        mantissa, exponent = f"{value:.11e}".split("e")
        text = f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return text.replace("-", "−")


def rounded(value: float, unit: float, like: float | None = None) -> str:
    """The value with its last digit at a unit, which is a power of ten, and with the exponent of another value."""
    digits, size = -round(log10(unit)), abs(value if like is None else like)
    exponent = floor(log10(size)) if size and not 1e-3 <= size < 1e5 else 0
    power = f"e{exponent}" if exponent else ""
    return f"{value / 10.0**exponent:.{max(0, digits + exponent)}f}{power}".replace("-", "−")


def run(records: Path) -> int:
    """Run every check, slow ones and those against other codes too; the exit status of pytest."""
    tests = sorted((HERE.parent / "tests").rglob("test_*.py"))
    files = [str(path) for path in tests if PLUGIN in path.read_text(encoding="utf-8")]
    command = [sys.executable, "-m", "pytest", "-q", "-m", "slow or not slow", *files]
    environment = {**os.environ, "VERIFICATION_RECORDS": str(records)}
    return subprocess.run(command, cwd=HERE.parent, env=environment, check=False).returncode


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write the page of verified values.")
    parser.add_argument("--records", type=Path, help="records of an earlier run instead of a new one")
    given = parser.parse_args(arguments).records
    with tempfile.TemporaryDirectory() as folder:
        path = given or Path(folder) / "records.jsonl"
        if not given and (status := run(path)):
            print(f"The page stays as it is: pytest ended with the status {status}.", file=sys.stderr)
            return 1
        lines = path.read_text(encoding="utf-8").splitlines()
    (HERE / "verification.md").write_text(page(json.loads(line) for line in lines), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
