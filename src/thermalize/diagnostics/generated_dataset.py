"""Generated states compared with held-out truth, as one CF dataset; the stage that makes the states writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from thermalize.config import Experiment
from thermalize.diagnostics.attributes import COORDINATES, DISTANCES, ENDS, SUFFIXES, VARIABLES, Entry, described
from thermalize.diagnostics.dataset import units_of
from thermalize.diagnostics.generated import Yardstick, compared
from thermalize.seeds import stream

__all__ = ["describe_generated"]

STD = "in standard deviations of the data"
KINDS = (
    "unconditional: from pure noise; partial: true states, noised and denoised; thermalized: the same at a low level"
)
OWN: dict[str, Entry] = {
    "kind": (("kind",), KINDS, ""),
    "level": (("kind",), "noise level from which the states were denoised", "1"),
    "noise": (("kind",), f"standard deviation of the noise at that level, {STD}", "1"),
    "evaluations": (("kind",), "network evaluations per state", "1"),
    "field_pdf_samples": (("kind", "bin"), "probability density of field values of the states", "1"),
    **{
        f"spectrum_samples{end}": (("kind", "channel", "shell"), f"variance spectrum of the states{more}", "{variance}")
        for end, more in {"": ", sum over the shell", **ENDS}.items()
    },
}
MEASURED = [name for name in DISTANCES if name != "wasserstein_increment"]
DISTANCE_NAMES = [
    *(name + end for name in MEASURED for end in SUFFIXES),
    *(f"log_spectral_distance_tail{end}" for end in ("", "_floor")),
]
SHARED = ["channel", "wavenumber", "field_bin", "truth_mean", "truth_std", "energy_containing", "field_pdf_truth"]
TABLE: dict[str, Entry] = {
    **{name: (COORDINATES | VARIABLES)[name] for name in (*SHARED, *(f"spectrum_truth{end}" for end in ("", *ENDS)))},
    **OWN,
    **{name: (("kind",), *VARIABLES[name][1:]) for name in DISTANCE_NAMES},
    **{f"{name}_origins": ((), f"{DISTANCES[name]}: of true states that were not touched", "1") for name in MEASURED},
}
EVERY_COORDINATE = ("kind", "channel", "wavenumber", "field_bin")


def describe_generated(
    stick: Yardstick,
    made: Mapping[str, NDArray[np.floating]],
    how: Mapping[str, Any],
    experiment: Experiment,
    diffusion: str,
) -> xr.Dataset:
    """All that is known of the states `made` (member, frame, channel, *grid) by the diffusion model, by kind.

    `how` holds level, noise and evaluations of every kind.
    """

    def rng(purpose: str) -> np.random.Generator:
        keys = () if purpose == "truth" else (diffusion,)
        return stream(experiment.seed, "samples", purpose, *keys)

    field = stick.thinned
    channel = np.array([str(name) for name in field["channel"].to_numpy()])
    numbers = {"channel": channel, **how, **compared(stick, made, experiment.diagnostics, rng)}
    units = units_of(field, stick.rod.invariants)

    def entry(name: str) -> tuple[tuple[str, ...], Any, dict[str, str]]:
        return TABLE[name][0], numbers[name], described(name, TABLE, units)

    return xr.Dataset(
        {name: entry(name) for name in TABLE if name not in EVERY_COORDINATE},
        {name: entry(name) for name in EVERY_COORDINATE},
        {
            "Conventions": "CF-1.11",
            "title": "States that a diffusion model made against held-out truth",
            "experiment": experiment.name,
            "diffusion": diffusion,
            "states": stick.origins.shape[0] * stick.origins.shape[1],
            "block_states": stick.block,
            "confidence": experiment.diagnostics.confidence,
        },
    )
