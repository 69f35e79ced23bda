"""Densities of the field and of its one-step increments, and the autocorrelation in time, against the truth's.

W₁ is the first Wasserstein distance between the distributions, beside the same between random halves of the truth. The
autocorrelation catches a rollout that has the right pictures and the wrong motion.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thermalize.figures.inputs import FigureInputs
from thermalize.figures.registry import register
from thermalize.figures.style import PAGE, TRUTH_LOOK, Appearance, appearances, beneath, decades, headline
from thermalize.metrics.pooling import average, interval_text, mean, number

__all__ = ["distributions"]

QUANTITIES = {"field": "field [σ of the truth]", "increment": "one-step increment [σ of the truth's]"}


@register("distributions")
def distributions(inputs: FigureInputs) -> Figure:
    """One row per emulator: field, increments, autocorrelation."""
    count = len(inputs.emulators)
    figure = Figure(figsize=(PAGE, 2.9 * count), layout="constrained")
    axes = figure.subplots(count, 3, squeeze=False)
    for line, emulator in zip(axes, inputs.emulators, strict=True):
        draw_density(inputs, line[0], emulator, "field")
        draw_density(inputs, line[1], emulator, "increment")
        draw_autocorrelation(inputs, line[2], emulator)
        headline(line[0], f"emulator {emulator}")
    return figure


def curves(inputs: FigureInputs, emulator: str) -> dict[str, tuple[Appearance, list[xr.Dataset]]]:
    """Stabilizer → its look and the diagnostics of its seeds."""
    looks = appearances(inputs.experiment)
    return {name: (looks[name], inputs.of_seeds(emulator, name)) for name in inputs.stabilizers(emulator)}


def over_seeds(datasets: list[xr.Dataset], name: str) -> np.ndarray:
    return np.mean([dataset[name].to_numpy() for dataset in datasets], axis=0)


def draw_density(inputs: FigureInputs, axes: Axes, emulator: str, name: str) -> None:
    """Density of every stabilizer's final window on the truth's bins, with its W₁ in the legend."""
    runs = curves(inputs, emulator)
    first = next(iter(runs.values()))[1]
    truth = over_seeds(first, f"{name}_pdf_truth")
    floor = interval_text(average(first, f"wasserstein_{name}_floor"))
    draw_line(axes, first, f"{name}_bin", truth, TRUTH_LOOK, f"truth (halves): {floor}")
    top = truth.max()
    for stabilizer, (look, datasets) in runs.items():
        distance = interval_text(average(datasets, f"wasserstein_{name}"))
        density = over_seeds(datasets, f"{name}_pdf_rollout")
        top = np.fmax(top, density.max())
        draw_line(axes, datasets, f"{name}_bin", density, look, f"{stabilizer}: {distance}")
    axes.set_yscale("log")
    decades(axes.yaxis)
    axes.set_ylim(truth[truth > 0].min() / 3, top * 3)
    axes.set(xlabel=QUANTITIES[name], ylabel="probability density [1]")
    beneath(axes, f"W₁ [{inputs.confidence} interval]")


def draw_autocorrelation(inputs: FigureInputs, axes: Axes, emulator: str) -> None:
    """Autocorrelation at fixed points over the lag, with the integral time in the legend."""
    runs = curves(inputs, emulator)
    first = next(iter(runs.values()))[1]
    label = f"truth: {number(mean(first, 'integral_time_truth'))}"
    draw_line(axes, first, "lag", over_seeds(first, "autocorrelation_truth"), TRUTH_LOOK, label)
    for stabilizer, (look, datasets) in runs.items():
        label = f"{stabilizer}: {number(mean(datasets, 'integral_time_rollout'))}"
        draw_line(axes, datasets, "lag", over_seeds(datasets, "autocorrelation_rollout"), look, label)
    axes.axhline(0, color="0.8", linewidth=0.6, zorder=0)
    axes.set(xlabel="lag [emulator steps]", ylabel="autocorrelation [1]", ylim=(None, 1.03))
    beneath(axes, "integral time [emulator steps]")


def draw_line(
    axes: Axes, datasets: list[xr.Dataset], coordinate: str, values: np.ndarray, look: Appearance, label: str
) -> None:
    """One curve over a coordinate; a density of zero has no place on a logarithmic axis and leaves a gap."""
    shown = np.where(values > 0, values, np.nan) if coordinate.endswith("_bin") else values
    axes.plot(datasets[0][coordinate].to_numpy(), shown, label=label, **look._asdict())
