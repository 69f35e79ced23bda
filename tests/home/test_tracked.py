"""What must not stand in any file of the repository: a registry's host, a path of somebody's machine."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Written with brackets so that these lines do not match themselves.
HOSTS = (
    r"py[p]i\.org",
    r"python[h]osted\.org",
    r"registry\.n[p]mjs",
    r"d[e]bian\.org",
    r"anaconda\.o[r]g",
    r"py[t]orch\.org",
)
FORBIDDEN = {
    "a registry's host": "|".join(HOSTS),
    "a path of a machine": r"(^|[^\w.])/(w[o]rk|r[o]ot|f[a]rm|opt/wh[e]els|h[o]me/\w+|U[s]ers/\w+)/",
    "a conflict marker": r"^(<{7}|>{7}) ",
}


@cache
def files() -> list[Path]:
    """Every file that git tracks or would track."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    return [path for name in listed if name and (path := ROOT / name).is_file()]


def test_the_list_of_files_is_the_repository():
    names = {path.relative_to(ROOT).as_posix() for path in files()}
    assert {"pyproject.toml", "requirements.lock", "src/thermalize/config/__init__.py"} <= names
    assert not [name for name in names if name.startswith((".venv/", "results/"))]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(what: str):
    pattern = re.compile(FORBIDDEN[what], re.IGNORECASE | re.MULTILINE)
    found = []
    for path in files():
        text = path.read_bytes().decode(errors="replace")
        found += [f"{path.relative_to(ROOT)}: {match.group()}" for match in pattern.finditer(text)]
    assert not found


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("a registry's host", "index-url = https://files.python" + "hosted.org/simple"),
        ("a path of a machine", "see /wo" + "rk/main/x"),
        ("a path of a machine", "/ho" + "me/ada/data"),
        ("a conflict marker", "<" * 7 + " HEAD"),
    ],
)
def test_the_patterns_find_what_they_are_for(what: str, line: str):
    assert re.search(FORBIDDEN[what], line)


def test_no_tracked_file_is_large():
    large = {
        path.relative_to(ROOT).as_posix(): path.stat().st_size for path in files() if path.stat().st_size > 2_000_000
    }
    assert not large
