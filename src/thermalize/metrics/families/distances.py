"""Spectra of the final frames, and distances of spectra and distributions to the reference half of the truth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from thermalize.metrics.declared import Variable, with_floor, with_interval
from thermalize.metrics.distances import compare
from thermalize.metrics.pooling import Estimate, interval_text, means, number, with_floors
from thermalize.metrics.registry import Case, Cell, Numbers, Seeds, family
from thermalize.metrics.rollout import window_starts

__all__ = ["DISTANCES", "SPECTRA", "TAIL", "distances", "distances_in_windows", "spectrum"]

DISTANCES = {
    "log_spectral_distance": "log-spectral distance over the energy-containing shells, in decades",
    "wasserstein_field": "Wasserstein-1 distance of field values, in standard deviations of the truth",
    "wasserstein_increment": "Wasserstein-1 distance of increments, in standard deviations of the truth's increments",
}
KINDS = (("spectrum", "variance spectrum", "{variance}"), ("energy_spectrum", "kinetic energy spectrum", "{energy}"))
WAVENUMBER = Variable(("shell",), "wavenumber of the shell, in radians per unit of length", "{wavenumber}", known=True)
CONTAINING = Variable(
    ("channel", "shell"),
    "whether the shell is one of the energy-containing ones",
    flags=("tail", "energy_containing"),
)
TAIL = {
    "log_spectral_distance_tail": Variable(
        (), "log-spectral distance over the shells beyond the energy-containing ones"
    ),
    "log_spectral_distance_tail_floor": Variable((), "log-spectral distance over the same shells: noise floor"),
}


def spectrum(name: str, own: Variable) -> dict[str, Variable]:
    """A spectrum by shell with its interval."""
    return {**with_interval(name, own), name: replace(own, long_name=f"{own.long_name}, sum over the shell")}


def _spectra(kind: str, words: str, units: str, of: str) -> dict[str, Variable]:
    optional = kind == "energy_spectrum"
    return spectrum(f"{kind}_{of}", Variable(("channel", "shell"), f"{words} of the {of}", units, optional=optional))


SPECTRA = {name: each for kind in KINDS for of in ("truth", "rollout") for name, each in _spectra(*kind, of).items()}
SPECTRA["spectrum_truth"] = replace(SPECTRA["spectrum_truth"], known=True)


def _distance(name: str) -> Any:
    def text(row: Any, intervals: bool) -> str:
        value, low, high, floor = (getattr(row, name + end) for end in ("", "_low", "_high", "_floor"))
        told = interval_text(Estimate(value, low, high)) if intervals else number(value)
        return f"{told} ({number(floor)})"

    return text


def _columns(seeds: Seeds) -> Numbers:
    return {**with_floors(*DISTANCES)(seeds), **means(*TAIL)(seeds)}


@family(
    {
        **SPECTRA,
        "energy_containing": CONTAINING,
        **{
            name: each
            for stem, text in DISTANCES.items()
            for name, each in with_floor(stem, Variable((), text)).items()
        },
        **TAIL,
    },
    {"wavenumber": WAVENUMBER},
    _columns,
    (
        Cell("spectral\ndistance", _distance("log_spectral_distance"), 20),
        Cell("field\nW1", _distance("wasserstein_field"), 21),
    ),
    place=20,
)
def distances(case: Case) -> Numbers:
    """Spectra up to the dealiasing limit without the mean, and the distances with intervals and floors."""
    reference, sample = case.reference, case.rollout.sample
    comparison = compare(
        reference.reference,
        sample,
        reference.sample,
        floor_members=min(len(reference.floor_half), len(case.rollout.members)),
        floor_blocks=-(-reference.compared // reference.block),
        config=case.config,
        truth_rng=case.shared_stream("truth"),
        rollout_rng=case.own_stream("rollout"),
    )
    shown = slice(1, reference.invariants.shells.limit + 1)
    result: Numbers = {
        "wavenumber": reference.invariants.shells.wavenumber[shown],
        "energy_containing": reference.energy_containing[:, shown].astype(np.int8),
    }
    for kind in ("spectrum", "energy_spectrum") if reference.invariants.kinetic is not None else ("spectrum",):
        for name, own in (("truth", reference.reference), ("rollout", sample)):
            ends = comparison.spectrum_interval(kind, rollout=name == "rollout")
            for end, values in zip(("", "_low", "_high"), (own.mean(kind), *ends), strict=True):
                result[f"{kind}_{name}{end}"] = values[:, shown]
    return {
        **result,
        **comparison.spectral_distances(reference.energy_containing, reference.tail, reference.resolution),
        **comparison.wasserstein("field").named("wasserstein_field"),
        **comparison.wasserstein("increment").named("wasserstein_increment"),
    }


@family(
    {
        "log_spectral_distance_window": Variable(("window",), "log-spectral distance of the window, in decades"),
        "wasserstein_field_window": Variable(("window",), "Wasserstein-1 distance of field values in the window"),
    },
    {"window_start": Variable(("window",), "first emulator step of the window", known=True)},
    place=21,
)
def distances_in_windows(case: Case) -> Numbers:
    """The distances in consecutive windows of the sample's length, over members still finite; NaN where none is."""
    spectral, values = case.rollout.windows.T
    return {
        "window_start": window_starts(case.rollout.steps + 1, case.reference.compared),
        "log_spectral_distance_window": spectral,
        "wasserstein_field_window": values,
    }
