"""The summary table as text: CSV for programs, LaTeX for papers, a few columns for a terminal."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from thermalize.artifacts.figures.words import number
from thermalize.store.atomic import write_text

__all__ = ["format_terminal", "write_csv", "write_tex"]

WIDTH = 100
CAPTION = (
    "Stability, distance to the truth and cost. Horizon: Kaplan--Meier median of the first step outside the truth's "
    "envelope with its interval. Distances: log-spectral distance over the energy-containing shells and 1-Wasserstein "
    "distance of the field in standard deviations, both in the final window, with the same distance between two halves "
    "of the truth in parentheses. Cost: time per step relative to the raw emulator, measured side by side."
)


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Every column, six significant digits."""
    write_text(path, table.to_csv(index=False, float_format="%.6g"))


def write_tex(table: pd.DataFrame, path: Path) -> None:
    """The columns of the terminal in booktabs style, to be \\input."""
    text = _columns(table).to_latex(index=False, escape=True, caption=CAPTION, label="tab:summary", position="t")
    write_text(path, text.replace("≥", r"$\geq$").replace("×", r"$\times$").replace("–", "--"))


def format_terminal(table: pd.DataFrame) -> str:
    """At most 100 characters wide."""
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    short = _columns(table)
    for name in map(str, short.columns):
        grid.add_column(name, justify="left" if name in ("emulator", "stabilizer") else "right", no_wrap=True)
    for row in short.itertuples(index=False):
        grid.add_row(*map(str, row))
    console = Console(file=StringIO(), width=WIDTH, color_system=None)
    console.print(grid)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return f"{text.rstrip()}\n\nIn parentheses: the same distance between two halves of the truth."


def _columns(table: pd.DataFrame) -> pd.DataFrame:
    columns: dict[str, Callable[[Any], str]] = {
        "emulator": lambda row: row.emulator,
        "stabilizer": lambda row: row.stabilizer,
        "stable": lambda row: f"{round(row.stable_fraction * row.members)}/{row.members}",
        "horizon [steps]": _horizon,
        "spectral dist.": lambda row: _distance(row, "log_spectral_distance"),
        "field W1": lambda row: _distance(row, "wasserstein_field"),
        "evaluations": lambda row: f"{row.network_evaluations_per_step:.2f}",
        "ms/step": lambda row: "–" if not isfinite(row.seconds_per_step) else f"{1e3 * row.seconds_per_step:.3g}",
        "cost": lambda row: "–" if not isfinite(row.cost_ratio) else f"{row.cost_ratio:.2f}×",
    }
    return pd.DataFrame({name: [text(row) for row in table.itertuples(index=False)] for name, text in columns.items()})


def _horizon(row: Any) -> str:
    if row.stable_horizon_is_lower_bound:
        return f"≥ {row.stable_horizon_median:.0f}"
    return f"{row.stable_horizon_median:.0f} [{row.stable_horizon_low:.0f}, {row.stable_horizon_high:.0f}]"


def _distance(row: Any, name: str) -> str:
    return f"{number(getattr(row, name))} ({number(getattr(row, f'{name}_floor'))})"
