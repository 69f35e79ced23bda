"""The seeds as ensembles, by lead time: CRPS, skill and spread, their ratio, and rank histograms.

Everything in standard deviations of the truth. Spread of exactly zero, of a rollout without chance, has no place on a
logarithmic axis; it shows as a ratio of 0 and as a truth that is always first or last in rank.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from thermalize.figures.inputs import FigureInputs
from thermalize.figures.registry import register
from thermalize.figures.style import BAND, MUTED, PAGE, TRUTH, Appearance, appearances, headline, note, plain_log
from thermalize.figures.survival import clock_above

__all__ = ["ensemble"]

HEIGHT = 3.6
MARKERS = 9
DECADES, MOST = 4.0, 5.0

REFERENCE: dict[str, Any] = {"color": TRUTH, "linestyle": (0, (1, 2)), "linewidth": 0.9}


class Run(NamedTuple):
    """One stabilizer's scores and how they are drawn."""

    scores: xr.Dataset
    look: Appearance


@register("ensemble", when="ensembles")
def ensemble(inputs: FigureInputs) -> Figure:
    """One row per emulator: CRPS; skill and spread above their ratio; rank histograms."""
    emulators = list(dict.fromkeys(emulator for emulator, _ in inputs.ensembles))
    figure = Figure(figsize=(PAGE, HEIGHT * len(emulators)), layout="constrained")
    for row, emulator in zip(figure.subfigures(len(emulators), 1, squeeze=False)[:, 0], emulators, strict=True):
        draw_row(inputs, row, emulator)
    return figure


def draw_row(inputs: FigureInputs, figure: SubFigure, emulator: str) -> None:
    """All panels of one emulator, with one legend beneath them."""
    looks = appearances(inputs.experiment)
    runs = {label: Run(scores, looks[label]) for (name, label), scores in inputs.ensembles.items() if name == emulator}
    grid = figure.add_gridspec(1, 3, width_ratios=(1, 1, 0.8))
    crps = figure.add_subplot(grid[0, 0])
    errors, ratio = grid[0, 1].subgridspec(2, 1, height_ratios=(2, 1)).subplots(sharex=True, squeeze=False)[:, 0]
    first = next(iter(runs.values())).scores
    ranks = grid[0, 2].subgridspec(first.sizes["rank_lead"], 1).subplots(sharex=True, sharey=True, squeeze=False)[:, 0]
    draw_crps(crps, runs)
    draw_errors(errors, runs)
    draw_ratio(ratio, runs)
    for place, panel in enumerate(ranks):
        draw_ranks(inputs, panel, runs, place)
    ranks[-1].set_xlabel("rank of the truth [members]")
    ranks[len(ranks) // 2].set_ylabel("frequency, times M + 1 [1]")
    for panel in (crps, errors):
        clock_above(panel, inputs.clock, "lead time")
    for panel in (crps, ratio):
        panel.set_xlabel("lead time [emulator steps]")
    headline(crps, f"emulator {emulator}")
    handles = [Line2D([], [], label=label, **run.look._asdict()) for label, run in runs.items()]
    handles.append(Line2D([], [], label="climatology; reliable", **REFERENCE))
    title = f"{first.sizes['rank'] - 1} members from each of {inputs.experiment.rollouts.members} states; " + (
        f"band: {inputs.confidence} interval over these"
    )
    figure.legend(
        handles=handles, loc="outside lower center", ncols=min(5, len(handles)), title=title, title_fontsize=6.5
    )


def draw_crps(axes: Axes, runs: dict[str, Run]) -> None:
    """Fair CRPS, which of identical members is their mean absolute error."""
    for run in runs.values():
        draw_curve(axes, run, "crps")
    draw_reference(axes, runs, "crps")
    axes.set_ylabel("fair CRPS [standard deviations of the truth]")


def draw_errors(axes: Axes, runs: dict[str, Run]) -> None:
    """RMSE of the ensemble mean as lines, the spread as lines with circles."""
    for run in runs.values():
        draw_curve(axes, run, "rmse")
        draw_curve(axes, run, "spread", circles=True)
    draw_reference(axes, runs, "rmse")
    axes.set_ylabel("RMSE of the mean; spread (○)\n[standard deviations]")
    axes.tick_params(labelbottom=False)


def draw_ratio(axes: Axes, runs: dict[str, Run]) -> None:
    """Spread over skill; 1 is reliable."""
    for run in runs.values():
        draw_curve(axes, run, "spread_skill_ratio")
    axes.axhline(1, **REFERENCE)
    axes.set(xscale="log", ylim=(-0.05, None), xlim=leads(runs), ylabel="spread / skill [1]")
    plain_log(axes.xaxis)


def leads(runs: dict[str, Run]) -> tuple[float, float]:
    """Range of the lead times, which are there also where no score is."""
    last = next(iter(runs.values())).scores["lead"].to_numpy()[-1]
    return 0.9, 1.1 * float(last)


def draw_curve(axes: Axes, run: Run, name: str, circles: bool = False) -> None:
    """A score by lead with its band, and the lead from which initial conditions are missing as a cross."""
    scores, look = run
    lead = scores["lead"].to_numpy()
    value, low, high = (scores[f"{name}{end}"].to_numpy() for end in ("", "_low", "_high"))
    drawn = value if name == "spread_skill_ratio" else np.where(value > 0, value, np.nan)
    style = look._asdict() | (
        {"linewidth": 0.8, "marker": "o", "markersize": 3, "markerfacecolor": "white"} if circles else {}
    )
    places = np.unique(np.geomspace(1, len(lead), MARKERS).round().astype(int) - 1)
    axes.plot(lead, drawn, markevery=places.tolist(), **style)
    axes.fill_between(lead, low, high, color=look.color, alpha=BAND, linewidth=0)
    complete = scores["initial_conditions"].to_numpy()
    missing = np.flatnonzero((complete < complete.max()) & np.isfinite(drawn))
    if missing.size:
        axes.plot(lead[missing[0]], drawn[missing[0]], "x", color=look.color, markersize=5, zorder=5)


def draw_reference(axes: Axes, runs: dict[str, Run], name: str) -> None:
    """The climatology, and logarithmic axes that show all scores from `DECADES` below it to `MOST` times it."""
    reference = next(iter(runs.values())).scores[f"{name}_climatology"].item()
    axes.axhline(reference, **REFERENCE)
    values = np.concatenate([line.get_ydata() for line in axes.lines]).astype(float)
    least = max(np.nanmin(values) / 1.5, reference / 10**DECADES)
    most = np.clip(1.3 * np.nanmax(values), 2 * reference, MOST * reference)
    axes.set(xscale="log", yscale="log", ylim=(least, most), xlim=leads(runs))
    for axis in (axes.xaxis, axes.yaxis):
        plain_log(axis)


def draw_ranks(inputs: FigureInputs, axes: Axes, runs: dict[str, Run], place: int) -> None:
    """Rank histograms at one lead, over the uniform one of a reliable ensemble."""
    lead = next(iter(runs.values())).scores["rank_lead"].to_numpy()[place]
    for scores, look in runs.values():
        rank = scores["rank"].to_numpy()
        value, low, high = (
            len(rank) * scores[f"rank_histogram{end}"].isel(rank_lead=place).to_numpy() for end in ("", "_low", "_high")
        )
        axes.plot(rank, value, marker=".", markersize=3, **look._asdict())
        axes.fill_between(rank, low, high, color=look.color, alpha=BAND, linewidth=0)
    axes.axhline(1, **REFERENCE)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_title(inputs.moment(int(lead)), loc="right", color=MUTED, fontsize=6.5, pad=2)
    if not any(np.isfinite(line.get_ydata()).all() for line in axes.lines[:-1]):
        note(axes, "every ensemble lost a member")
