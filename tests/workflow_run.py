"""Running the workflow from its command line, in a folder of its own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

from thermalize.store.results import SUMS

ROOT = Path(__file__).parents[1]
TINY = ROOT / "configs" / "tiny.yaml"
# Measured times are the one thing that two identical runs may differ in.
TIMED = ("seconds_per_step", "cost_ratio")


def environment() -> dict[str, str]:
    folder = Path(sys.executable).parent
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}


def command(folder: Path, *arguments: str, config: Path = TINY) -> list[str]:
    profile = ROOT / "profiles" / "default"
    return [
        *(sys.executable, "-m", "snakemake", *arguments),
        *("--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder), "--configfile", str(config)),
        *("--workflow-profile", str(profile), *(() if "--report" in arguments else ("--cores", "2"))),
    ]


def snakemake(
    folder: Path, *arguments: str, check: bool = True, config: Path = TINY
) -> subprocess.CompletedProcess[str]:
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        command(folder, *arguments, config=config), capture_output=True, text=True, env=environment(), check=False
    )
    assert not check or done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return done


def thermalize(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    parts = [sys.executable, "-m", "thermalize", *map(str, arguments)]
    return subprocess.run(parts, capture_output=True, text=True, cwd=cwd, env=environment(), check=False)


def fingerprints(results: Path) -> dict[str, str]:
    """Digest of every final artifact; of the summary without its measured times, and not of those alone."""
    found = {}
    for path in sorted(results.rglob("*")):
        name = path.relative_to(results).as_posix()
        hidden = any(part.startswith(".") for part in path.relative_to(results).parts)
        if path.is_file() and not hidden and not name.startswith("cost/"):
            found[name] = hashlib.sha256(_content(path)).hexdigest()
    return found


def _content(path: Path) -> bytes:
    if path.name == "summary.csv":
        try:
            table = pd.read_csv(path, dtype=str)
        except ValueError:  # is damaged
            return path.read_bytes()
        return table.drop(columns=[c for c in table if c.startswith(TIMED)]).to_csv().encode()
    if path.name in ("summary.tex", "summary.csv.sha256", "summary.tex.sha256"):
        return b""
    if path.name in ("README.md", SUMS):  # of a model
        measured = (b"computing time", b"  README.md")
        return b"".join(line for line in path.read_bytes().splitlines() if not any(words in line for words in measured))
    return path.read_bytes()


def manifest(path: Path) -> dict[str, object]:
    return json.loads(path.read_text())
