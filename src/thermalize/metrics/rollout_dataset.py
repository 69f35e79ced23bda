"""What was measured on the frames of a rollout as further arrays of its thinned store, and back, to the last bit.

    measured_energy (member, step)   measured_block_spectrum (block, channel, shell)   measured_autocorrelation (lag) …

The sample is missing where every member was lost at its first step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from thermalize.metrics.declared import Variable, dataset_of
from thermalize.metrics.reference import Reference
from thermalize.metrics.rollout import MeasuredRollout
from thermalize.metrics.sample_dataset import BLOCK_MEMBER, SAMPLE, SERIES, ragged, sample_from, sample_numbers
from thermalize.metrics.samples import empty
from thermalize.metrics.series import Series
from thermalize.rollouts.series import MEASURED
from thermalize.runtime.errors import UserError
from thermalize.runtime.members import STEP

__all__ = ["ARRAYS", "measured_arrays", "measured_from"]

LAST = "of the final frames of the members that are compared"


def _along_steps(variable: Variable) -> Variable:
    return replace(variable, dims=tuple(STEP if dim == "time" else dim for dim in variable.dims), known=False)


DECLARED = {
    **{name: _along_steps(each) for name, each in SERIES.items()},
    **{
        name: replace(each, optional=True, long_name=f"{each.long_name}, {LAST}")
        for name, each in {"block_member": BLOCK_MEMBER, **SAMPLE}.items()
    },
    "autocorrelation": Variable(("lag",), f"autocorrelation in time at fixed points, {LAST}"),
    "correlation": Variable(("member", "lead"), "pattern correlation with the truth"),
    "spectral_distance": Variable(("window",), "log-spectral distance of the window, in decades"),
    "wasserstein_field": Variable(("window",), "Wasserstein-1 distance of field values in the window"),
}
ARRAYS = {MEASURED + name: each for name, each in DECLARED.items()}
"""As the store has them."""


def measured_arrays(rollout: MeasuredRollout, units: Mapping[str, str]) -> dict[str, xr.Variable]:
    """The arrays by name; `units` stand for the units in braces."""
    numbers: dict[str, Any] = {
        "energy": rollout.series.energy,
        "enstrophy": rollout.series.enstrophy,
        "band_variance": rollout.series.bands,
        "increment": rollout.series.increment,
        "autocorrelation": rollout.autocorrelation,
        "correlation": rollout.correlation,
        "spectral_distance": rollout.windows[:, 0],
        "wasserstein_field": rollout.windows[:, 1],
    }
    if rollout.sample.frames.size:
        numbers |= sample_numbers(rollout.sample)
    dataset = dataset_of(DECLARED, {}, numbers, units, {})
    found = ragged(dataset) if rollout.sample.frames.size else dataset
    return {f"{MEASURED}{name}": each.variable for name, each in found.items()}


def measured_from(dataset: xr.Dataset, reference: Reference) -> MeasuredRollout:
    """What `measured_arrays` was made of.

    Raises:
        UserError: it was measured by another reference.
    """
    values = {name: dataset[MEASURED + name].to_numpy() for name in DECLARED if MEASURED + name in dataset}
    shapes = {name: values[name].shape[-1] for name in ("band_variance", "autocorrelation")}
    if shapes != {"band_variance": len(reference.bands), "autocorrelation": reference.autocorrelation.size}:
        raise UserError("the rollout was measured by another reference; run its stage again")
    return MeasuredRollout(
        series=Series(values["energy"], values["enstrophy"], values["band_variance"], values["increment"]),
        correlation=values["correlation"],
        windows=np.stack([values["spectral_distance"], values["wasserstein_field"]], axis=1),
        sample=sample_from(values) if "block_spectrum" in values else empty(reference.invariants),
        autocorrelation=values["autocorrelation"],
    )
