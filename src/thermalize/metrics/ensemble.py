"""The seeds of a rollout as an ensemble: its scores by lead time, with intervals over initial conditions.

All seeds of a rollout's member start from one true state; the test truth goes on from there and is what they forecast.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from thermalize.config import DiagnosticsConfig, Experiment
from thermalize.metrics.cases import Case, Start, cases, climatology, follow, ranks, reliability
from thermalize.metrics.declared import CHANNEL, Variable, dataset_of, with_interval
from thermalize.metrics.reference import comparable
from thermalize.metrics.registry import TRUTH
from thermalize.metrics.statistics import interval, mean_weights, resampled_means
from thermalize.rollouts.series import EVERY
from thermalize.runtime.errors import UserError
from thermalize.runtime.streams import stream

__all__ = ["RANK_LEADS", "VARIABLES", "score"]

Array = NDArray[np.float64]
Numbers = dict[str, Any]

RANK_LEADS = 3
"""Lead times with a rank histogram: the first, the last and, on a logarithmic axis, the one between."""

COORDINATES = {
    "lead": Variable(("lead",), "lead time in emulator steps", known=True),
    "lead_time": Variable(("lead",), "lead time", "{time}", known=True),
    "rank_lead": Variable(("rank_lead",), "lead time of the rank histogram in emulator steps", known=True),
    "rank": Variable(("rank",), "members of the ensemble that lie below the truth", known=True),
    "channel": CHANNEL,
}

MEASURES: dict[str, tuple[tuple[str, ...], str]] = {
    "crps": (("lead",), "fair continuous ranked probability score, in standard deviations of the truth"),
    "rmse": (("lead",), "root mean square error of the ensemble mean, in standard deviations of the truth"),
    "spread": (("lead",), "root mean unbiased variance of the ensemble, in standard deviations of the truth"),
    "spread_skill_ratio": (("lead",), "spread over root mean square error, times the root of (M+1)/M"),
    "rank_histogram": (("rank_lead", "rank"), "share of points at which the truth has the rank"),
    "crps_climatology": ((), "fair CRPS of as many true states of other members and times, mean over lead times"),
    "rmse_climatology": ((), "root mean square error of the mean of the same states, over all lead times"),
}

VARIABLES: dict[str, Variable] = {
    "truth_std": TRUTH["truth_std"],
    "initial_conditions": Variable(("lead",), "initial conditions that have all members of their ensemble"),
    **{name: each for stem, told in MEASURES.items() for name, each in with_interval(stem, Variable(*told)).items()},
}


class Average:
    """Means over initial conditions: over all of them, and over bootstrap draws of them."""

    def __init__(self, units: int, config: DiagnosticsConfig, rng: np.random.Generator) -> None:
        self.weights = np.concatenate([np.ones((1, units)), mean_weights(units, config.resamples, rng)])
        self.confidence = config.confidence

    def __call__(self, values: Array) -> Array:
        """(initial condition, …) → (1 + draw, …), the mean of what is known; the first is that over all."""
        return resampled_means(values, self.weights)

    def named(self, name: str, averages: Array, known: NDArray[np.int64]) -> Numbers:
        """Value and interval by name; one initial condition has no interval. `known` (…) says how many there are."""
        ends = interval(averages[1:], self.confidence)
        low, high = (np.where(known > 1, end, np.nan) for end in ends)
        return {name: averages[0], f"{name}_low": low, f"{name}_high": high}


def score(
    truth: xr.Dataset,
    std: Array,
    rollouts: Mapping[int, xr.Dataset],
    experiment: Experiment,
    labels: Mapping[str, str],
) -> xr.Dataset:
    """Scores of the rollouts by seed, each with the attributes `initial_member` and `initial_frame` (member,).

    `std` is the deviation of the truth (channel,); `labels` names emulator and stabilizer. Raises UserError where the
    seeds make no ensemble.
    """
    pairs = [comparable(truth, rollout) for rollout in rollouts.values()]
    reality, runs = pairs[0][0], [run for _, run in pairs]
    starts = common_starts(rollouts)
    every = int(next(iter(rollouts.values())).attrs.get(EVERY, 1))
    followed = (reality.shape[1] - max(frame for _, frame in starts) - 1) // every
    leads = min(followed, *(run.shape[1] - 1 for run in runs))
    if leads < 1:
        raise UserError("no state of the rollouts is stored while the truth goes on; lower `rollouts.store_every`")

    def rng(purpose: str) -> np.random.Generator:
        return stream(experiment.seed, "diagnostics", "ensemble", purpose)

    average = Average(len(starts), experiment.diagnostics, rng("bootstrap"))
    forecasts = list(cases(reality, runs, starts, std, every))
    references = climatology(reality, len(runs), starts, std, rng("climatology"), every)
    histogram = histograms(forecasts, leads, average, rng("ranks"))
    numbers = {
        "lead": every * np.arange(1, leads + 1),
        "lead_time": every * np.arange(1, leads + 1) * experiment.simulation.frame_interval,
        "rank": np.arange(len(runs) + 1),
        "channel": np.array([str(name) for name in reality["channel"].to_numpy()]),
        "truth_std": std,
        **by_lead(forecasts, leads, average),
        **histogram,
        "rank_lead": every * histogram["rank_lead"],
        **by_climatology(references, leads, average),
    }
    units = {"field": str(reality.attrs.get("units", "1")), "time": str(truth["time"].attrs.get("units", "1"))}
    attributes = {
        "title": "Scores of the seeds of a rollout as an ensemble forecast of held-out truth",
        "experiment": experiment.name,
        "emulator": labels["emulator"],
        "stabilizer": labels["stabilizer"],
        "seeds": list(rollouts),
        "frame_interval": experiment.simulation.frame_interval,
        "confidence": experiment.diagnostics.confidence,
    }
    return dataset_of(VARIABLES, COORDINATES, numbers, units, attributes)


def common_starts(rollouts: Mapping[int, xr.Dataset]) -> list[Start]:
    """Member and frame of the truth that every member began at; refused where the seeds do not share them."""
    starts = {
        seed: [*zip(rollout.attrs["initial_member"], rollout.attrs["initial_frame"], strict=True)]
        for seed, rollout in rollouts.items()
    }
    first = next(iter(starts))
    for seed, own in starts.items():
        if own != starts[first]:
            raise UserError(
                f"the rollouts of seeds {first} and {seed} start from different states, so they make no ensemble"
            )
    return starts[first]


def by_lead(forecasts: Sequence[Case], leads: int, average: Average) -> Numbers:
    """Scores at every lead over the initial conditions whose ensembles are complete."""
    crps, square, variance = np.stack([follow(case, leads) for case in forecasts], axis=1)
    known = np.isfinite(square).sum(axis=0)
    error, scatter = average(square), average(variance)
    ratio = reliability(scatter, error, len(forecasts[0].ensemble))
    return {
        "initial_conditions": known,
        **average.named("crps", average(crps), known),
        **average.named("rmse", np.sqrt(error), known),
        **average.named("spread", np.sqrt(scatter), known),
        **average.named("spread_skill_ratio", ratio, known),
    }


def histograms(forecasts: Sequence[Case], leads: int, average: Average, rng: np.random.Generator) -> Numbers:
    """Rank histograms at `RANK_LEADS` leads; `rng` ranks the truth among members that equal it."""
    shown = np.unique(np.geomspace(1, leads, RANK_LEADS).round().astype(np.int64))
    shares = np.stack([ranks(case, shown.tolist(), rng) for case in forecasts])
    known = np.isfinite(shares).sum(axis=0)
    return {"rank_lead": shown, **average.named("rank_histogram", average(shares), known)}


def by_climatology(references: Iterable[Case], leads: int, average: Average) -> Numbers:
    """Scores of climatological forecasts; these do not depend on the lead time, so all of them are averaged."""
    crps, square, _ = np.stack([follow(case, leads).mean(axis=-1) for case in references], axis=1)
    known = np.array(len(crps))
    return {
        **average.named("crps_climatology", average(crps), known),
        **average.named("rmse_climatology", np.sqrt(average(square)), known),
    }
