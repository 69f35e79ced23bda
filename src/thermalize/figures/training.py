"""Losses of every model during its training, on the training data and on held-out members."""

from __future__ import annotations

from math import ceil

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from thermalize.figures.inputs import FigureInputs
from thermalize.figures.registry import register
from thermalize.figures.style import COLUMN, MUTED, PAGE, headline, note, plain_log

__all__ = ["training"]

CURVES = {
    "train_loss": ("training loss", "#56B4E9", "-"),
    "valid_loss": ("validation loss", "#0072B2", (0, (5, 1.5))),
    "valid_rollout_error": ("validation rollout error", "#009E73", (0, (3, 1, 1, 1))),
    "valid_noise_mse": ("validation, noise (MSE)", "#D55E00", (0, (3, 1, 1, 1))),
    "valid_state_mse": ("validation, state (MSE)", "#D55E00", (0, (3, 1, 1, 1))),
    "valid_velocity_mse": ("validation, velocity (MSE)", "#D55E00", (0, (3, 1, 1, 1))),
    "valid_level_cross_entropy": ("validation, level (cross-entropy, nat)", "#CC79A7", (0, (1, 1))),
    "valid_level_error": ("validation, level (MSE of log noise, standardised)", "#CC79A7", (0, (1, 1))),
}
KINDS = {"emulators": "emulator", "diffusion": "diffusion model"}
FEW = 40


@register("training")
def training(inputs: FigureInputs) -> Figure:
    """One panel per model, two abreast."""
    count = max(1, len(inputs.histories))
    abreast = min(2, count)
    figure = Figure(figsize=(PAGE if abreast > 1 else COLUMN, 2.5 * ceil(count / abreast)), layout="constrained")
    axes = figure.subplots(ceil(count / abreast), abreast, squeeze=False).ravel()
    for panel, (label, history) in zip(axes, inputs.histories.items(), strict=False):
        draw_history(panel, label, history, inputs.cards.get(label, {}).get("best_update"))
    for panel in axes[count:]:
        panel.set_axis_off()
    if not inputs.histories:
        note(axes[0], "no model was trained")
    return figure


def draw_history(axes: Axes, label: str, history: pd.DataFrame, best: float | None = None) -> None:
    """Every loss that the history holds, where it was measured; `best` is the update whose weights were kept."""
    kind, _, name = label.partition("/")
    for column, (text, color, dash) in CURVES.items():
        if column not in history:
            continue
        rows = history.loc[history[column].notna(), ["update", column]]
        marker = "." if len(rows) <= FEW else "None"
        axes.plot(rows["update"], rows[column], color=color, linestyle=dash, marker=marker, markersize=3, label=text)
    if "unroll" in history:
        mark_unroll(axes, history)
    watched = "valid_rollout_error" if "valid_rollout_error" in history else "valid_loss"
    kept = history.loc[history["update"] == best, ["update", watched]]
    axes.plot(
        kept["update"], kept[watched], linestyle="None", marker="o", markerfacecolor="None", markersize=6,
        color="black", label="weights that are kept" if len(kept) else None,
    )  # fmt: skip
    axes.set_yscale("log")
    plain_log(axes.yaxis)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True))
    axes.set(xlabel="training update", ylabel="loss [1]")
    axes.legend(loc="best")
    headline(axes, f"{KINDS[kind]} {name}")


def mark_unroll(axes: Axes, history: pd.DataFrame) -> None:
    """Where the loss begins to unroll one more step: it is another loss from there on."""
    update, unroll = history["update"].to_numpy(), history["unroll"].to_numpy()
    for row in np.flatnonzero(np.diff(unroll) > 0):
        axes.axvline(update[row], color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
        axes.annotate(
            f"unrolled {unroll[row + 1]:.0f} steps", (update[row], 0), xycoords=("data", "axes fraction"),
            xytext=(3, 3), textcoords="offset points", color=MUTED, fontsize=6,
        )  # fmt: skip
