"""Functions and files of the user's own that are not there: found when a run is planned, without running anything."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import run
from workflow_run import TINY, snakemake

from thermalize.config import Experiment
from thermalize.runtime.errors import UserError
from thermalize.workflow.own import other_python, refuse_missing

SOURCE = """
raise SystemExit("nobody imports this to plan a run")


def function(*given):
    return 1


class Thing:
    def __getattr__(self, name):
        return name


if function:
    async def later():
        pass

renamed = function
"""
PLACES = {
    "emulators.mine": lambda own: {"emulators": {"mine": own}},
    "rollouts.stabilizers.mine": lambda own: {"rollouts": {"stabilizers": {"mine": own}}},
    "diagnostics.metrics.mine": lambda own: {"diagnostics": {"metrics": {"mine": own}}},
    "figures.mine": lambda own: {"figures": {"mine": own}},
    "emulators.small.network": lambda own: {"emulators": {"small": {"network": own}}},
    "diffusion.small.network": lambda own: {"diffusion": {"small": {"network": own}}},
}


def merged(below: Any, above: Any) -> Any:
    if not isinstance(above, dict) or not isinstance(below, dict) or "kind" in above:
        return above
    return {**below, **{key: merged(below.get(key, {}), value) for key, value in above.items()}}


def mapping(where: str, **own: Any) -> dict[str, Any]:
    return merged(yaml.safe_load(TINY.read_text()), PLACES[where]({"kind": "import", **own}))


def asking(target: str, where: str = "diagnostics.metrics.mine", **own: Any) -> Experiment:
    return Experiment.model_validate(mapping(where, target=target, **own))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "own", raising=False)
    return tmp_path


@pytest.mark.parametrize("where", PLACES)
def test_a_misspelt_function_is_found_wherever_it_stands(where: str, here: Path) -> None:
    refuse_missing(asking("own:function", where))
    with pytest.raises(UserError) as caught:
        refuse_missing(asking("own:functon", where))
    assert str(caught.value) == (
        f"{where}: target 'own:functon': own ({here / 'own.py'}) has no function or class 'functon'; "
        "did you mean 'function'?"
    )
    with pytest.raises(UserError, match=rf"{where}: target 'onw:function': no module 'onw' is installed or in"):
        refuse_missing(asking("onw:function", where))


@pytest.mark.parametrize("target", ["own:Thing", "own:later", "own:renamed", "os.path:join", "math:sin", "json:dumps"])
def test_whatever_is_there_is_found(target: str) -> None:
    refuse_missing(asking(target))


@pytest.mark.parametrize(
    ("files", "target", "fault"),
    [
        ({"methods/ours.py": "def f(): pass"}, "methods.ours:f", None),
        ({"methods/ours.py": "def f(): pass"}, "methods.ors:f", "no module 'methods.ors' is installed"),
        ({"methods/ours.py": "def f(): pass"}, "methods.ours:g", "has no function or class 'g'"),
        ({"methods/ours.py": ""}, "methods:g", "methods (a folder) has no function or class 'g'"),
        ({"pack/__init__.py": "", "pack/ours.py": ""}, "pack.others:f", "no module 'pack.others' is installed"),
        ({"pack/__init__.py": "from .ours import f", "pack/ours.py": ""}, "pack:f", None),
        ({"own.py": "def f(: pass"}, "own:f", "own.py is no Python that can be read: invalid syntax"),
        ({"own.py": "\0"}, "own:f", "own.py is no Python that can be read"),
        ({"own.py": "def f(): pass"}, "own.deeper:f", "no module 'own.deeper' is installed"),
    ],
)
def test_modules_in_folders_are_looked_through(
    files: dict[str, str], target: str, fault: str | None, here: Path
) -> None:
    for name, text in files.items():
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_text(text)
    if fault is None:
        refuse_missing(asking(target))
        return
    with pytest.raises(UserError) as caught:
        refuse_missing(asking(target))
    assert fault in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "from math import *",
        "def __getattr__(name): return print",
        "if True:\n    def __getattr__(name): return print",
        "globals()['f'] = print",
        "exec('f = print')",
        "import sys\nsys.modules[__name__] = print",
        "import sys\nsetattr(sys, 'f', print)",
        "try:\n    from a import f\nexcept ImportError:\n    pass",
        "class A:\n    f = print",
    ],
)
def test_where_the_source_does_not_tell_nothing_is_said(text: str, here: Path) -> None:
    (here / "own.py").write_text(text)
    refuse_missing(asking("own:f"))


def test_of_modules_of_another_python_nothing_is_said_but_of_those_that_are_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refuse_missing(asking("onw:function"), elsewhere=True)
    with pytest.raises(UserError, match="has no function or class 'functon'"):
        refuse_missing(asking("own:functon"), elsewhere=True)
    monkeypatch.setattr(shutil, "which", lambda _: str(Path(sys.executable).parent / "python"))
    assert not other_python()
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/env/python")
    assert other_python()


@pytest.mark.parametrize("own", [{"caption": "mine.rst"}, {"files": ["mine.rst"]}])
def test_a_file_that_is_missing_is_named(own: dict[str, Any], here: Path) -> None:
    asked = asking("own:function", "figures.mine", **own)
    with pytest.raises(UserError, match=r"^figures\.mine: mine\.rst does not exist; write it, or correct its path$"):
        refuse_missing(asked)
    refuse_missing(asked, files=False)
    (here / "mine.rst").touch()
    refuse_missing(asked)


def test_all_of_it_is_refused_by_resolve_and_by_a_plan_before_anything_is_written(here: Path) -> None:
    config = here / "my.yaml"
    for changes, sentence in (
        (mapping("figures.mine", target="own:functon"), "figures.mine: target 'own:functon': own ("),
        (mapping("figures.mine", target="own:function", caption="a.rst"), "figures.mine: a.rst does not exist"),
        (
            merged(
                mapping("figures.mine", target="own:function"),
                {"figures": {"spectra": {"kind": "import", "target": "own:function"}}},
            ),
            "figures.spectra has the name of a figure",
        ),
    ):
        config.write_text(yaml.safe_dump(changes))
        assert run("resolve", config).sentence.startswith(f"Error: {sentence}")
        assert not (here / "results").exists()
    done = snakemake(here, "--dry-run", config=config, check=False)
    assert done.returncode != 0
    assert f"Error: {sentence}" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
