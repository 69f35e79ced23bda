"""The package says one thing about itself, and what it publishes about its configuration is up to date."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import thermalize
from thermalize.config import Experiment
from thermalize.config.load import configuration_page, schema_text

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
DISTRIBUTION_OF = {"PIL": "pillow", "upath": "universal-pathlib", "yaml": "pyyaml"}


def test_the_version_is_the_same_everywhere():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert PROJECT["dynamic"] == ["version"]
    assert CITATION["version"] == thermalize.__version__
    assert f"## [{thermalize.__version__}]" in changelog
    assert changelog.index("## [Unreleased]") < changelog.index(f"## [{thermalize.__version__}]")


def test_the_licence_is_the_same_everywhere():
    assert PROJECT["license"] == CITATION["license"] == "BSD-3-Clause"
    assert "thermalize contributors" in (ROOT / "LICENSE").read_text(encoding="utf-8")


@pytest.mark.parametrize("paper", ["2503.18731", "2603.17750", "2308.05732", "10.12688/f1000research.29032"])
def test_the_methods_papers_are_cited(paper: str):
    found = [each for each in CITATION["references"] if paper in f"{each.get('url')} {each.get('doi')}"]
    assert len(found) == 1
    assert found[0]["authors"]
    assert found[0]["year"] >= 2021


def imported() -> set[str]:
    """Distributions that the package's own modules import, anywhere in them."""
    names: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    names -= sys.stdlib_module_names | {"thermalize"}
    return {canonicalize_name(DISTRIBUTION_OF.get(name, name)) for name in names}


def test_what_is_imported_is_declared_and_explained():
    declared = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    assert imported() <= declared
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").lower()
    extras = [line for extra in PROJECT["optional-dependencies"].values() for line in extra]
    names = declared | {canonicalize_name(Requirement(line).name) for line in extras}
    assert not [name for name in names if not re.search(rf"^\|[^|]*\b{re.escape(name)}\b", page, re.MULTILINE)]


def test_the_published_schema_and_page_follow_from_the_models():
    advice = "run `make schema`"
    assert (ROOT / "docs" / "config.schema.json").read_text(encoding="utf-8") == schema_text(), advice
    assert (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8") == configuration_page(), advice


def test_the_page_describes_every_key_of_every_section():
    page = configuration_page()
    for model in sections(Experiment):
        for name, field in model.model_fields.items():
            assert f"| `{field.alias or name}` |" in page


def sections(model) -> set:
    inner = {each for name, each in vars(sys.modules[model.__module__]).items() if name.endswith("Config")}
    return {model, *(each for each in inner if hasattr(each, "model_fields"))}


def test_a_page_out_of_date_is_noticed(tmp_path: Path, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("generate_pages", ROOT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    monkeypatch.setattr(generate, "HERE", tmp_path)
    assert generate.main(["--check"]) == 1
    assert (
        "docs/config.schema.json does not follow from src/thermalize/config; run `make schema`"
        in capsys.readouterr().err
    )
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
