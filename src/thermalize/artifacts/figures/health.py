"""How a rollout fares over time: the noise level its states are thought to have, the work spent on them, their energy.

Each curve is taken over the members of all seeds in equal bins of time: the median with the 5–95 % band of members and steps
for level and energy, the mean for reverse steps. Energy is ½⟨u²⟩ over channels and grid, beside the envelope of the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thermalize.artifacts.figures.registry import columns, register
from thermalize.artifacts.inputs import FigureInputs, envelope, state
from thermalize.artifacts.style import BAND, MUTED, TRUTH, Appearance, appearances, headline

__all__ = ["binned", "energy", "health"]

BINS = 150
FRAMES = 1500
QUANTILES = (0.05, 0.5, 0.95)


@register("health")
def health(inputs: FigureInputs) -> Figure:
    """Predicted level, reverse steps per step and energy by emulator; the first two only where a level is looked at."""
    looked = any((rollout["level"].values >= 0).any() for rollout in inputs.rollouts.values())
    rows = [draw_level, draw_work, draw_energy] if looked else [draw_energy]
    figure, axes = columns(len(inputs.emulators), (1.35,) * (len(rows) - 1) + (1.6,))
    for column, emulator in zip(axes.T, inputs.emulators, strict=True):
        for panel, draw_row in zip(column, rows, strict=True):
            draw_row(inputs, panel, emulator)
        headline(column[0], emulator)
        column[-1].set_xlabel("time [emulator steps]")
    for panel, draw_row in zip(axes[:, 0], rows, strict=True):
        panel.set_ylabel(LABELS[draw_row])
    handles, labels = axes[-1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)))
    return figure


def binned(values: np.ndarray, edges: np.ndarray, reduce: Callable[[np.ndarray], np.ndarray | float]) -> np.ndarray:
    """`reduce` over the finite values [member, step] of every bin of steps; NaN where a bin has none."""
    found = [values[:, start:stop] for start, stop in zip(edges[:-1], edges[1:], strict=True)]
    results = [reduce(part[np.isfinite(part)]) if np.isfinite(part).any() else np.nan for part in found]
    width = max(np.size(result) for result in results)
    return np.array([np.broadcast_to(result, width) for result in results]).T


def quantiles(values: np.ndarray) -> np.ndarray:
    return np.quantile(values, QUANTILES)


def members(inputs: FigureInputs, emulator: str, stabilizer: str) -> Iterable[xr.Dataset]:
    return (inputs.rollouts[emulator, stabilizer, seed] for seed in inputs.seeds(emulator, stabilizer))


def series(inputs: FigureInputs, emulator: str, stabilizer: str, name: str) -> np.ndarray:
    """A health series [member, step ≥ 1] over the members of all seeds; NaN before and after it was recorded."""
    parts = []
    for rollout in members(inputs, emulator, stabilizer):
        level = rollout["level"].values[:, 1:]
        parts.append(np.where(level >= 0, rollout[name].values[:, 1:], np.nan))
    return np.concatenate(parts)


def bins(steps: int) -> np.ndarray:
    return np.unique(np.linspace(0, steps, min(BINS, steps) + 1).astype(int))


def draw_level(inputs: FigureInputs, axes: Axes, emulator: str) -> None:
    for stabilizer, look in appearances(inputs.experiment).items():
        if stabilizer in inputs.stabilizers(emulator):
            values = series(inputs, emulator, stabilizer, "level")
            draw_band(axes, values, np.arange(values.shape[1]) + 1.0, look, stabilizer)
    axes.set_yscale("symlog", linthresh=10, linscale=1.2)
    axes.set_ylim(bottom=0)


def draw_work(inputs: FigureInputs, axes: Axes, emulator: str) -> None:
    for stabilizer, look in appearances(inputs.experiment).items():
        if stabilizer not in inputs.stabilizers(emulator):
            continue
        values = series(inputs, emulator, stabilizer, "reverse_steps")
        edges = bins(values.shape[1])
        axes.plot((edges[:-1] + edges[1:]) / 2, binned(values, edges, np.mean)[0], color=look.color, linestyle=look.linestyle)
    axes.set_ylim(bottom=0)


def draw_energy(inputs: FigureInputs, axes: Axes, emulator: str) -> None:
    first = inputs.of_seeds(emulator, inputs.stabilizers(emulator)[0])
    bounds = envelope(first[0]).get("energy") if first else None
    if bounds is not None:
        axes.axhspan(*bounds, color=TRUTH, alpha=0.10, linewidth=0, label="envelope of the truth")
        axes.set_ylim(bounds[0] / 4, bounds[1] * 6)
    for stabilizer, look in appearances(inputs.experiment).items():
        if stabilizer in inputs.stabilizers(emulator):
            parts = [energy(rollout) for rollout in members(inputs, emulator, stabilizer)]
            draw_band(axes, np.concatenate([values for values, _ in parts]), parts[0][1], look, stabilizer)
    axes.set_yscale("log")


def draw_band(axes: Axes, values: np.ndarray, steps: np.ndarray, look: Appearance, label: str) -> None:
    """Median and 5–95 % band of values [member, step] taken at `steps`."""
    edges = bins(values.shape[1])
    if not np.isfinite(values).any():
        return
    low, middle, high = binned(values, edges, quantiles)
    time = np.array([steps[start:stop].mean() for start, stop in zip(edges[:-1], edges[1:], strict=True)])
    axes.plot(time, middle, color=look.color, linestyle=look.linestyle, label=label)
    axes.fill_between(time, low, high, color=look.color, alpha=BAND, linewidth=0)


def energy(rollout: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """½⟨u²⟩ [member, frame] over channels and grid, at evenly thinned frames, and their steps."""
    frames = np.arange(0, rollout.sizes["time"], max(1, rollout.sizes["time"] // FRAMES))
    values = state(rollout).isel(time=frames).astype(np.float64)
    space = [dim for dim in values.dims if dim not in ("member", "time")]
    return 0.5 * (values**2).mean(dim=space, skipna=False).transpose("member", "time").values, frames.astype(float)


LABELS: dict[Callable[[FigureInputs, Axes, str], None], str] = {
    draw_level: "predicted noise\n[levels]",
    draw_work: "reverse steps\nper step [1]",
    draw_energy: "energy ½⟨u²⟩ [1]",
}
