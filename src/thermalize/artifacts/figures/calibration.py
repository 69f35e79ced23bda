"""Can the noise level be trusted? Predicted against true level on noised held-out states, and false triggers on clean ones.

Left: mean prediction with the band that holds the stated share of the states; the diagonal is a perfect head. Right: the share of clean
held-out states whose predicted level exceeds s, which is the false-trigger rate of a thermalizer that starts at s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thermalize.artifacts.figures.registry import register
from thermalize.artifacts.inputs import FigureInputs
from thermalize.artifacts.style import BAND, COLUMN, PAGE, TRUTH, appearances, headline, note
from thermalize.config import ThermalizerConfig
from thermalize.diffusion.calibration import auto_start

__all__ = ["calibration"]

SHOWN = "#56B4E9"
DEFAULT_BAND = (0.05, 0.95)


@register("calibration")
def calibration(inputs: FigureInputs) -> Figure:
    """One row per diffusion model."""
    cards = {label: card for label, card in inputs.cards.items() if "calibration" in card}
    clean = any("clean_level_counts" in card["calibration"] for card in cards.values())
    wide, rows = (2 if clean else 1), max(1, len(cards))
    figure = Figure(figsize=(PAGE if clean else COLUMN, 2.6 * rows), layout="constrained")
    axes = figure.subplots(rows, wide, squeeze=False)
    if not cards:
        note(axes[0, 0], "no diffusion model in this experiment")
        axes[0, 0].set(xlabel="true level [levels]", ylabel="predicted level [levels]")
    for line, (label, card) in zip(axes, cards.items(), strict=False):
        name = label.partition("/")[2] or label
        draw_reliability(inputs, line[0], name, card)
        headline(line[0], f"diffusion model {name}")
        if clean:
            draw_false_triggers(inputs, line[1], name, card)
    return figure


def starts(inputs: FigureInputs, name: str, card: Mapping[str, Any]) -> dict[str, float]:
    """Level above which each thermalizer of this model starts: the number in the config, else the card's, else calibrated."""
    found: dict[str, float] = {}
    for label, stabilizer in inputs.experiment.stabilizers.items():
        if not isinstance(stabilizer, ThermalizerConfig) or stabilizer.diffusion != name:
            continue
        if isinstance(stabilizer.start, int):
            found[label] = stabilizer.start
        elif "start" in (card.get("thresholds") or {}):
            found[label] = card["thresholds"]["start"]
        elif "clean_level_counts" in card["calibration"]:
            found[label] = auto_start(card["calibration"], stabilizer.false_trigger_rate)
    return found


def draw_reliability(inputs: FigureInputs, axes: Axes, name: str, card: Mapping[str, Any]) -> None:
    """Mean predicted level with its band over the true level, beside the diagonal and the starting levels."""
    calibrated = card["calibration"]
    level = np.asarray(calibrated["level"])
    low, high = calibrated.get("band", DEFAULT_BAND)
    axes.plot(level, level, color=TRUTH, linewidth=0.8, linestyle=(0, (4, 2)), label="perfect")
    axes.plot(level, calibrated["predicted_mean"], color=SHOWN, label="mean prediction")
    axes.fill_between(
        level, calibrated["predicted_low"], calibrated["predicted_high"], color=SHOWN, alpha=BAND, linewidth=0,
        label=f"{100 * low:g}–{100 * high:g} % of states",
    )  # fmt: skip
    mark_starts(inputs, axes, name, card)
    axes.set(xlabel="true noise level [levels]", ylabel="predicted noise level [levels]")
    axes.legend(loc="upper left")


def mark_starts(inputs: FigureInputs, axes: Axes, name: str, card: Mapping[str, Any]) -> None:
    looks = appearances(inputs.experiment)
    for label, start in starts(inputs, name, card).items():
        text = f"{label} starts above {start:g}"
        axes.axvline(start, color=looks[label].color, linewidth=0.9, linestyle=looks[label].linestyle, label=text)


def draw_false_triggers(inputs: FigureInputs, axes: Axes, name: str, card: Mapping[str, Any]) -> None:
    """Share of clean held-out states above every level, down to one state."""
    counts = np.asarray(card["calibration"].get("clean_level_counts", [0.0]), dtype=float)
    if not counts.sum():
        note(axes, "levels of clean states were not recorded")
        return
    exceeding = 1 - np.cumsum(counts) / counts.sum()
    one = 1 / counts.sum()
    last = int((exceeding > one / 2).sum()) + 1
    axes.step(np.arange(last), np.maximum(exceeding[:last], one / 3), where="post", color=SHOWN)
    mark_starts(inputs, axes, name, card)
    axes.set_yscale("log")
    axes.set(ylim=(one / 2, 1.5), xlabel="level s [levels]", ylabel="clean states with\npredicted level > s [1]")
    axes.legend(loc="upper right")
