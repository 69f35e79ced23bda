"""CF attributes of every variable of the diagnostics file; times count emulator steps, whose CF unit is 1.

Units in braces depend on the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from thermalize.metrics.stability import CAUSES

__all__ = ["COORDINATES", "DISTANCES", "ENDS", "SUFFIXES", "VARIABLES", "Entry", "attributes", "described", "optional"]

Entry = tuple[tuple[str, ...], str, str]

COORDINATES: dict[str, Entry] = {
    "member": (("member",), "rollout member", "1"),
    "channel": (("channel",), "channel of the field", ""),
    "wavenumber": (("shell",), "wavenumber of the shell, in radians per unit of length", "{wavenumber}"),
    "window_start": (("window",), "first emulator step of the window", "1"),
    "event_step": (("event",), "emulator step from which the survival holds", "1"),
    "correlation_threshold": (("threshold",), "threshold of high correlation", "1"),
    "lead": (("lead",), "lead time in emulator steps", "1"),
    "lag": (("lag",), "time lag in emulator steps", "1"),
    "field_bin": (
        ("bin",),
        "centre of the bin of field values, in standard deviations of the truth from its mean",
        "1",
    ),
    "increment_bin": (
        ("bin",),
        "centre of the bin of increments, in standard deviations of the truth's increments",
        "1",
    ),
}

DISTANCES = {
    "log_spectral_distance": "log-spectral distance over the energy-containing shells, in decades",
    "wasserstein_field": "Wasserstein-1 distance of field values, in standard deviations of the truth",
    "wasserstein_increment": "Wasserstein-1 distance of increments, in standard deviations of the truth's increments",
}

ENDS = {"_low": ": lower end of the interval", "_high": ": upper end of the interval"}

SUFFIXES = {
    "": "",
    **ENDS,
    "_floor": ": noise floor, median between random halves of the truth",
    "_floor_low": ": lower end of the noise floor's interval",
    "_floor_high": ": upper end of the noise floor's interval",
}

SPECTRA = {
    f"{kind}_{of}{end}": (("channel", "shell"), f"{words} of the {of}{more}", units)
    for kind, words, units in (
        ("spectrum", "variance spectrum", "{variance}"),
        ("energy_spectrum", "kinetic energy spectrum", "{energy}"),
    )
    for of in ("truth", "rollout")
    for end, more in {"": ", sum over the shell", **ENDS}.items()
}

VARIABLES: dict[str, Entry] = {
    "truth_mean": (("channel",), "mean of the truth", "{field}"),
    "truth_std": (("channel",), "standard deviation of the truth", "{field}"),
    "truth_increment_std": (("channel",), "standard deviation of the truth's one-step increments", "{field}"),
    **SPECTRA,
    "energy_containing": (("channel", "shell"), "whether the shell is one of the energy-containing ones", "1"),
    **{name + end: ((), text + more, "1") for name, text in DISTANCES.items() for end, more in SUFFIXES.items()},
    "log_spectral_distance_tail": ((), "log-spectral distance over the shells beyond the energy-containing ones", "1"),
    "log_spectral_distance_tail_floor": ((), "log-spectral distance over the same shells: noise floor", "1"),
    "log_spectral_distance_window": (("window",), "log-spectral distance of the window, in decades", "1"),
    "wasserstein_field_window": (("window",), "Wasserstein-1 distance of field values in the window", "1"),
    "stable_horizon": (("member",), "emulator step of leaving the truth's envelope, or of censoring", "1"),
    "horizon_observed": (("member",), "whether the member left the envelope or was censored at the end", "1"),
    "horizon_cause": (("member",), "why the member left the envelope", "1"),
    "survival": (("event",), "Kaplan-Meier share of members inside the envelope", "1"),
    "survival_low": (("event",), "Kaplan-Meier survival: lower end of the interval", "1"),
    "survival_high": (("event",), "Kaplan-Meier survival: upper end of the interval", "1"),
    "stable_horizon_median": (
        (),
        "Kaplan-Meier median of the stable horizon in emulator steps, missing if not reached",
        "1",
    ),
    "stable_horizon_low": ((), "median stable horizon: lower end of the interval, missing if not reached", "1"),
    "stable_horizon_high": ((), "median stable horizon: upper end of the interval, missing if not reached", "1"),
    "stable_fraction": ((), "share of members that never left the envelope", "1"),
    "truth_stable_fraction": ((), "share of held-out members of the truth that never left the envelope", "1"),
    "correlation_time": (
        ("threshold", "member"),
        "first lead below the threshold in emulator steps, or last with truth",
        "1",
    ),
    "correlation": (("lead",), "pattern correlation with the truth, mean over members", "1"),
    "correlation_low": (("lead",), "mean pattern correlation: lower end of the interval", "1"),
    "correlation_high": (("lead",), "mean pattern correlation: upper end of the interval", "1"),
    "field_pdf_truth": (("bin",), "probability density of field values of the truth", "1"),
    "field_pdf_rollout": (("bin",), "probability density of field values of the rollout", "1"),
    "increment_pdf_truth": (("bin",), "probability density of one-step increments of the truth", "1"),
    "increment_pdf_rollout": (("bin",), "probability density of one-step increments of the rollout", "1"),
    "autocorrelation_truth": (("lag",), "autocorrelation in time of the truth at fixed points", "1"),
    "autocorrelation_rollout": (("lag",), "autocorrelation in time of the rollout at fixed points", "1"),
    "integral_time_truth": ((), "integral time of the truth in emulator steps", "1"),
    "integral_time_rollout": ((), "integral time of the rollout in emulator steps", "1"),
    "slow_fluctuations": ((), "slow fluctuations of band variances, relative to the truth's", "1"),
    "slow_fluctuations_floor": ((), "slow fluctuations of one half of the truth, relative to the other's", "1"),
    "trigger_rate": ((), "share of emulator steps in which a living member was thermalized", "1"),
    "reverse_steps_per_step": ((), "reverse steps of denoising per emulator step", "1"),
    "level_evaluations_per_step": (
        (),
        "looks at the noise level, each one pass of the encoder, per emulator step",
        "1",
    ),
    "network_evaluations_per_step": (
        (),
        "network evaluations of emulator, level looks and denoising per emulator step",
        "1",
    ),
    "rescaled_bands_per_step": ((), "bands of wavenumbers whose energy was set right, per emulator step", "1"),
}

FLAGS: dict[str, tuple[str, ...]] = {
    "energy_containing": ("tail", "energy_containing"),
    "horizon_observed": ("censored", "left_envelope"),
}


def optional(name: str) -> bool:
    """Whether the file may be without the variable, where no energy spectrum is known."""
    return name.startswith("energy_spectrum")


def attributes(name: str, units: Mapping[str, str], causes: Sequence[str] = CAUSES) -> dict[str, Any]:
    """CF attributes of an entry of the diagnostics file; `causes` are the meanings of the flags of `horizon_cause`."""
    result = described(name, VARIABLES | COORDINATES, units)
    meanings = {**FLAGS, "horizon_cause": tuple(causes)}.get(name)
    if meanings:
        result["standard_name"] = "status_flag"
        result["flag_values"] = np.arange(len(meanings), dtype=np.int8)
        result["flag_meanings"] = " ".join(meanings)
    return result


def described(name: str, entries: Mapping[str, Entry], units: Mapping[str, str]) -> dict[str, Any]:
    """Name, units and interval of one of the entries of a file; `units` says what stands for those in braces."""
    _, long_name, unit = entries[name]
    result: dict[str, Any] = {"long_name": long_name}
    if unit:  # names have none
        result["units"] = units[unit[1:-1]] if unit.startswith("{") else unit
    stem = {"stable_horizon_median": "stable_horizon", "stable_horizon": ""}.get(name, name)
    ends = [f"{stem}{end}" for end in ENDS if f"{stem}{end}" in entries]
    if ends:
        result["ancillary_variables"] = " ".join(ends)
    return result
