"""How rollouts fare over time: the noise that their states are thought to have, the work spent on them, their energy.

Each curve is taken over the members of all seeds in equal bins of time: for level and drift the mean, for the energy
the median, with the band from the 5th to the 95th percentile of members and steps; for reverse steps the mean over
living members. The energy is that of the diagnostics, beside the envelope of the truth; a lost member counts as one of
unbounded energy, so that the median is never that of the survivors.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from textwrap import fill

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from thermalize.figures.inputs import FigureInputs, envelope, lost_steps
from thermalize.figures.registry import columns, register
from thermalize.figures.starts import starts
from thermalize.figures.style import (
    BAND,
    COLUMN,
    MUTED,
    TRUTH,
    Appearance,
    appearances,
    headline,
    level_axis,
    plain_log,
)
from thermalize.figures.units import typeset
from thermalize.rollouts.series import recorded, values_of

__all__ = ["binned", "draw_band", "edges", "energy", "health", "masked", "middles", "quantiles", "spread"]

QUANTILES = (0.05, 0.5, 0.95)


def edges(steps: int, bins: int) -> np.ndarray:
    """Edges of at most that many equal bins of whole steps."""
    return np.unique(np.linspace(0, steps, min(bins, steps) + 1).astype(int))


def binned(values: np.ndarray, bounds: np.ndarray, reduce: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """`reduce` over what is not NaN among the values [member, step] of each bin: [result, bin], NaN for empty bins."""
    parts = [values[:, start:stop] for start, stop in pairwise(bounds.tolist())]
    results = [np.atleast_1d(reduce(known)) if (known := part[~np.isnan(part)]).size else None for part in parts]
    width = max((len(result) for result in results if result is not None), default=1)
    return np.array([np.full(width, np.nan) if result is None else result for result in results]).T


def quantiles(values: np.ndarray) -> np.ndarray:
    """The 5th, 50th and 95th percentile; each is one of the values, so that unbounded ones are allowed."""
    return np.quantile(values, QUANTILES, method="inverted_cdf")


def spread(values: np.ndarray) -> np.ndarray:
    """The mean between the 5th and the 95th percentile: medians of whole numbers jump."""
    low, _, high = quantiles(values)
    return np.array([low, values.mean(), high])


def middles(bounds: np.ndarray, step: float = 1.0) -> np.ndarray:
    return step * 0.5 * (bounds[:-1] + bounds[1:])


def draw_band(axes: Axes, time: np.ndarray, curves: np.ndarray, look: Appearance, label: str) -> None:
    """Median or mean with its 5–95 % band, from curves [low, middle, high]."""
    low, middle, high = curves
    axes.plot(time, middle, label=label, **look._asdict())
    axes.fill_between(time, low, high, color=look.color, alpha=BAND, linewidth=0)


def masked(rollout: xr.Dataset, values: np.ndarray, fill: float, frames: np.ndarray | None = None) -> np.ndarray:
    """`values` [member, frame] with `fill` from the step on from which a member is lost."""
    steps = np.arange(values.shape[1]) if frames is None else frames
    lost = np.array([np.inf if step is None else step for step in lost_steps(rollout)])
    return np.where(steps[None] < lost[:, None], values, fill)


BINS = {"seen": 120, "work": 60, "energy": 120}
KNOWN = ("level", "reverse_steps", "displacement", "drift", "rescaled")
"""Series that have a panel, or go with one that has."""
WIDTH, NARROW = 30, 20
"""Characters in a line of the energy's label, and of those of lower panels."""

LOST_ENERGY = np.inf
START_DASH = (0, (1, 1.5))


@register("health")
def health(inputs: FigureInputs) -> Figure:
    """Predicted level, reverse steps per step, drift and energy by emulator; each only where somebody looked at it."""
    rows = [draw for draw, series in ROWS if any(map(watching(series), inputs.rollouts.values()))]
    rows += [partial(draw_series, name=name) for name in others(inputs)]
    rows.append(draw_energy)
    figure, axes = columns(len(inputs.emulators), (1.35,) * (len(rows) - 1) + (1.75,))
    for column, emulator in zip(axes.T, inputs.emulators, strict=True):
        for panel, draw_row in zip(column, rows, strict=True):
            draw_row(inputs, panel, emulator)
        headline(column[0], f"emulator {emulator}")
        column[-1].set_xlabel("time [emulator steps]")
    for panel in axes[:, 1:].ravel():
        panel.set_ylabel("")
    legend(figure, axes[:, 0], levels=draw_level in rows)
    return figure


def legend(figure: Figure, column: np.ndarray, levels: bool) -> None:
    """One legend for all panels; what several panels show is named once."""
    entries: dict[str, Artist] = {}
    for panel in column[::-1]:
        handles, labels = panel.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    if levels:
        entries["starting level"] = Line2D([], [], color=MUTED, linewidth=0.8, linestyle=START_DASH)
    wide = figure.get_figwidth() > COLUMN
    figure.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=5 if wide else 2)


def watching(series: str) -> Callable[[xr.Dataset], bool]:
    """Whether somebody looked at this series of a rollout, which is negative or NaN where nobody did."""
    return lambda rollout: bool((values_of(rollout, series, np.nan) >= 0).any())


def others(inputs: FigureInputs) -> list[str]:
    """Series that have no panel of their own, of any rollout."""
    found = (name for rollout in inputs.rollouts.values() for name in recorded(rollout))
    return [name for name in dict.fromkeys(found) if name not in KNOWN]


def draw_level(inputs: FigureInputs, axes: Axes, emulator: str) -> None:
    """Predicted levels where they were looked at, with the level above which each thermalizer starts."""
    looks, top = appearances(inputs.experiment), 10.0
    marks = {label: level for name in inputs.experiment.diffusion for label, level in starts(inputs, name).items()}
    for label in inputs.stabilizers(emulator):
        levels = [values_of(rollout, "level", -1)[:, 1:].astype(float) for rollout in inputs.runs(emulator, label)]
        level = np.concatenate(levels)
        level[level < 0] = np.nan
        if np.isnan(level).all():
            continue
        top = max(top, 1.2 * draw_spread(axes, level, looks[label], label))
        if label in marks:
            axes.axhline(marks[label] + 0.5, color=looks[label].color, linewidth=0.8, linestyle=START_DASH)
            top = max(top, marks[label] + 2)
    level_axis(axes, "y", reached(axes, top))
    axes.set_ylabel("predicted noise\n[levels]")


def draw_spread(axes: Axes, values: np.ndarray, look: Appearance, label: str) -> float:
    """Mean and range of a series [member, step] that is NaN where nobody looked; the highest value drawn."""
    bounds = edges(values.shape[1], BINS["seen"])
    curves = binned(values, bounds, spread)
    draw_band(axes, middles(bounds), curves, look, label)
    return float(np.nanmax(curves))


def reached(axes: Axes, top: float) -> float:
    """`top`, or what an earlier panel needs of the axis that a row shares, if that is more."""
    return top if axes.get_autoscaley_on() else max(top, axes.get_ylim()[1])


def draw_work(inputs: FigureInputs, axes: Axes, emulator: str) -> None:
    """Running mean of the reverse steps that living members took per emulator step."""
    looks, top = appearances(inputs.experiment), 0.1
    for label in inputs.stabilizers(emulator):
        runs = inputs.runs(emulator, label)
        if not any(map(watching("level"), runs)):
            continue
        steps = [masked(rollout, values_of(rollout, "reverse_steps", 0), np.nan) for rollout in runs]
        work = np.concatenate(steps)[:, 1:]
        bounds = edges(work.shape[1], BINS["work"])
        curve = binned(work, bounds, np.mean)[0]
        axes.plot(middles(bounds), curve, **looks[label]._asdict())
        top = max(top, 1.05 * float(np.nanmax(curve)))
    top = reached(axes, top)
    axes.set_ylim(-0.03 * top, top)
    axes.set_ylabel("reverse steps\nper step [1]")


def draw_drift(inputs: FigureInputs, axes: Axes, emulator: str) -> None:
    """The band of each member that is furthest off, where that is watched; above 1 it is set right."""
    looks, top = appearances(inputs.experiment), 1.15
    for label in inputs.stabilizers(emulator):
        runs = inputs.runs(emulator, label)
        off = np.concatenate([values_of(rollout, "drift", np.nan)[:, 1:] for rollout in runs])
        if np.isnan(off).all():
            continue
        top = max(top, 1.1 * draw_spread(axes, off, looks[label], label))
    axes.axhline(1, color=MUTED, linewidth=0.8, linestyle=START_DASH)
    axes.set_ylim(0, reached(axes, top))
    axes.set_ylabel("drift of a band\n[thresholds]")


def draw_series(inputs: FigureInputs, axes: Axes, emulator: str, name: str) -> None:
    """Any other series, where it is recorded."""
    looks, series = appearances(inputs.experiment), {}
    for label in inputs.stabilizers(emulator):
        runs = inputs.runs(emulator, label)
        if all(name in (found := recorded(rollout)) for rollout in runs):
            series = found
            values = np.concatenate([masked(rollout, values_of(rollout, name, np.nan), np.nan) for rollout in runs])
            if np.isfinite(values[:, 1:]).any():
                draw_spread(axes, values[:, 1:], looks[label], label)
    if series:
        axes.set_ylabel(fill(f"{series[name].long_name} [{typeset(series[name].units)}]", NARROW))


def draw_energy(inputs: FigureInputs, axes: Axes, emulator: str) -> None:
    """Energy of the members beside the envelope of the truth; what grows beyond the panel is cut off."""
    looks = appearances(inputs.experiment)
    first = inputs.of_seeds(emulator, inputs.stabilizers(emulator)[0])[0]
    low, high = envelope(first)["energy"]
    axes.axhspan(low, high, color=TRUTH, alpha=0.10, linewidth=0, label="envelope of the truth")
    for label in inputs.stabilizers(emulator):
        pairs = zip(inputs.runs(emulator, label), inputs.of_seeds(emulator, label), strict=True)
        series = [energy(*pair) for pair in pairs]
        values, steps = np.concatenate([values for values, _ in series]), series[0][1]
        bounds = edges(values.shape[1], BINS["energy"])
        curves = np.minimum(binned(values, bounds, quantiles), 1e3 * high)
        draw_band(axes, middles(bounds, steps[1] - steps[0]), curves, looks[label], label)
    axes.set_yscale("log")
    axes.set_ylim(low / 3, high * 6)
    plain_log(axes.yaxis)
    axes.set_ylabel(energy_label(first))


def energy_label(diagnostics: xr.Dataset) -> str:
    """What the diagnostics call energy, with its units; the formula begins a line."""
    name, formula = re.split(r" (?=−?½)", diagnostics.attrs["energy"], maxsplit=1)
    unit = typeset(diagnostics.attrs["energy_units"]).replace(" ", "\xa0")
    return "\n".join((fill(name, WIDTH), fill(f"{formula} [{unit}]", WIDTH)))


def energy(rollout: xr.Dataset, diagnostics: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Energy [member, frame] as the diagnostics hold it, of unbounded size once a member is lost, and its steps."""
    frames = diagnostics["energy_step"].to_numpy()
    return masked(rollout, diagnostics["energy"].to_numpy(), LOST_ENERGY, frames), frames


Draw = Callable[[FigureInputs, Axes, str], None]
ROWS: tuple[tuple[Draw, str], ...] = ((draw_level, "level"), (draw_work, "level"), (draw_drift, "drift"))
"""Panels from top to bottom, and the series that somebody must have looked at; others, and the energy, follow."""
