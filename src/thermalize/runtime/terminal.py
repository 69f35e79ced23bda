"""Output to terminals and files that know fewer signs than ours: ≥ becomes >=, and no sign ends a command."""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata

__all__ = ["any_terminal", "plain"]

ERRORS = "thermalize.plain"
SIGNS = {
    **dict.fromkeys("–−‐‑─━╌╴╶", "-"),
    **dict.fromkeys("│┃║", "|"),
    **dict.fromkeys("█▉▊▋▌▍▎▏▓▒░", "#"),
    **dict.fromkeys("‘’′", "'"),
    **dict.fromkeys("“”″", '"'),
    "—": "--",
    "…": "...",
    "×": "x",
    "·": "*",
    "•": "*",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "≈": "~",
    "±": "+-",
    "→": "->",
    "←": "<-",
    "√": "sqrt",
    "∏": "prod",
    "∑": "sum",
    "∞": "inf",
    "∧": "and",
    "∂": "d",
    "∇": "grad",
    "⟨": "<",
    "⟩": ">",
    "⌈": "ceil(",
    "⌉": ")",
    "⌊": "floor(",
    "⌋": ")",
    "∓": "-+",
    "∝": "~",
    "∫": "int",
    "↦": "->",
    "‖": "||",
    "○": "o",
    "\u0302": "^",
    "\u0304": "_",
    "Δ": "D",
    "Π": "P",
    "Σ": "S",
    "ß": "ss",
    **dict(zip("αβγδεζηθικλμνξοπρστυφχψω", "abgdezhqiklmnxoprstufcyw", strict=True)),
}


def plain(text: str) -> str:
    """The same in ASCII: our signs in words or signs that everybody has, letters without accents, the rest as ?."""
    return "".join(SIGNS.get(sign) or _decomposed(sign) for sign in text)


def any_terminal() -> None:
    """From here on whatever standard output and standard error cannot show is shown as `plain` says."""
    codecs.register_error(ERRORS, _replaced)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def _replaced(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return plain(error.object[error.start : error.end]), error.end


def _decomposed(sign: str) -> str:
    parts = unicodedata.normalize("NFKD", sign)
    return "".join(SIGNS.get(part, part if part.isascii() else "") for part in parts) or "?"
