"""`make` as a user meets it: each target says what it would do, and a wrong Python is refused with advice."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = re.findall(r"^([a-z-]+):.*##", MAKEFILE, re.MULTILINE)


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def python(folder: Path, version: str, fits: bool) -> Path:
    """A stand-in for a Python of some version, which can do nothing but say so."""
    path = folder / "python"
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "Python {version}"\nexit {0 if fits else 1}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_the_targets_are_those_a_user_is_promised():
    promised = {"demo", "test", "test-all", "lint", "lock", "envs", "schema", "clean"}
    assert promised <= set(TARGETS)
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert phony
    assert set(phony.group(1).split()) == set(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_a_dry_run_of_every_target_is_clean_and_does_nothing(target: str, tmp_path: Path):
    run = make("--dry-run", target, f"VENV={tmp_path}/venv")
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert not (tmp_path / "venv").exists()


def test_help_names_every_target():
    run = make("help")
    assert [line.split()[1] for line in run.stdout.splitlines()] == TARGETS


def test_the_demonstration_installs_runs_and_shows(tmp_path: Path):
    steps = make("--dry-run", "demo", f"VENV={tmp_path}/venv").stdout
    order = ["-m venv", "--requirement requirements.lock", "--editable .", "snakemake --cores all", "thermalize show"]
    places = [steps.index(step) for step in order]
    assert places == sorted(places)


def test_an_installed_environment_is_not_installed_again(tmp_path: Path):
    stamp = tmp_path / "venv" / ".installed"
    stamp.parent.mkdir()
    stamp.touch()
    assert "pip install" not in make("--dry-run", "demo", f"VENV={tmp_path}/venv").stdout
    os.utime(stamp, (0, 0))
    assert "pip install" in make("--dry-run", "demo", f"VENV={tmp_path}/venv").stdout


def test_an_old_python_is_refused_with_advice(tmp_path: Path):
    old = python(tmp_path, "3.9.2", fits=False)
    run = make("venv", f"VENV={tmp_path}/venv", f"PYTHON={old}")
    assert run.returncode != 0
    assert f"thermalize needs Python 3.11, 3.12 or 3.13, but '{old}' is Python 3.9.2;" in run.stderr
    assert "make PYTHON=python3.12" in run.stderr
    assert not (tmp_path / "venv").exists()


def test_a_missing_python_is_refused_with_advice(tmp_path: Path):
    run = make("venv", f"VENV={tmp_path}/venv", "PYTHON=no-such-python")
    assert run.returncode != 0
    assert "'no-such-python' was not found; install Python 3.11, 3.12 or 3.13" in run.stderr


def test_the_continuous_integration_script_is_a_bash_script():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", str(script)], capture_output=True, check=False).returncode == 0
