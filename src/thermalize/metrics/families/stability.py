"""How long members stay inside the envelope of the truth, and the survival of all of them."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np
from scipy.stats import binomtest

from thermalize.metrics.declared import Variable, with_interval
from thermalize.metrics.pooling import MISSING, horizons, mean
from thermalize.metrics.registry import Case, Cell, Numbers, Seeds, family
from thermalize.metrics.stability import CAUSES, horizon
from thermalize.metrics.statistics import kaplan_meier

__all__ = ["HORIZON", "horizon_text", "stability"]

HORIZON = {
    "stable_horizon": Variable(
        ("member",), "emulator step of leaving the truth's envelope, or of censoring", known=True, ends=()
    ),
    "horizon_observed": Variable(
        ("member",),
        "whether the member left the envelope or was censored at the end",
        flags=("censored", "left_envelope"),
    ),
    "horizon_cause": Variable(("member",), "why the member left the envelope", flags=CAUSES),
}
SURVIVAL = {
    **with_interval("survival", Variable(("event",), "Kaplan-Meier survival")),
    "survival": Variable(("event",), "Kaplan-Meier share of members inside the envelope"),
}
MEDIAN = {
    "stable_horizon_median": Variable(
        (),
        "Kaplan-Meier median of the stable horizon in emulator steps, missing if not reached",
        ends=("stable_horizon_low", "stable_horizon_high"),
    ),
    "stable_horizon_low": Variable((), "median stable horizon: lower end of the interval, missing if not reached"),
    "stable_horizon_high": Variable((), "median stable horizon: upper end of the interval, missing if not reached"),
}
SHARES = {
    "stable_fraction": Variable((), "share of members that never left the envelope", known=True),
    "truth_stable_fraction": Variable(
        (), "share of held-out members of the truth that never left the envelope", known=True
    ),
}
ENERGY = {
    "energy": Variable(("member", "energy_frame"), "energy of the state, missing where it has none", "{energy}"),
}
MOST_FRAMES = 1200
"""Of a rollout, whose energy is kept."""


def horizon_text(row: Any, _: bool = True) -> str:
    """Median horizon [steps] of a row with its interval, or what it is at least."""
    if row.stable_horizon_is_lower_bound:
        return f"≥ {row.stable_horizon_median:.0f}"
    high = f"{row.stable_horizon_high:.0f}" if isfinite(row.stable_horizon_high) else MISSING
    return f"{row.stable_horizon_median:.0f} [{row.stable_horizon_low:.0f}, {high}]"


def columns(seeds: Seeds) -> Numbers:
    """Median and share over the members of all seeds.

    Where fewer than half of the members have left, the median is only known to be at least the length of the rollout,
    and `stable_horizon_is_lower_bound` says so; likewise the lower end of its interval. An upper end that the rollout
    is too short to reach is missing. The interval of the stable fraction is Clopper–Pearson's.
    """
    step, left = horizons(seeds.datasets)
    median, low, high = kaplan_meier(step, left, seeds.confidence).median
    share = binomtest(int((~left).sum()), left.size).proportion_ci(seeds.confidence, method="exact")
    return {
        "members": len(step),
        "steps": seeds.steps,
        "confidence": seeds.confidence,
        "stable_fraction": float(np.mean(~left)),
        "stable_fraction_low": float(share.low),
        "stable_fraction_high": float(share.high),
        "stable_horizon_median": seeds.steps if np.isnan(median) else median,
        "stable_horizon_low": seeds.steps if np.isnan(low) else low,
        "stable_horizon_high": high,
        "stable_horizon_is_lower_bound": bool(np.isnan(median)),
        "truth_stable_fraction": mean(seeds.datasets, "truth_stable_fraction"),
    }


@family(
    {**HORIZON, **SURVIVAL, **MEDIAN, **SHARES, **ENERGY},
    {
        "event_step": Variable(("event",), "emulator step from which the survival holds", known=True),
        "energy_step": Variable(("energy_frame",), "emulator step of the energy", known=True),
    },
    columns,
    (
        Cell("stable", lambda row, _: f"{round(row.stable_fraction * row.members)}/{row.members}", 10),
        Cell("horizon\n[steps]", horizon_text, 11),
    ),
    place=10,
)
def stability(case: Case) -> Numbers:
    """Horizons, their causes and survival, the same judgement of the held-out half of the truth, and the energy."""
    series = case.rollout.series
    judged = horizon(series, case.reference.envelope, case.lost)
    curve = kaplan_meier(judged.step, judged.observed, case.config.confidence)
    median, low, high = curve.median
    frames = np.arange(0, series.energy.shape[1], -(-series.energy.shape[1] // MOST_FRAMES))
    return {
        "stable_horizon": judged.step,
        "horizon_observed": judged.observed,
        "horizon_cause": judged.cause,
        "event_step": curve.step,
        "survival": curve.survival,
        "survival_low": curve.low,
        "survival_high": curve.high,
        "stable_horizon_median": median,
        "stable_horizon_low": low,
        "stable_horizon_high": high,
        "stable_fraction": float(np.mean(judged.observed == 0)),
        "truth_stable_fraction": float(np.mean(case.reference.held_out.observed == 0)),
        "energy_step": frames,
        "energy": series.energy[:, frames],
    }
