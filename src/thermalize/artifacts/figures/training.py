"""Losses of every model during its training, on the training data and on held-out members."""

from __future__ import annotations

from math import ceil

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thermalize.artifacts.figures.registry import register
from thermalize.artifacts.inputs import FigureInputs
from thermalize.artifacts.style import COLUMN, MUTED, PAGE, headline, note

__all__ = ["training"]

CURVES = {
    "train_loss": ("training loss", "#56B4E9", "-"),
    "valid_loss": ("validation loss", "#0072B2", "-"),
    "valid_rollout_error": ("validation, rollout", "#009E73", (0, (5, 1.5))),
    "valid_noise_mse": ("validation, noise MSE", "#D55E00", (0, (5, 1.5))),
    "valid_level_cross_entropy": ("validation, level cross-entropy [nat]", "#CC79A7", (0, (3, 1, 1, 1))),
}


@register("training")
def training(inputs: FigureInputs) -> Figure:
    """One panel per model."""
    count = len(inputs.histories)
    wide = min(2, max(1, count))
    figure = Figure(figsize=(PAGE if wide > 1 else COLUMN, 2.4 * max(1, ceil(count / wide))), layout="constrained")
    axes = figure.subplots(max(1, ceil(count / wide)), wide, squeeze=False).ravel()
    for panel, (label, history) in zip(axes, inputs.histories.items(), strict=False):
        draw_history(panel, label, history)
    for panel in axes[count:]:
        panel.set_axis_off()
    if not count:
        note(axes[0], "no training histories")
    return figure


def draw_history(axes: Axes, label: str, history: pd.DataFrame) -> None:
    kind, _, name = label.partition("/")
    for column, (text, color, dash) in CURVES.items():
        if column in history and history[column].notna().any():
            rows = history.loc[history[column].notna(), ["update", column]]
            marker = "." if len(rows) < 40 else None
            axes.plot(rows["update"], rows[column], color=color, linestyle=dash, marker=marker, markersize=3, label=text)
    if "unroll" in history:
        mark_unroll(axes, history)
    axes.set_yscale("log")
    axes.set(xlabel="update", ylabel="loss [normalised units]")
    axes.legend(loc="best")
    headline(axes, f"{'emulator' if kind == 'emulators' else 'diffusion model'} {name}")


def mark_unroll(axes: Axes, history: pd.DataFrame) -> None:
    """Where the loss begins to unroll one more step: it is another loss from there on."""
    longer = np.flatnonzero(np.diff(history["unroll"].to_numpy()) > 0) + 1
    for row in longer:
        update, unroll = history["update"].iloc[row], history["unroll"].iloc[row]
        axes.axvline(update, color=MUTED, linewidth=0.7, linestyle=(0, (1, 2)))
        axes.annotate(
            f"{unroll:.0f} steps", (update, 0), xycoords=("data", "axes fraction"), xytext=(2, 3),
            textcoords="offset points", color=MUTED, fontsize=6,
        )  # fmt: skip
