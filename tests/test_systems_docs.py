"""The page on systems: its example runs as printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "systems.md"


def test_example_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    exec(compile(example, str(PAGE), "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    for line in lines:
        shape, energy = line.rsplit(maxsplit=1)
        assert shape == "torch.Size([8, 1, 64])"
        assert 0.7 < float(energy) < 2.2
