"""States that the diffusion models made beside held-out truth: spectra, their ratio to the truth's, field values.

Samples show what a model knows of the whole distribution, from the highest level it was trained on down; thermalized
states are true ones that were noised and denoised once at a low level, and should be as good as truth.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.typing import HashableList

from thermalize.figures.distributions import draw_line
from thermalize.figures.inputs import FigureInputs, state, units
from thermalize.figures.panels import channel_names
from thermalize.figures.registry import register
from thermalize.figures.spectra import Curve, draw_curve, mark_energy_containing, set_ratio_limits, wavenumber
from thermalize.figures.style import (
    COLUMN,
    GENERATED,
    TRUTH_LOOK,
    Appearance,
    beneath,
    decades,
    headline,
    note,
    plain_log,
)
from thermalize.figures.units import typeset
from thermalize.metrics.pooling import average, interval_text, number

__all__ = ["samples"]

HEIGHTS = (2.1, 2.4, 2.6)
"""Heights of spectra, ratios and densities with their legends, in inches."""

NAMES = {"unconditional": "unconditional samples", "partial": "partial samples", "thermalized": "truth thermalized"}


class Kind(NamedTuple):
    """One kind of states of a model: what it is in words, its own part of the dataset, its look."""

    name: str
    dataset: xr.Dataset
    look: Appearance


@register("samples", when="diffusion")
def samples(inputs: FigureInputs) -> Figure:
    """One column per diffusion model and, in the spectra, per channel."""
    names, count = channel_names(state(inputs.truth)), max(1, len(inputs.samples))
    figure = Figure(figsize=(count * max(COLUMN, 2.8 * len(names)), sum(HEIGHTS)), layout="constrained")
    if not inputs.samples:
        panel = figure.subplots()
        panel.set_axis_off()
        note(panel, "no diffusion model in this experiment")
        return figure
    parts = figure.subfigures(1, count, squeeze=False)[0]
    for part, (model, dataset) in zip(parts, inputs.samples.items(), strict=True):
        draw_model(inputs, part, model, dataset, names)
    return figure


def draw_model(inputs: FigureInputs, figure: SubFigure, model: str, dataset: xr.Dataset, names: list[str]) -> None:
    """Spectra and ratios by channel; below them the density of all channels together."""
    mosaic: list[HashableList[str]] = [
        [f"spectrum{channel}" for channel, _ in enumerate(names)],
        [f"ratio{channel}" for channel, _ in enumerate(names)],
        ["density" for _ in names],
    ]
    panels = figure.subplot_mosaic(mosaic, height_ratios=HEIGHTS)
    kinds = list(kinds_of(dataset))
    k, scale = wavenumber(inputs, dataset)
    for channel, name in enumerate(names):
        above, below = panels[f"spectrum{channel}"], panels[f"ratio{channel}"]
        above.sharex(below)
        above.tick_params(which="both", labelbottom=False)
        draw_spectra(above, k, dataset, kinds, channel)
        draw_ratios(below, k, dataset, kinds, channel)
        above.set_ylabel(f"variance per shell [{typeset(units(dataset['spectrum_truth']))}]")
        below.set(xlabel=f"wavenumber k [{scale.units}]", ylabel="ratio of variances\nto the truth's [1]")
        headline(above, name or f"diffusion model {model}", "" if name else f"{dataset.attrs['states']} states")
    if len(names) > 1:
        figure.suptitle(f"diffusion model {model}, {dataset.attrs['states']} states", fontsize=7, fontweight="bold")
    beneath(panels["ratio0"], f"log-spectral distance [{inputs.confidence} interval]", drop=0.26)
    draw_density(panels["density"], dataset, kinds)
    beneath(panels["density"], f"W₁ of field values [{inputs.confidence} interval]", drop=0.24)


def kinds_of(dataset: xr.Dataset) -> Iterator[Kind]:
    for place, look in zip(range(dataset.sizes["kind"]), GENERATED, strict=True):
        part = dataset.isel(kind=place)
        where = "" if str(part["kind"].item()) == "unconditional" else f" (noise {number(float(part['noise']))} σ)"
        yield Kind(f"{NAMES[str(part['kind'].item())]}{where}", part, look)


def curve(dataset: xr.Dataset, name: str, channel: int) -> Curve:
    return Curve(*(dataset[f"{name}{end}"].to_numpy()[channel] for end in ("", "_low", "_high")))


def draw_spectra(axes: Axes, k: np.ndarray, dataset: xr.Dataset, kinds: list[Kind], channel: int) -> None:
    """Spectra of one channel; the truth stays in view whatever a model makes."""
    truth = curve(dataset, "spectrum_truth", channel)
    draw_curve(axes, k, truth, TRUTH_LOOK, "truth")
    for kind in kinds:
        draw_curve(axes, k, curve(kind.dataset, "spectrum_samples", channel), kind.look, kind.name)
    positive = truth.value[truth.value > 0]
    if positive.size:
        axes.set_ylim(positive.min() / 10, positive.max() * 30)
    plain_log(axes.xaxis)
    mark_energy_containing(axes, k, dataset, channel)


def draw_ratios(axes: Axes, k: np.ndarray, dataset: xr.Dataset, kinds: list[Kind], channel: int) -> None:
    """The same over the truth's, with the distances of all channels together."""
    truth = curve(dataset, "spectrum_truth", channel)
    curves = [(truth, TRUTH_LOOK), *((curve(kind.dataset, "spectrum_samples", channel), kind.look) for kind in kinds)]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = [(Curve(*(part / truth.value for part in each)), look) for each, look in curves]
    for (ratio, look), label in zip(ratios, labels(kinds, "log_spectral_distance"), strict=True):
        draw_curve(axes, k, ratio, look, label)
    shown = mark_energy_containing(axes, k, dataset, channel, "energy-containing")
    set_ratio_limits(axes, np.concatenate([ratio.value[shown] for ratio, _ in ratios]))


def draw_density(axes: Axes, dataset: xr.Dataset, kinds: list[Kind]) -> None:
    """Density of field values on the truth's bins, with W₁."""
    truth = dataset["field_pdf_truth"].to_numpy()
    densities = [truth, *(kind.dataset["field_pdf_samples"].to_numpy() for kind in kinds)]
    looks = [TRUTH_LOOK, *(kind.look for kind in kinds)]
    for values, look, label in zip(densities, looks, labels(kinds, "wasserstein_field"), strict=True):
        draw_line(axes, [dataset], "field_bin", values, look, label)
    axes.set_yscale("log")
    decades(axes.yaxis)
    axes.set_ylim(truth[truth > 0].min() / 3, 3 * np.max(densities))
    axes.set(xlabel="field [σ of the truth]", ylabel="probability density [1]")


def labels(kinds: list[Kind], distance: str) -> list[str]:
    """Of the truth with the floor, then of every kind with its distance."""
    floor = interval_text(average([kinds[0].dataset], f"{distance}_floor"))
    return [f"truth (halves): {floor}"] + [
        f"{kind.name}: {interval_text(average([kind.dataset], distance))}" for kind in kinds
    ]
