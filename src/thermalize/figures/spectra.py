"""Spectra of the final window against the truth's, and their ratio, with every stabilizer's log-spectral distance.

d = √ mean (log₁₀ S(k)/S_truth(k))²  over the energy-containing shells of all channels, beside d between random halves
of the truth. Above stands the spectrum of the kinetic energy, where the diagnostics know it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thermalize.figures.inputs import FigureInputs, state, units
from thermalize.figures.panels import channel_names
from thermalize.figures.registry import columns, register
from thermalize.figures.style import (
    BAND,
    MUTED,
    TRUTH_LOOK,
    Appearance,
    appearances,
    beneath,
    decades,
    headline,
    plain_log,
)
from thermalize.figures.units import Scale, length_scale, typeset, wavenumber_scale
from thermalize.metrics.pooling import average, interval_text

__all__ = ["spectra"]

KINDS = {"energy_spectrum": "kinetic energy", "spectrum": "variance"}
HEIGHT, LOWEST = 2.3, 2.2
"""Heights of a row and of the lowest one, which has the legend beneath it, in inches."""

LEAST_RATIO, MOST_RATIO = 2.0, 100.0


class Curve(NamedTuple):
    """A spectrum by shell with the ends of its interval."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Place(NamedTuple):
    """What a column of panels is about: an emulator and a channel, as number and as name."""

    emulator: str
    channel: int
    name: str


@register("spectra")
def spectra(inputs: FigureInputs) -> Figure:
    """One column per emulator and channel: spectra above, the ratio of the variances to the truth's below."""
    names = channel_names(state(inputs.truth))
    places = [Place(emulator, *channel) for emulator in inputs.emulators for channel in enumerate(names)]
    first = inputs.of_seeds(inputs.emulators[0], inputs.stabilizers(inputs.emulators[0])[0])[0]
    kinds = [kind for kind in KINDS if f"{kind}_truth" in first]
    heights = (*[HEIGHT] * len(kinds), LOWEST)
    figure, axes = columns(len(places), heights, sharey="row" if len(names) == 1 else False)
    for column, place in zip(axes.T, places, strict=True):
        for panel, kind in zip(column, kinds, strict=False):
            draw_spectra(inputs, panel, place, kind)
        draw_ratios(inputs, column[-1], place)
        headline(column[0], f"emulator {place.emulator}" + (f", {place.name}" if place.name else ""))
    for column in axes.T[: 1 if len(names) == 1 else None]:
        for panel, kind in zip(column, kinds, strict=False):
            panel.set_ylabel(f"{KINDS[kind]} per shell [{typeset(units(first[f'{kind}_truth']))}]")
        column[-1].set_ylabel("ratio of variances\nto the truth's [1]")
    return figure


def over_seeds(datasets: list[xr.Dataset], name: str, channel: int) -> Curve:
    """Mean over seeds of a channel's spectrum and of the ends of its interval, by shell."""
    names = (name, f"{name}_low", f"{name}_high")
    return Curve(*(np.mean([dataset[each].to_numpy()[channel] for dataset in datasets], axis=0) for each in names))


def wavenumber(inputs: FigureInputs, dataset: xr.Dataset) -> tuple[np.ndarray, Scale]:
    """The shells' wavenumbers in units that go with those of the fields' axes, and the scale that makes them so."""
    x = state(inputs.truth)[state(inputs.truth).dims[-1]]
    scale = wavenumber_scale(units(dataset["wavenumber"]), length_scale(units(x), float(x[-1] - x[0])))
    return dataset["wavenumber"].to_numpy() * scale.factor, scale


def runs_of(inputs: FigureInputs, emulator: str) -> dict[str, list[xr.Dataset]]:
    return {name: inputs.of_seeds(emulator, name) for name in inputs.stabilizers(emulator)}


def draw_spectra(inputs: FigureInputs, axes: Axes, place: Place, kind: str) -> None:
    """Spectra of truth and rollouts; the truth stays in view whatever a rollout does."""
    runs, looks = runs_of(inputs, place.emulator), appearances(inputs.experiment)
    first = next(iter(runs.values()))
    k, _ = wavenumber(inputs, first[0])
    truth = over_seeds(first, f"{kind}_truth", place.channel)
    draw_curve(axes, k, truth, TRUTH_LOOK, "truth")
    for stabilizer, datasets in runs.items():
        draw_curve(axes, k, over_seeds(datasets, f"{kind}_rollout", place.channel), looks[stabilizer], stabilizer)
    positive = truth.value[truth.value > 0]
    if positive.size:
        axes.set_ylim(positive.min() / 10, positive.max() * 30)
    mark_energy_containing(axes, k, first[0], place.channel)


def draw_ratios(inputs: FigureInputs, axes: Axes, place: Place) -> None:
    """Variance spectra over the truth's, with every log-spectral distance, which is one for all channels."""
    runs, looks = runs_of(inputs, place.emulator), appearances(inputs.experiment)
    first = next(iter(runs.values()))
    k, scale = wavenumber(inputs, first[0])
    curves = {
        f"truth (halves): {interval_text(average(first, 'log_spectral_distance_floor'))}": (
            over_seeds(first, "spectrum_truth", place.channel),
            TRUTH_LOOK,
        )
    }
    for stabilizer, datasets in runs.items():
        label = f"{stabilizer}: {interval_text(average(datasets, 'log_spectral_distance'))}"
        curves[label] = over_seeds(datasets, "spectrum_rollout", place.channel), looks[stabilizer]
    truth = next(iter(curves.values()))[0].value
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = {label: Curve(*(part / truth for part in curve)) for label, (curve, _) in curves.items()}
    for label, ratio in ratios.items():
        draw_curve(axes, k, ratio, curves[label][1], label)
    shown = mark_energy_containing(axes, k, first[0], place.channel, "energy-containing")
    set_ratio_limits(axes, np.concatenate([ratio.value[shown] for ratio in ratios.values()]))
    axes.set_xlabel(f"wavenumber k [{scale.units}]")
    if place.channel == 0:
        beneath(axes, f"log-spectral distance [{inputs.confidence} interval]", drop=0.36)


def draw_curve(axes: Axes, k: np.ndarray, curve: Curve, look: Appearance, label: str) -> None:
    """A spectrum with the band of its interval; zeros have no place on a logarithmic axis."""
    value, low, high = (np.where(part > 0, part, np.nan) for part in curve)
    axes.loglog(k, value, label=label, **look._asdict())
    for axis in (axes.xaxis, axes.yaxis):
        decades(axis)
    axes.fill_between(k, low, high, color=look.color, alpha=BAND, linewidth=0)


def set_ratio_limits(axes: Axes, ratios: np.ndarray) -> None:
    """Show the ratios at energy-containing shells up to a factor."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.abs(np.log(ratios))
    largest = float(np.exp(logs[np.isfinite(logs)].max(initial=0.0)))
    factor = min(MOST_RATIO, max(LEAST_RATIO, 1.5 * largest))
    axes.set_ylim(1 / factor, factor)
    for axis in (axes.xaxis, axes.yaxis):
        plain_log(axis)


def mark_energy_containing(axes: Axes, k: np.ndarray, dataset: xr.Dataset, channel: int, text: str = "") -> np.ndarray:
    """A line at the last energy-containing shell of a channel; which shells these are."""
    shown: np.ndarray = dataset["energy_containing"].to_numpy()[channel].astype(bool)
    if shown.any():
        edge = k[shown].max()
        axes.axvline(edge, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
        axes.annotate(
            text, (edge, 0), xycoords=("data", "axes fraction"), xytext=(-3, 3), textcoords="offset points",
            ha="right", color=MUTED, fontsize=6,
        )  # fmt: skip
    return shown
