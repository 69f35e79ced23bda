"""What was found, as rows of one table: on the terminal in plain ASCII, in a folder as Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from textwrap import wrap

__all__ = [
    "FAILED",
    "MEASURED",
    "NOT_RUN",
    "OK",
    "Row",
    "compared",
    "failed",
    "judged",
    "measured",
    "not_run",
    "table",
    "write",
]

OK, FAILED, NOT_RUN, MEASURED = "ok", "FAILED", "not run", ""
WIDTHS = (11, 50, 11, 10, 8)
"""Of the columns part, what, value, unit, verdict: with what is between them at most 100 of the 120 columns."""
WIDEST, LONGEST = 120, 30
SIGNS = str.maketrans({"²": "2", "³": "3", "µ": "u", "×": "x", "–": "-", "−": "-", "…": "...", "‖": "|", "ν": "nu"})


@dataclass(frozen=True)
class Row:
    """One finding.

    Attributes:
        part: which part of the check found it.
        what: what was looked at.
        value: a number, or a word.
        unit: of the number.
        verdict: OK or FAILED where something can be right or wrong, NOT_RUN, or MEASURED: a figure that nobody judges.
        reason: the tolerance of a verdict, or why something failed or did not run.
    """

    part: str
    what: str
    value: float | str = ""
    unit: str = ""
    verdict: str = MEASURED
    reason: str = ""


def measured(what: str, value: float | str, unit: str = "") -> Row:
    """A time, a size, a name: never right or wrong."""
    return Row("", what, value, unit)


def judged(what: str, right: bool, reason: str, value: float | str = "", unit: str = "") -> Row:
    """Something that is right or wrong, and by what it is told."""
    return Row("", what, value, unit, OK if right else FAILED, reason)


def compared(what: str, difference: float, tolerance: float, reason: str) -> Row:
    """A difference and what it may be at most; one that is not a number is too large."""
    return judged(what, difference <= tolerance, f"at most {tolerance:.2g}: {reason}", difference)


def not_run(what: str, reason: str) -> Row:
    return Row("", what, verdict=NOT_RUN, reason=reason)


def failed(what: str, reason: str) -> Row:
    return Row("", what, verdict=FAILED, reason=reason)


def table(rows: Iterable[Row]) -> str:
    """The rows as plain text; reasons that are too long for their line go on below it."""
    lines = [_line(("part", "what", "value", "unit", "verdict")), _line(tuple("-" * width for width in WIDTHS))]
    before = None
    for row in rows:
        what, *more = wrap(_ascii(row.what), WIDTHS[1]) or [""]
        value = _ascii(_value(row.value))
        shown, below = (
            (value, row.reason) if len(value) <= LONGEST else ("", "; ".join(filter(None, (value, row.reason))))
        )
        lines.append(_line((row.part if row.part != before else "", what, shown, row.unit, row.verdict)))
        lines += [_line(("", text, "", "", "")) for text in more]
        indent = " " * (WIDTHS[0] + 4)
        lines += wrap(_ascii(below), WIDEST, initial_indent=indent, subsequent_indent=indent)
        before = row.part
    return "\n".join(lines)


def write(folder: Path, rows: list[Row]) -> None:
    """`gpu-check.md` and `gpu-check.json` in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    head = ["| part | what | value | unit | verdict |", "|---|---|---|---|---|"]
    body = [f"| {row.part} | {row.what} | {_value(row.value)} | {row.unit} | {_words(row)} |" for row in rows]
    (folder / "gpu-check.md").write_text("\n".join(head + body) + "\n", encoding="utf-8")
    plain = [{**asdict(row), "value": row.value if _is_json(row.value) else str(row.value)} for row in rows]
    content = json.dumps(plain, indent=1, allow_nan=False)
    (folder / "gpu-check.json").write_text(content + "\n", encoding="utf-8")


def _is_json(value: float | str) -> bool:
    """Which knows no infinity."""
    return not isinstance(value, float) or isfinite(value)


def _words(row: Row) -> str:
    return "; ".join(text.replace("|", "/") for text in (row.verdict, row.reason) if text)


def _line(cells: tuple[str, ...]) -> str:
    padded = (_ascii(cell).ljust(width) for cell, width in zip(cells, WIDTHS, strict=True))
    return "  ".join(padded).rstrip()


def _value(value: float | str) -> str:
    if isinstance(value, bool | str):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _ascii(text: str) -> str:
    """For terminals that know no other letters."""
    return text.translate(SIGNS).encode("ascii", "replace").decode()
