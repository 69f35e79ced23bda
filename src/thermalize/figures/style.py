"""One look for every figure: journal widths, colours that colour-blind readers tell apart, deterministic output.

Lines follow Okabe and Ito (2008), and every line also has its own dash so that grey print works. Fields take a
diverging map centred on zero. Settings come from matplotlib's defaults, never from a user's matplotlibrc.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import floor, log10
from typing import Any, Literal, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator, ScalarFormatter

from thermalize.config import Experiment, NoStabilizerConfig
from thermalize.figures.units import SUPERSCRIPTS

__all__ = [
    "BAND",
    "COLUMN",
    "FIELD_MAP",
    "GENERATED",
    "LOST",
    "MUTED",
    "PAGE",
    "TRUTH",
    "TRUTH_LOOK",
    "Appearance",
    "appearances",
    "beneath",
    "decades",
    "headline",
    "level_axis",
    "note",
    "plain_log",
    "styled",
]

COLUMN, PAGE = 3.5, 7.2
"""Widths of one and of two journal columns in inches."""

FIELD_MAP = "RdBu_r"
TRUTH = "black"
MUTED = "0.45"
BAND = 0.22
"""Opacity of an interval."""

LOST: dict[str, Any] = {"facecolor": "0.90", "edgecolor": "0.68", "hatch": "/////", "linewidth": 0.0}
"""How a stretch without states is painted: hatched grey, never blank."""

LEVELS = (0, 2, 4, 6, 8, 10, 20, 50, 100, 200, 500, 1000)
SHORT = (1e-4, 1e5)
MANTISSAS = ((0.4, range(2, 10)), (1.6, (2, 3, 5)), (2.2, (2, 5)))
RAW = "#D55E00"
OTHERS = ("#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (6, 1, 1, 1, 1, 1)))

SETTINGS: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "text.parse_math": False,  # names and units come from files, and are shown as they are written
    "text.usetex": False,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.major.pad": 3.0,
    "ytick.major.pad": 3.0,
    "xtick.minor.pad": 4.5,
    "ytick.minor.pad": 4.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "lines.linewidth": 1.2,
    "hatch.linewidth": 0.5,
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,
    "svg.hashsalt": "thermalize",
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
}


class Appearance(NamedTuple):
    """Colour, dash, width and height of a line, as matplotlib names them; dashed lines lie above solid ones."""

    color: str
    linestyle: Any
    linewidth: float = 1.2
    zorder: float = 2.4


TRUTH_LOOK = Appearance(TRUTH, "-", 2.0, 2.2)
"""The truth lies beneath and is wider, so that it is seen where another curve coincides with it."""

GENERATED = (Appearance(OTHERS[0], DASHES[1]), Appearance(OTHERS[3], DASHES[2], zorder=2.6))
"""Looks of what a diffusion model makes, which no stabilizer names: samples, thermalized states."""


@contextmanager
def styled() -> Iterator[None]:
    """Draw and save inside this: the house style on top of matplotlib's own defaults."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        yield


def appearances(experiment: Experiment) -> dict[str, Appearance]:
    """One look per named stabilizer, the same in every figure: raw ones are vermilion, the others follow the config."""
    raw = [label for label, stabilizer in experiment.named.items() if isinstance(stabilizer, NoStabilizerConfig)]
    others = [label for label in experiment.named if label not in raw]
    looks = dict.fromkeys(raw, Appearance(RAW, (0, (4, 1.2, 1, 1.2)), zorder=2.6))
    for number, label in enumerate(others):
        turn, color = divmod(number, len(OTHERS))
        looks[label] = Appearance(OTHERS[color], DASHES[(color + turn) % len(DASHES)])
    return looks


def plain_log(axis: Axis) -> None:
    """Write the labels of a logarithmic axis as 0.3 and 20 rather than as powers, where they stay short.

    Between the decades, as many are named as there is room for.
    """

    def major(x: float, _: int | None = None) -> str:
        return f"{x:g}" if SHORT[0] <= x <= SHORT[1] else _power_of_ten(x)

    def minor(x: float, _: int | None = None) -> str:
        low, high = axis.get_view_interval()
        named = next((digits for decades, digits in MANTISSAS if log10(high / low) <= decades), ())
        return major(x) if SHORT[0] <= x <= SHORT[1] and round(x / 10 ** floor(log10(x))) in named else ""

    axis.set_major_formatter(FuncFormatter(major))
    axis.set_minor_formatter(FuncFormatter(minor))


def decades(axis: Axis) -> None:
    """Write the labels of a logarithmic axis as powers of ten, and nothing between them."""
    axis.set_major_formatter(FuncFormatter(lambda x, _: _power_of_ten(x)))
    axis.set_minor_formatter(NullFormatter())


def _power_of_ten(x: float) -> str:
    factor, _, power = f"{x:e}".partition("e")
    times = "" if float(factor) == 1 else f"{float(factor):g}·"
    return f"{times}10{str(int(power)).translate(SUPERSCRIPTS)}"


def level_axis(axes: Axes, which: Literal["x", "y"], top: float) -> None:
    """An axis of noise levels from 0 to `top` or a bit beyond: even up to ten, where thermalization works, then
    logarithmic."""
    top = next((level for level in LEVELS if top <= level <= 1.25 * top), top)
    (axes.set_xscale if which == "x" else axes.set_yscale)("symlog", linthresh=10, linscale=1.2)
    (axes.set_xlim if which == "x" else axes.set_ylim)(0, top)
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(FixedLocator([level for level in LEVELS if level <= top]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(ScalarFormatter())


def beneath(axes: Axes, title: str, drop: float = 0.24) -> None:
    """The legend below the panel, where it hides nothing; `drop` is the way down in heights of the panel."""
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -drop), title=title, title_fontsize=6.5, alignment="left", borderpad=0
    )


def headline(axes: Axes, text: str, aside: str = "") -> None:
    """A panel's name at its upper left and, muted, a remark at its upper right."""
    axes.set_title(text, loc="left", fontweight="bold", pad=3)
    axes.set_title(aside, loc="right", color=MUTED, fontsize=6.5, pad=3)


def note(axes: Axes, text: str) -> None:
    """A sentence in the middle of a panel that has nothing to show."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=MUTED, wrap=True)
