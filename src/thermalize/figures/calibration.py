"""Can the noise level be trusted? Predictions on noised held-out states, and false triggers on clean ones.

Left: mean predicted level with the band of the states between two percentiles; the diagonal is a perfect head. Right:
the share of clean held-out states whose predicted level exceeds s, the false-trigger rate of a thermalizer that starts
above s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from thermalize.config import ThermalizerConfig
from thermalize.figures.inputs import FigureInputs
from thermalize.figures.registry import register
from thermalize.figures.starts import starts
from thermalize.figures.style import BAND, PAGE, TRUTH, appearances, decades, headline, level_axis, note

__all__ = ["calibration"]

PERFECT = "0.55"
DEFAULT_BAND = (0.05, 0.95)


@register("calibration", when="diffusion")
def calibration(inputs: FigureInputs) -> Figure:
    """One row per diffusion model: reliability and false triggers."""
    cards = {label: card["calibration"] for label, card in inputs.cards.items() if "calibration" in card}
    figure = Figure(figsize=(PAGE, 2.8 * max(1, len(cards))), layout="constrained")
    axes = figure.subplots(max(1, len(cards)), 2, squeeze=False)
    for (left, right), (label, card) in zip(axes, cards.items(), strict=False):
        name = label.partition("/")[2]
        draw_reliability(left, card)
        draw_false_triggers(right, card)
        mark_starts(inputs, left, right, name)
        headline(left, f"diffusion model {name}")
    for panel in axes.ravel():
        if not cards:
            panel.set(xticks=[], yticks=[])
            note(panel, "no diffusion model in this experiment")
    label_axes(axes)
    return figure


def label_axes(axes: np.ndarray) -> None:
    for left, right in axes:
        left.set(xlabel="true noise level [levels]", ylabel="predicted noise level [levels]")
        right.set(xlabel="level s [levels]", ylabel="share of clean states with\npredicted level > s [1]")


def draw_reliability(axes: Axes, card: Mapping[str, Any]) -> None:
    """Mean predicted level with its band over the true level."""
    level, (low, high) = np.asarray(card["level"]), card.get("band", DEFAULT_BAND)
    ends = np.asarray(card["predicted_low"]), np.asarray(card["predicted_high"])
    axes.plot(level, level, color=PERFECT, linewidth=1.0, linestyle=(0, (4, 2)), label="perfect")
    axes.plot(level, card["predicted_mean"], color=TRUTH, marker=".", markersize=3, label="mean prediction")
    text = f"{100 * low:g}–{100 * high:g} % of states"
    axes.fill_between(level, *ends, color=TRUTH, alpha=BAND, linewidth=0, label=text)
    level_axis(axes, "x", level.max() * 1.05)
    level_axis(axes, "y", max(level.max(), ends[1].max()) * 1.05)


def draw_false_triggers(axes: Axes, card: Mapping[str, Any]) -> None:
    """Share of clean held-out states above every level, down to a single state."""
    counts = np.asarray(card.get("clean_level_counts", [0.0]), dtype=float)
    if not counts.any():
        note(axes, "levels of clean states were not recorded")
        return
    one = 1 / counts.sum()
    exceeding = np.append(1.0, 1 - np.cumsum(counts) * one)
    none = int(np.argmax(exceeding < one / 2))
    axes.step(np.arange(none + 1) - 1, np.maximum(exceeding[: none + 1], one / 3), where="post", color=TRUTH)
    end = none + max(10, none)
    axes.plot([none - 1, end], [one / 3] * 2, color=TRUTH)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
    said = f"none of {counts.sum():.0f} states above {none - 1}"
    axes.text(none - 0.5, one / 2.2, said, va="bottom", fontsize=6.5, bbox=box, zorder=5)
    axes.set_yscale("log")
    decades(axes.yaxis)
    axes.set(ylim=(one / 5, 2), xlim=(-1, end))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def mark_starts(inputs: FigureInputs, left: Axes, right: Axes, name: str) -> None:
    """Starting levels in both panels and, on the right, the rates that `start: auto` was asked for."""
    looks, configured = appearances(inputs.experiment), inputs.experiment.stabilizers
    for label, start in starts(inputs, name).items():
        look, text = looks[label], f"{label} starts above {start}"
        for axes in (left, right):
            axes.axvline(start, color=look.color, linewidth=1.0, linestyle=look.linestyle, label=text)
        stabilizer = configured[label]
        if isinstance(stabilizer, ThermalizerConfig) and stabilizer.start == "auto":
            mark_rate(right, stabilizer.false_trigger_rate, look.color)
    left.legend(loc="lower right", frameon=True, facecolor="white", edgecolor="none", framealpha=0.85)


def mark_rate(axes: Axes, rate: float, color: str) -> None:
    """The rate that `start: auto` was asked for, in view even where the sample does not resolve it."""
    axes.axhline(rate, color=color, linewidth=0.8, linestyle=(0, (1, 1.5)))
    axes.annotate(
        f"asked for: {rate:g}", (1, rate), xycoords=("axes fraction", "data"), xytext=(-3, 2), ha="right",
        textcoords="offset points", color=color, fontsize=6.5,
    )  # fmt: skip
    axes.set_ylim(bottom=min(axes.get_ylim()[0], rate / 2))
