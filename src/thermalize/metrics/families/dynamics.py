"""Motion: how long a forecast follows the truth, correlation in time, slow fluctuations."""

from __future__ import annotations

import numpy as np

from thermalize.metrics.declared import Variable, with_interval
from thermalize.metrics.dynamics import correlation_time, integral_time, slow_fluctuations
from thermalize.metrics.pooling import means
from thermalize.metrics.registry import Case, Numbers, Seeds, family
from thermalize.metrics.statistics import interval, mean_weights, resampled_means

__all__ = ["AUTOCORRELATION", "LAG", "correlations", "motion"]

CORRELATION = {
    "correlation_time": Variable(
        ("threshold", "member"), "first lead below the threshold in emulator steps, or last with truth", known=True
    ),
    **with_interval("correlation", Variable(("lead",), "mean pattern correlation")),
    "correlation": Variable(("lead",), "pattern correlation with the truth, mean over members"),
}
AUTOCORRELATION = {
    "autocorrelation_truth": Variable(("lag",), "autocorrelation in time of the truth at fixed points"),
    "autocorrelation_rollout": Variable(("lag",), "autocorrelation in time of the rollout at fixed points"),
    "integral_time_truth": Variable((), "integral time of the truth in emulator steps"),
    "integral_time_rollout": Variable((), "integral time of the rollout in emulator steps"),
    "slow_fluctuations": Variable((), "slow fluctuations of band variances, relative to the truth's"),
    "slow_fluctuations_floor": Variable((), "slow fluctuations of one half of the truth, relative to the other's"),
}
LAG = Variable(("lag",), "time lag in emulator steps", known=True)


def correlation_times(seeds: Seeds) -> Numbers:
    """Median over members of the first step with a correlation below each threshold."""
    thresholds = seeds.datasets[0]["correlation_threshold"].values
    times = np.concatenate([dataset["correlation_time"].values for dataset in seeds.datasets], axis=1)
    return {
        f"correlation_time_{f'{threshold:g}'.replace('.', 'p')}": float(np.median(values))
        for threshold, values in zip(thresholds, times, strict=True)
    }


@family(
    CORRELATION,
    {
        "correlation_threshold": Variable(("threshold",), "threshold of high correlation", known=True),
        "lead": Variable(("lead",), "lead time in emulator steps", known=True),
    },
    correlation_times,
    place=60,
)
def correlations(case: Case) -> Numbers:
    """Per member, and the mean over the members whose truth lasts, with members resampled."""
    rollout, thresholds = case.rollout, case.config.correlation_thresholds
    values = rollout.correlation
    draws = mean_weights(len(values), case.config.resamples, case.own_stream("correlation"))
    low, high = interval(resampled_means(values, draws), case.config.confidence)
    return {
        "correlation_threshold": np.array(thresholds),
        "correlation_time": correlation_time(values, thresholds),
        "lead": np.arange(values.shape[1]),
        "correlation": np.nanmean(values, axis=0),
        "correlation_low": low,
        "correlation_high": high,
    }


@family(AUTOCORRELATION, {"lag": LAG}, means(*list(AUTOCORRELATION)[2:]), place=40)
def motion(case: Case) -> Numbers:
    """Autocorrelation in time and its integral; slow fluctuations, of which all of the truth shows few."""
    reference, rollout = case.reference, case.rollout
    truth, found = reference.autocorrelation, rollout.autocorrelation
    return {
        "lag": np.arange(truth.size),
        "autocorrelation_truth": truth,
        "autocorrelation_rollout": found,
        "integral_time_truth": reference.integral_time,
        "integral_time_rollout": integral_time(found),
        "slow_fluctuations": slow_fluctuations(rollout.series.bands[:, 1:], reference.series.bands, reference.block),
        "slow_fluctuations_floor": reference.slow_fluctuations_floor,
    }
