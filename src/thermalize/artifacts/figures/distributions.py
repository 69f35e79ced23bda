"""Densities of the field and of its one-step increments, and the autocorrelation in time, against the truth's.

W₁ is the first Wasserstein distance between the distributions, beside the same between two halves of the truth. The
autocorrelation catches a rollout that has the right pictures and the wrong motion.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thermalize.artifacts.figures.registry import register
from thermalize.artifacts.figures.words import interval_text, number
from thermalize.artifacts.inputs import FigureInputs
from thermalize.artifacts.pooling import average, mean
from thermalize.artifacts.style import PAGE, TRUTH, appearances, headline

__all__ = ["distributions"]


@register("distributions")
def distributions(inputs: FigureInputs) -> Figure:
    """One row per emulator: field, increments, autocorrelation."""
    count = len(inputs.emulators)
    figure = Figure(figsize=(PAGE, 2.5 * count), layout="constrained")
    axes = figure.subplots(count, 3, squeeze=False)
    for line, emulator in zip(axes, inputs.emulators, strict=True):
        draw_density(inputs, line[0], emulator, "field")
        draw_density(inputs, line[1], emulator, "increment")
        draw_autocorrelation(inputs, line[2], emulator)
        headline(line[0], emulator)
    return figure


def draw_density(inputs: FigureInputs, axes: Axes, emulator: str, name: str) -> None:
    """Density of every stabilizer's final window on the truth's bins, with its W₁ in the legend."""
    looks = appearances(inputs.experiment)
    truth = None
    for stabilizer in inputs.stabilizers(emulator):
        datasets = inputs.of_seeds(emulator, stabilizer)
        at = datasets[0][f"{name}_bin"].values
        if truth is None:
            truth = datasets[0][f"{name}_pdf_truth"].values
            floor = interval_text(average(datasets, f"wasserstein_{name}_floor"))
            axes.semilogy(at, np.where(truth > 0, truth, np.nan), color=TRUTH, label=f"truth  {floor}", zorder=3)
        density = np.mean([dataset[f"{name}_pdf_rollout"].values for dataset in datasets], axis=0)
        label = f"{stabilizer}  {interval_text(average(datasets, f'wasserstein_{name}'))}"
        look = looks[stabilizer]
        axes.semilogy(at, np.where(density > 0, density, np.nan), color=look.color, linestyle=look.linestyle, label=label)
    if truth is not None:
        positive = truth[truth > 0]
        axes.set_ylim(positive.min() / 3, positive.max() * 200)
    what = "field u" if name == "field" else "one-step increment of u"
    axes.set(xlabel=f"{what} [1]", ylabel="probability density [1]")
    axes.legend(loc="upper left", title=f"W₁ [{inputs.confidence} interval]", title_fontsize=6.5, alignment="left")


def draw_autocorrelation(inputs: FigureInputs, axes: Axes, emulator: str) -> None:
    looks = appearances(inputs.experiment)
    for number_, stabilizer in enumerate(inputs.stabilizers(emulator)):
        datasets = inputs.of_seeds(emulator, stabilizer)
        lag = datasets[0]["lag"].values
        if number_ == 0:
            label = f"truth  {number(mean(datasets, 'integral_time_truth'))}"
            axes.plot(lag, datasets[0]["autocorrelation_truth"].values, color=TRUTH, label=label, zorder=3)
        found = np.mean([dataset["autocorrelation_rollout"].values for dataset in datasets], axis=0)
        label = f"{stabilizer}  {number(mean(datasets, 'integral_time_rollout'))}"
        axes.plot(lag, found, color=looks[stabilizer].color, linestyle=looks[stabilizer].linestyle, label=label)
    axes.axhline(0, color="0.8", linewidth=0.6, zorder=0)
    axes.set(xlabel="lag [emulator steps]", ylabel="autocorrelation [1]", ylim=(-0.5, 1.05))
    axes.legend(loc="upper right", title="integral time [emulator steps]", title_fontsize=6.5, alignment="left")
