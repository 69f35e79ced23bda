"""Tables as readers want them: CSV, LaTeX, a terminal, few digits."""

from __future__ import annotations

from io import BytesIO, StringIO
from math import isfinite
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from thermalize.metrics.pooling import MISSING, number
from thermalize.metrics.registry import Cell, cells
from thermalize.runtime.errors import UserError, printable
from thermalize.store import sealed

__all__ = ["format_terminal", "read_csv", "write_csv", "write_tex"]

WIDTH = 100
LEGEND = "In brackets: interval. In parentheses: the same distance between random halves of the truth."
NAMES = ("emulator", "stabilizer")
# May be empty, or look like a number.
TEXTS = ("emulator", "stabilizer", "key_1", "value_1", "key_2", "value_2", "left_out")
CAPTION = (
    "Stability, distance to the truth and cost. Stable: members that never left the truth's envelope in {steps} "
    "steps. Horizon: Kaplan--Meier median of the first step outside the envelope. Distances: log-spectral distance "
    "over the energy-containing shells, and 1-Wasserstein distance of one-step increments in standard deviations of "
    "the truth's, both in the final window, of lost members before they leave the envelope, with the same distance "
    "between random halves of the truth of that length in parentheses. Evaluations: network evaluations per emulator "
    "step. Cost: processor time (on a GPU, time) per step relative to the raw emulator, measured side by side. "
    "In brackets: {confidence:g} % intervals, a dash where the rollouts do not reach an end; for the cost, quartiles "
    "of the repeats."
)
SIGNS = {"≥": r"$\geq$", "×": r"$\times$", "–": "--", "W1": r"$W_1$"}


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Every column, six significant digits."""
    sealed.write(path, table.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode())


def read_csv(path: Path) -> pd.DataFrame:
    """What `write_csv` wrote, also where it was copied without its digest; UserError where it is something else."""
    content = BytesIO(sealed.read(path, required=False))
    try:
        table = pd.read_csv(content, dtype=dict.fromkeys(TEXTS, str), keep_default_na=False, na_values=[""])
    except ValueError:
        table = pd.DataFrame()
    if not {"emulator", "stabilizer", "stable_fraction"} <= set(table):
        raise UserError(f"{path} is not a table of an experiment; `make demo` writes one")
    return table.assign(**table[table.columns.intersection(list(TEXTS))].fillna(""))


def write_tex(table: pd.DataFrame, path: Path, label: str = "tab:summary") -> None:
    """The columns of the terminal, with intervals, in booktabs style, to be \\input."""
    caption = CAPTION.format(steps=table["steps"].iloc[0], confidence=100 * table["confidence"].iloc[0])
    columns = _columns(table, intervals=True)
    text = columns.rename(columns=lambda name: name.replace("-\n", "").replace("\n", " ")).to_latex(
        index=False,
        escape=True,
        column_format="ll" + "r" * (columns.shape[1] - 2),
        caption=caption.replace("%", r"\%"),
        label=label,
        position="t",
    )
    for sign, command in SIGNS.items():
        text = text.replace(sign, command)
    sealed.write(path, text.encode())


def format_terminal(table: pd.DataFrame) -> str:
    """At most 100 characters wide; long names go on in the next line, numbers are never cut."""
    table = table.map(lambda each: printable(each) if isinstance(each, str) else each)
    grid = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    short = _columns(table, intervals=False)
    for name, column in short.items():
        if name in NAMES:
            grid.add_column(Text(str(name)), overflow="fold")
        else:
            grid.add_column(
                Text(str(name), justify="right"), justify="right", no_wrap=True, min_width=max(map(len, column))
            )
    for row in short.itertuples(index=False):
        grid.add_row(*(Text(str(cell)) for cell in row))
    text = StringIO()
    Console(file=text, width=WIDTH, color_system=None).print(grid)
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    return "\n".join([*lines, "", LEGEND])


def _columns(table: pd.DataFrame, intervals: bool) -> pd.DataFrame:
    """The most telling columns as text, one cell per row; `intervals` also for distances and cost."""
    return pd.DataFrame([_cells(row, intervals) for row in table.itertuples(index=False)])


def _cells(row: Any, intervals: bool) -> dict[str, str]:
    names = {name: str(getattr(row, name)) for name in NAMES}
    return names | {each.title: each.text(row, intervals) for each in (*cells(), *COST)}


def _cost(row: Any, intervals: bool) -> str:
    if not isfinite(row.cost_ratio):
        return MISSING
    spread = f" [{row.cost_ratio_low:.2f}, {row.cost_ratio_high:.2f}]" if intervals else ""
    return f"{row.cost_ratio:.2f}×{spread}"


COST = (
    Cell("ms per\nstep", lambda row, _: number(1e3 * row.seconds_per_step, 3), 90),
    Cell("cost", _cost, 91),
)
