"""The pages on systems: examples run as printed, and the page of verified values lists the checks that there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "systems.md"


def test_examples_of_the_page_run(capsys: pytest.CaptureFixture[str]) -> None:
    examples, names = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL), {}
    for example in examples:
        exec(compile(example, str(PAGE), "exec"), names)
    lines = [line.rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert [shape for shape, _ in lines] == 10 * ["torch.Size([8, 1, 64])"] + 6 * ["torch.Size([2, 1, 16, 16])"]
    assert all(0.7 < float(energy) < 2.2 for _, energy in lines[:10])
    assert all(0.5 < float(energy) < 50 for _, energy in lines[10:])


def test_page_of_verified_values_lists_every_check() -> None:
    """Functions with the fixture `verify`, found in the source; `make verification` writes the page."""
    page = (ROOT / "docs" / "verification.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"\| `(test_\w+)` \|$", page, flags=re.MULTILINE))
    sources = [file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("test_*.py")]
    functions = [node for source in sources for node in ast.walk(ast.parse(source))]
    checks = {
        node.name
        for node in functions
        if isinstance(node, ast.FunctionDef) and any(argument.arg == "verify" for argument in node.args.args)
    }
    assert len(checks) > 60
    assert listed == checks
