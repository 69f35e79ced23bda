"""Running the workflow from its command line, in a folder of its own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import psutil
import warm_python

from thermalize.store.results import SUMS

ROOT = Path(__file__).parents[2]
TINY = ROOT / "configs" / "tiny.yaml"
# Measured times are the one thing that two identical runs may differ in.
TIMED = ("seconds_per_step", "processor_seconds_per_step", "cost_ratio")


def python(cold: bool = False, source: Path | None = None) -> Path:
    """The Python that runs the commands, those of the package below `source` if that is given.

    A cold one imports everything anew in every process, as a user's does.
    """
    return Path(sys.executable) if cold else warm_python.python(source)


def environment(cold: bool = False, source: Path | None = None) -> dict[str, str]:
    folders = (python(cold, source).parent, Path(sys.executable).parent, os.environ["PATH"])
    return {**os.environ, "PATH": os.pathsep.join(map(str, folders)), "OMP_NUM_THREADS": "1"}


def command(folder: Path, *arguments: str, config: Path = TINY, cold: bool = False) -> list[str]:
    profile = ROOT / "profiles" / "default"
    return [
        *(str(python(cold)), "-m", "snakemake", *arguments),
        *("--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder), "--configfile", str(config)),
        *("--workflow-profile", str(profile), *(() if "--report" in arguments else ("--cores", "2"))),
    ]


def snakemake(
    folder: Path, *arguments: str, check: bool = True, config: Path = TINY, cold: bool = False
) -> subprocess.CompletedProcess[str]:
    folder.mkdir(parents=True, exist_ok=True)
    parts = command(folder, *arguments, config=config, cold=cold)
    done = subprocess.run(parts, capture_output=True, text=True, env=environment(cold), check=False)
    assert not check or done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return done


def thermalize(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    parts = [str(python()), "-m", "thermalize", *map(str, arguments)]
    return subprocess.run(parts, capture_output=True, text=True, cwd=cwd, env=environment(), check=False)


def fingerprints(results: Path) -> dict[str, str]:
    """Digest of every final artifact; of the summary without its measured times, and not of those alone."""
    found = {}
    for folder, folders, files in os.walk(results):
        below = Path(folder).relative_to(results)
        folders[:] = [each for each in folders if not each.startswith(".") and (below / each).as_posix() != "cost"]
        for name in files:
            if not name.startswith("."):
                found[(below / name).as_posix()] = hashlib.sha256(_content(Path(folder, name))).hexdigest()
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


def kill_family(pid: int) -> None:
    """SIGKILL to every process of the session, Dask's workers and the rules' shells included."""
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == pid:
                process.kill()
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
