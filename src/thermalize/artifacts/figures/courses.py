"""Series of many members and steps as curves over time: a middle and a band in equal bins of steps."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from thermalize.artifacts.inputs import lost_steps
from thermalize.artifacts.style import BAND, Appearance

__all__ = ["binned", "draw_band", "edges", "masked", "middles", "quantiles", "spread"]

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
