"""How a rollout fares over time: the noise its states are thought to have, the work spent on them, their energy.

Each curve is taken over the members of all seeds in equal bins of time: for level and drift the mean, for the energy
the median, with the band from the 5th to the 95th percentile of members and steps; for reverse steps the mean over
living members. The energy is that of the diagnostics, beside the envelope of the truth; a lost member counts as one of
unbounded energy, so that the median is never that of the survivors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from textwrap import fill

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from thermalize.artifacts.figures.courses import binned, draw_band, edges, masked, middles, quantiles, spread
from thermalize.artifacts.figures.registry import columns, register
from thermalize.artifacts.figures.starts import starts
from thermalize.artifacts.inputs import FigureInputs, envelope, state
from thermalize.artifacts.style import (
    COLUMN,
    MUTED,
    TRUTH,
    Appearance,
    appearances,
    headline,
    level_axis,
    plain_log,
)
from thermalize.artifacts.units import typeset
from thermalize.diagnostics.invariants import invariants
from thermalize.diagnostics.study import shells_of

__all__ = ["energy", "health"]

BINS = {"seen": 120, "work": 60, "energy": 120}
FRAMES, VALUES = 1200, 2**21
"""Most frames whose energy is drawn, and most numbers of them that are held at once."""

WIDTH = 30
"""Characters in a line of the energy's label."""

LOST_ENERGY = np.inf
START_DASH = (0, (1, 1.5))


@register("health")
def health(inputs: FigureInputs) -> Figure:
    """Predicted level, reverse steps per step, drift and energy by emulator; each only where somebody looked at it."""
    rows = [draw for draw, series in ROWS if series is None or any(map(watching(series), inputs.rollouts.values()))]
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
    return lambda rollout: bool((rollout[series].to_numpy() >= 0).any())


def draw_level(inputs: FigureInputs, axes: Axes, emulator: str) -> None:
    """Predicted levels where they were looked at, with the level above which each thermalizer starts."""
    looks, top = appearances(inputs.experiment), 10.0
    marks = {label: level for name in inputs.experiment.diffusion for label, level in starts(inputs, name).items()}
    for label in inputs.stabilizers(emulator):
        levels = [rollout["level"].to_numpy()[:, 1:].astype(float) for rollout in inputs.runs(emulator, label)]
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
        work = np.concatenate([masked(rollout, rollout["reverse_steps"].to_numpy(), np.nan) for rollout in runs])[:, 1:]
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
        drift = np.concatenate([rollout["drift"].to_numpy()[:, 1:] for rollout in inputs.runs(emulator, label)])
        if np.isnan(drift).all():
            continue
        top = max(top, 1.1 * draw_spread(axes, drift, looks[label], label))
    axes.axhline(1, color=MUTED, linewidth=0.8, linestyle=START_DASH)
    axes.set_ylim(0, reached(axes, top))
    axes.set_ylabel("drift of a band\n[thresholds]")


def draw_energy(inputs: FigureInputs, axes: Axes, emulator: str) -> None:
    """Energy of the members beside the envelope of the truth; what grows beyond the panel is cut off."""
    looks = appearances(inputs.experiment)
    first = inputs.of_seeds(emulator, inputs.stabilizers(emulator)[0])[0]
    low, high = envelope(first)["energy"]
    axes.axhspan(low, high, color=TRUTH, alpha=0.10, linewidth=0, label="envelope of the truth")
    for label in inputs.stabilizers(emulator):
        series = [energy(rollout, first) for rollout in inputs.runs(emulator, label)]
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
    """Energy as the diagnostics define it [member, frame], at evenly thinned frames, and their steps."""
    frames = np.arange(0, rollout.sizes["time"], -(-rollout.sizes["time"] // FRAMES))
    field = state(rollout).transpose("member", "time", "channel", ...)
    system = json.loads(rollout.attrs.get("system", "{}"))
    standard = diagnostics["truth_mean"].to_numpy(), diagnostics["truth_std"].to_numpy()
    measure = invariants(str(field.name), system, shells_of(field), *standard).measure
    blocks = np.array_split(frames, max(1, frames.size * int(np.prod(field.shape[2:])) // VALUES))
    values = [
        np.concatenate([measure(field.isel(member=member, time=block).to_numpy()).energy for block in blocks])
        for member in range(field.shape[0])
    ]
    return masked(rollout, np.array(values), LOST_ENERGY, frames), frames


Draw = Callable[[FigureInputs, Axes, str], None]
ROWS: tuple[tuple[Draw, str | None], ...] = (
    (draw_level, "level"),
    (draw_work, "level"),
    (draw_drift, "drift"),
    (draw_energy, None),
)
"""Panels from top to bottom, and the series that somebody must have looked at."""
