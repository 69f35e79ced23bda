"""Signs that a terminal cannot show become others; none ends a command."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commands import NAMES, arguments, run

from thermalize.runtime.terminal import plain

SOURCE = Path(__file__).parents[2] / "src"


def test_signs_become_words_that_read_alike() -> None:
    assert plain("≥ 3 × 10⁻² – “W₁” … ─ café") == '>= 3 x 10-2 - "W1" ... - cafe'
    assert plain("日本") == "??"


def test_every_sign_of_the_source_has_one() -> None:
    signs = {sign for path in SOURCE.rglob("*.py") for sign in path.read_text() if not sign.isascii()}
    assert {sign for sign in signs if plain(sign) == "?"} == set()


def test_the_table_is_shown_on_an_ascii_terminal(tiny: tuple[Path, Path]) -> None:
    path = tiny[1] / "tiny" / "tables" / "summary.csv"
    said, wide = run("show", path, encoding="ascii"), run("show", path)
    assert said.status == 0
    assert "thermalized" in said.out
    assert not wide.out.isascii()
    assert re.sub(r"\W", "", said.out) == re.sub(r"\W", "", plain(wide.out))


@pytest.mark.parametrize("name", NAMES)
def test_every_command_speaks_to_an_ascii_terminal(name: str, tmp_path: Path) -> None:
    """Where nothing is there yet it works or says in one sentence what is missing; the folder has signs in its name."""
    folder = tmp_path / "Größe ≥ 3"
    said = run(*arguments(name, folder), encoding="ascii")
    assert said.status == 0 or said.sentence.isascii()
