"""The lock: pins only, for every supported Python and platform, and enough of them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
DIRECT = [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]
MACHINES = [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")]


def wanted(lines: list[str], python: str, system: str, machine: str) -> list[Requirement]:
    """The requirements that hold there."""
    there = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": system,
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
    }
    return [each for each in map(Requirement, lines) if each.marker is None or each.marker.evaluate(there)]


def pins(python: str, system: str, machine: str) -> dict[str, str]:
    """What the lock installs there: version of every package."""
    kept = wanted(LINES, python, system, machine)
    assert len({each.name for each in kept}) == len(kept)
    return {canonicalize_name(each.name): str(each.specifier).removeprefix("==") for each in kept}


def test_every_line_is_a_pin():
    pattern = r"[a-z0-9-]+==[0-9][0-9a-z.]*( ; [a-z_A-Z0-9'()<>=!. ]+)?"
    assert not [line for line in LINES if not re.fullmatch(pattern, line)]
    names = [line.split("==")[0] for line in LINES]
    assert names == sorted(set(names))


def test_the_gpu_libraries_are_left_to_torch():
    assert not [line for line in LINES if re.match("nvidia|cuda|triton", line)]
    assert "torch==2.13.0" in LINES


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize(("system", "machine"), MACHINES)
def test_every_direct_dependency_is_pinned_within_its_bounds(python: str, system: str, machine: str):
    versions = pins(python, system, machine)
    for requirement in wanted(DIRECT, python, system, machine):
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), requirement


def test_the_supported_pythons_are_those_that_the_lock_was_made_for():
    assert PROJECT["requires-python"] == ">=3.11,<3.14"
