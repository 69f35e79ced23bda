"""Spectra of the final window against the truth's, and their ratio, with the log-spectral distance of every stabilizer.

    d = √ mean_k (log₁₀ E(k)/E_truth(k))²  over the energy-containing shells, beside the same d between halves of the truth.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thermalize.artifacts.figures.registry import columns, register
from thermalize.artifacts.figures.words import interval_text
from thermalize.artifacts.inputs import FigureInputs
from thermalize.artifacts.pooling import Estimate, average
from thermalize.artifacts.style import BAND, MUTED, TRUTH, Appearance, appearances, headline

__all__ = ["spectra"]

RATIO_LIMIT = 30.0


@register("spectra")
def spectra(inputs: FigureInputs) -> Figure:
    """One column per emulator: spectra above, their ratio to the truth below."""
    figure, axes = columns(len(inputs.emulators), (2.5, 1.2))
    for column, emulator in zip(axes.T, inputs.emulators, strict=True):
        draw_emulator(inputs, column, emulator)
    axes[0, 0].set_ylabel("variance per shell [1]")
    axes[1, 0].set_ylabel("ratio to truth [1]")
    return figure


def draw_emulator(inputs: FigureInputs, axes: np.ndarray, emulator: str) -> None:
    above, below = axes
    looks = appearances(inputs.experiment)
    for number, stabilizer in enumerate(inputs.stabilizers(emulator)):
        datasets = inputs.of_seeds(emulator, stabilizer)
        if number == 0:
            draw_truth(above, below, datasets)
        label = f"{stabilizer}  {interval_text(average(datasets, 'log_spectral_distance'))}"
        draw_spectrum(above, below, datasets, looks[stabilizer], label)
    limits(above, below, inputs.of_seeds(emulator, stabilizer)[0])
    above.legend(loc="lower left", title=f"log-spectral distance [{inputs.confidence} interval]", title_fontsize=6.5, alignment="left")
    headline(above, emulator)
    below.set_xlabel("wavenumber k [rad / length unit]")


def band(datasets: list[xr.Dataset], name: str) -> Estimate:
    """Mean over seeds of a spectrum and of the ends of its interval, by shell."""
    ends = (np.mean([dataset[f"{name}{end}"].values for dataset in datasets], axis=0) for end in ("", "_low", "_high"))
    return Estimate(*ends)


def draw_truth(above: Axes, below: Axes, datasets: list[xr.Dataset]) -> None:
    k, truth = datasets[0]["wavenumber"].values, band(datasets, "spectrum_truth")
    label = f"truth, half against half  {interval_text(average(datasets, 'log_spectral_distance_floor'))}"
    above.loglog(k, truth.value, color=TRUTH, label=label, zorder=3)
    above.fill_between(k, truth.low, truth.high, color=TRUTH, alpha=BAND, linewidth=0)
    below.loglog(k, np.ones_like(k), color=TRUTH)
    below.fill_between(k, truth.low / truth.value, truth.high / truth.value, color=TRUTH, alpha=BAND, linewidth=0)


def draw_spectrum(above: Axes, below: Axes, datasets: list[xr.Dataset], look: Appearance, label: str) -> None:
    k, found = datasets[0]["wavenumber"].values, band(datasets, "spectrum_rollout")
    truth = band(datasets, "spectrum_truth").value
    for axes, reference in ((above, 1.0), (below, truth)):
        line = found.value / reference
        axes.loglog(k, line, color=look.color, linestyle=look.linestyle, label=label, zorder=4)
        axes.fill_between(k, found.low / reference, found.high / reference, color=look.color, alpha=BAND, linewidth=0)


def limits(above: Axes, below: Axes, dataset: xr.Dataset) -> None:
    """Keep the truth in view, whatever a lost rollout does, and mark where the energy-containing shells end."""
    k, truth = dataset["wavenumber"].values, dataset["spectrum_truth"].values
    positive = truth[truth > 0]
    above.set_ylim(positive.min() / 5, positive.max() * 20)
    below.set_ylim(1 / RATIO_LIMIT, RATIO_LIMIT)
    edge = k[dataset["energy_containing"].values.astype(bool)].max()
    for axes in (above, below):
        axes.axvline(edge, color=MUTED, linewidth=0.7, linestyle=(0, (1, 2)))
    above.annotate(
        "energy-containing", (edge, 1), xycoords=("data", "axes fraction"), xytext=(-3, -1), textcoords="offset points",
        ha="right", va="top", color=MUTED, fontsize=6,
    )  # fmt: skip
