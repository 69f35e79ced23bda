"""How a rollout fares over time: the noise its states are thought to have, the work spent on them, their energy.

Each curve is taken over the members of all seeds in equal bins of time: for level and energy the median with the band
from the 5th to the 95th percentile of members and steps, for reverse steps the mean over living members. The energy is
that of the diagnostics, beside the envelope of the truth; a lost member counts as one of unbounded energy, so that the
median is never that of the survivors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import pairwise
from textwrap import fill

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from thermalize.artifacts.figures.registry import columns, register
from thermalize.artifacts.figures.starts import starts
from thermalize.artifacts.inputs import FigureInputs, envelope, lost_steps, state
from thermalize.artifacts.style import (
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
from thermalize.artifacts.units import typeset
from thermalize.diagnostics.invariants import invariants
from thermalize.diagnostics.study import shells_of

__all__ = ["binned", "energy", "health"]

BINS = {"level": 120, "work": 60, "energy": 120}
FRAMES, VALUES = 1200, 2**21
"""Most frames whose energy is drawn, and most numbers of them that are held at once."""

WIDTH = 30
"""Characters in a line of the energy's label."""

QUANTILES = (0.05, 0.5, 0.95)
LOST_ENERGY = np.inf
START_DASH = (0, (1, 1.5))


@register("health")
def health(inputs: FigureInputs) -> Figure:
    """Predicted level, reverse steps per step and energy by emulator; the first two only where a level is looked at."""
    rows: list[Callable[[FigureInputs, Axes, str], None]] = [draw_energy]
    if any(looked_at(rollout) for rollout in inputs.rollouts.values()):
        rows = [draw_level, draw_work, draw_energy]
    figure, axes = columns(len(inputs.emulators), (1.35,) * (len(rows) - 1) + (1.75,))
    for column, emulator in zip(axes.T, inputs.emulators, strict=True):
        for panel, draw_row in zip(column, rows, strict=True):
            draw_row(inputs, panel, emulator)
        headline(column[0], f"emulator {emulator}")
        column[-1].set_xlabel("time [emulator steps]")
    for panel in axes[:, 1:].ravel():
        panel.set_ylabel("")
    legend(figure, axes[:, 0])
    return figure


def legend(figure: Figure, column: np.ndarray) -> None:
    """One legend for all panels; what several panels show is named once."""
    entries: dict[str, Artist] = {}
    for panel in column[::-1]:
        handles, labels = panel.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    if len(column) > 1:
        entries["starting level"] = Line2D([], [], color=MUTED, linewidth=0.8, linestyle=START_DASH)
    wide = figure.get_figwidth() > COLUMN
    figure.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=5 if wide else 2)


def looked_at(rollout: xr.Dataset) -> bool:
    return bool((rollout["level"].to_numpy() >= 0).any())


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
        bounds = edges(level.shape[1], BINS["level"])
        curves = binned(level, bounds, spread)
        draw_band(axes, middles(bounds), curves, looks[label], label)
        top = max(top, 1.2 * np.nanmax(curves))
        if label in marks:
            axes.axhline(marks[label] + 0.5, color=looks[label].color, linewidth=0.8, linestyle=START_DASH)
            top = max(top, marks[label] + 2)
    level_axis(axes, "y", top)
    axes.set_ylabel("predicted noise\n[levels]")


def draw_work(inputs: FigureInputs, axes: Axes, emulator: str) -> None:
    """Running mean of the reverse steps that living members took per emulator step."""
    looks = appearances(inputs.experiment)
    for label in inputs.stabilizers(emulator):
        runs = inputs.runs(emulator, label)
        if not any(looked_at(rollout) for rollout in runs):
            continue
        work = np.concatenate([masked(rollout, rollout["reverse_steps"].to_numpy(), np.nan) for rollout in runs])[:, 1:]
        bounds = edges(work.shape[1], BINS["work"])
        curve = binned(work, bounds, np.mean)[0]
        axes.plot(middles(bounds), curve, **looks[label]._asdict())
    top = max(0.1, axes.get_ylim()[1])
    axes.set_ylim(-0.03 * top, top)
    axes.set_ylabel("reverse steps\nper step [1]")


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
