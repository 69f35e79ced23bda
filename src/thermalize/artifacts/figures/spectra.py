"""Spectra of the final window against the truth's, and their ratio, with every stabilizer's log-spectral distance.

d = √ mean_k (log₁₀ E(k)/E_truth(k))²  over the energy-containing shells, beside d between two halves of the truth.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thermalize.artifacts.figures.registry import columns, register
from thermalize.artifacts.figures.words import interval_text
from thermalize.artifacts.inputs import FigureInputs, units
from thermalize.artifacts.pooling import average
from thermalize.artifacts.style import BAND, MUTED, TRUTH_LOOK, Appearance, appearances, headline, plain_log

__all__ = ["spectra"]

LEAST_RATIO, MOST_RATIO = 2.0, 100.0


class Curve(NamedTuple):
    """A spectrum by shell with the ends of its interval."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


@register("spectra")
def spectra(inputs: FigureInputs) -> Figure:
    """One column per emulator: spectra above, their ratio to the truth below."""
    figure, axes = columns(len(inputs.emulators), (2.7, 1.2))
    for column, emulator in zip(axes.T, inputs.emulators, strict=True):
        draw_emulator(inputs, column, emulator)
    first = inputs.of_seeds(inputs.emulators[0], inputs.stabilizers(inputs.emulators[0])[0])[0]
    axes[0, 0].set_ylabel(f"variance per shell [{units(first['spectrum_truth'])}]")
    axes[1, 0].set_ylabel("ratio to truth [1]")
    return figure


def draw_emulator(inputs: FigureInputs, axes: np.ndarray, emulator: str) -> None:
    looks = appearances(inputs.experiment)
    names = inputs.stabilizers(emulator)
    first = inputs.of_seeds(emulator, names[0])
    floor = interval_text(average(first, "log_spectral_distance_floor"))
    draw_spectrum(axes, first, "spectrum_truth", TRUTH_LOOK, f"truth (halves): {floor}")
    for stabilizer in names:
        datasets = inputs.of_seeds(emulator, stabilizer)
        distance = interval_text(average(datasets, "log_spectral_distance"))
        draw_spectrum(axes, datasets, "spectrum_rollout", looks[stabilizer], f"{stabilizer}: {distance}")
    above, below = axes
    set_limits(above, below, [inputs.of_seeds(emulator, name) for name in names])
    mark_energy_containing(above, below, first[0])
    title = f"log-spectral distance [{inputs.confidence} interval]"
    above.legend(loc="lower left", title=title, title_fontsize=6.5, alignment="left")
    headline(above, f"emulator {emulator}")
    wavenumber = units(first[0]["wavenumber"])
    below.set_xlabel(f"wavenumber k [{'rad per length unit' if wavenumber == '1' else wavenumber}]")


def over_seeds(datasets: list[xr.Dataset], name: str) -> Curve:
    """Mean over seeds of a spectrum and of the ends of its interval, by shell."""
    names = (name, f"{name}_low", f"{name}_high")
    return Curve(*(np.mean([dataset[each].to_numpy() for dataset in datasets], axis=0) for each in names))


def draw_spectrum(axes: np.ndarray, datasets: list[xr.Dataset], name: str, look: Appearance, label: str) -> None:
    """A spectrum with its band above and its ratio to the truth below."""
    k, found = datasets[0]["wavenumber"].to_numpy(), over_seeds(datasets, name)
    truth = over_seeds(datasets, "spectrum_truth").value
    for panel, reference in zip(axes, (np.ones_like(truth), truth), strict=True):
        panel.loglog(k, found.value / reference, label=label, **look._asdict())
        panel.fill_between(k, found.low / reference, found.high / reference, color=look.color, alpha=BAND, linewidth=0)


def set_limits(above: Axes, below: Axes, stabilizers: list[list[xr.Dataset]]) -> None:
    """Keep the truth in view whatever a rollout does; the ratio shows the energy-containing shells up to a factor."""
    first = stabilizers[0][0]
    truth = first["spectrum_truth"].to_numpy()
    above.set_ylim(truth[truth > 0].min() / 10, truth.max() * 30)
    shown = first["energy_containing"].to_numpy().astype(bool)
    ratios = [over_seeds(datasets, "spectrum_rollout").value[shown] / truth[shown] for datasets in stabilizers]
    finite = np.abs(np.log(np.concatenate(ratios)))
    largest = float(np.exp(finite[np.isfinite(finite)].max(initial=0.0)))
    factor = min(MOST_RATIO, max(LEAST_RATIO, 1.5 * largest))
    below.set_ylim(1 / factor, factor)
    for axis in (below.xaxis, below.yaxis):
        plain_log(axis)


def mark_energy_containing(above: Axes, below: Axes, dataset: xr.Dataset) -> None:
    edge = dataset["wavenumber"].to_numpy()[dataset["energy_containing"].to_numpy().astype(bool)].max()
    for panel in (above, below):
        panel.axvline(edge, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
    below.annotate(
        "energy-containing", (edge, 0), xycoords=("data", "axes fraction"), xytext=(-3, 3), textcoords="offset points",
        ha="right", color=MUTED, fontsize=6,
    )  # fmt: skip
