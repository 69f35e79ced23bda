"""The conda environments follow from the lock, hold what their stages import, and are valid conda specifications."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import sys
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from rattler import BuildString, MatchSpec, PackageRecord

from thermalize.config import EmulatorSettings, StabilizerConfig, emulators, stabilizers, systems
from thermalize.config.kinds import kinds_of
from thermalize.config.systems import SystemSettings
from thermalize.store.fingerprint import file_of
from thermalize.workflow.steps import STEPS

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "thermalize"
ROLE_OF = {
    "simulate": "simulate",
    "reference": "analyse",
    "bands": "train",
    "emulator": "train",
    "diffusion": "train",
    "sample": "train",
    "rollout": "train",
    "cost": "train",
    "diagnose": "analyse",
    "ensemble": "analyse",
    "figure": "analyse",
    "movie": "analyse",
    "summary": "analyse",
    "ablation": "analyse",
}
PACKAGE_OF = {
    "PIL": "pillow",
    "dask_jobqueue": "dask-jobqueue",
    "yaml": "pyyaml",
    "netCDF4": "netcdf4",
    "upath": "universal-pathlib",
}


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_environments", ROOT / "envs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = load()


def foreign(nodes: Iterator[ast.AST]) -> set[str]:
    """Packages of the lock that import statements name."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return {PACKAGE_OF.get(name, name) for name in names - sys.stdlib_module_names - {"thermalize"}}


@cache
def tree(module: str) -> ast.Module:
    path = file_of(module)
    assert path is not None, module
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def needed(module: str, everywhere: bool) -> frozenset[str]:
    """Packages that a module and all that it imports need, at once or, `everywhere`, at any time."""
    found, waiting, seen = set(), {module}, set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        nodes = [*ast.walk(tree(name))] if everywhere else tree(name).body
        path = Path(str(file_of(name)))
        if path.name == "__init__.py" and any(getattr(node, "id", "") == "iter_modules" for node in nodes):
            waiting |= {f"{name}.{each.stem}" for each in path.parent.glob("[!_]*.py")}
        found |= foreign(iter(nodes))
        for node in nodes:
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("thermalize."):
                names = {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
                waiting |= {each for each in names - seen if file_of(each) is not None}
    return frozenset(found)


def implementations(step: str) -> set[str]:
    """Modules of every kind of system, emulator and stabilizer that a step may run."""
    of_rollouts = {*kinds_of(emulators, EmulatorSettings), *kinds_of(stabilizers, StabilizerConfig)}
    kinds = {
        "simulate": {*kinds_of(systems, SystemSettings)},
        "emulator": {*kinds_of(emulators, EmulatorSettings)},
        "rollout": of_rollouts,
        "cost": of_rollouts,
    }
    return {each.implementation for each in kinds.get(step, ())}


def imported(step: str) -> set[str]:
    own = (needed(module, True) for module in (STEPS[step].stage, *implementations(step)))
    return {*needed("thermalize.cli", False), *chain.from_iterable(own)}


def specs(role: str) -> list[str]:
    return yaml.safe_load((ROOT / "envs" / f"{role}.yaml").read_text(encoding="utf-8"))["dependencies"]


def test_every_stage_has_a_role():
    assert set(ROLE_OF) == set(STEPS)
    assert set(ROLE_OF.values()) == set(generate.ROLES)


def test_every_rule_uses_the_environment_of_its_stage():
    used = set()
    for path in (ROOT / "rules").glob("*.smk"):
        text = path.read_text(encoding="utf-8")
        environments = re.findall(r"envs/(\w+)\.yaml", text)
        used |= {(stage, role) for stage in re.findall(r'inputs\("(\w+)"', text) for role in environments}
    assert used == set(ROLE_OF.items())


@pytest.mark.parametrize("stage", STEPS)
def test_an_environment_holds_what_its_stages_import(stage: str):
    assert {"pydantic", "pyyaml", "typer"} <= imported(stage)
    assert imported(stage) <= set(generate.ROLES[ROLE_OF[stage]])


@pytest.mark.parametrize("role", generate.ROLES)
def test_an_environment_holds_nothing_that_no_stage_needs(role: str):
    used = set().union(*(imported(stage) for stage in STEPS if ROLE_OF[stage] == role))
    behind_others = {"dask", "jinja2", "netcdf4", "s3fs"}  # distributed, pandas, xarray and fsspec work through them
    assert set(generate.ROLES[role]) <= used | behind_others


@pytest.mark.parametrize("role", generate.ROLES)
def test_the_channels_are_conda_forge_alone(role: str):
    text = yaml.safe_load((ROOT / "envs" / f"{role}.yaml").read_text(encoding="utf-8"))
    assert set(text) == {"channels", "dependencies"}
    assert text["channels"] == ["conda-forge", "nodefaults"]


@pytest.mark.parametrize("role", generate.ROLES)
def test_every_specification_admits_the_locked_version_and_not_another(role: str):
    versions = {generate.conda_name(name): version for name, version in generate.locked().items()}
    for text in specs(role):
        spec, name = MatchSpec(text), text.split("=")[0]
        version = {"python": "3.12.4", "pip": "26.0"}.get(name) or versions[name]
        assert spec.matches(record(name, version)), text
        if name != "pip":
            assert not spec.matches(record(name, f"9{version}")), text


def record(name: str, version: str) -> PackageRecord:
    return PackageRecord(name, version, BuildString("0"), 0, "noarch")


def test_the_files_follow_from_the_lock():
    assert generate.main(["--check"]) == 0


def test_a_changed_lock_or_file_is_noticed(tmp_path: Path, monkeypatch, capsys):
    shutil.copytree(ROOT / "envs", tmp_path / "envs")
    monkeypatch.setattr(generate, "HERE", tmp_path / "envs")
    (tmp_path / "envs" / "train.yaml").unlink()
    (tmp_path / "envs" / "simulate.yaml").write_text("dependencies: []\n", encoding="utf-8")
    assert generate.main(["--check"]) == 1
    complaint = capsys.readouterr().err
    assert "envs/simulate.yaml does not follow from requirements.lock; run `make envs`" in complaint
    assert "envs/train.yaml" in complaint
    assert "envs/analyse.yaml" not in complaint
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0


@pytest.mark.parametrize(
    ("package", "version", "spec"),
    [
        ("torch", "2.13.0", "pytorch==2.13.0"),
        ("matplotlib", "3.11.2", "matplotlib-base==3.11.2"),
        ("netcdf4", "1.7.5.1.post1", "netcdf4=1.7.5.1"),
        ("numpy", "2.4.6", "numpy==2.4.6"),
    ],
)
def test_names_and_versions_are_those_of_conda_forge(package: str, version: str, spec: str):
    assert generate.conda_spec(package, version) == spec
