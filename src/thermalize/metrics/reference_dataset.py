"""The measured truth as one CF dataset, and back, to the last bit.

Numbers are in double precision: distances to the truth are distances to these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from thermalize.metrics.declared import CHANNEL, Variable, dataset_of, definitions, units_of
from thermalize.metrics.families.distances import CONTAINING, WAVENUMBER
from thermalize.metrics.families.dynamics import AUTOCORRELATION, LAG
from thermalize.metrics.families.stability import HORIZON, SHARES
from thermalize.metrics.reference import Reference, invariants_of
from thermalize.metrics.registry import TRUTH
from thermalize.metrics.sample_dataset import BLOCK_MEMBER, SAMPLE, SERIES, ragged, sample_from, sample_numbers
from thermalize.metrics.samples import Standard
from thermalize.metrics.series import Series
from thermalize.metrics.stability import Envelope, Horizon
from thermalize.runtime.errors import UserError

__all__ = ["COORDINATES", "VARIABLES", "reference_dataset", "reference_from"]

COORDINATES = {
    "member": Variable(("member",), "member of the truth", known=True),
    "channel": CHANNEL,
    "wavenumber": WAVENUMBER,
    "lag": LAG,
    "held_out_member": Variable(("held_out",), "member of the floor half", known=True),
    "block_member": BLOCK_MEMBER,
}
VARIABLES = {
    **TRUTH,
    "reference_half": Variable(("member",), "whether the member belongs to the reference half", known=True),
    "energy_containing": CONTAINING,
    **{
        name: AUTOCORRELATION[name]
        for name in ("autocorrelation_truth", "integral_time_truth", "slow_fluctuations_floor")
    },
    **{name: replace(each, dims=("held_out",)) for name, each in HORIZON.items()},
    "truth_stable_fraction": SHARES["truth_stable_fraction"],
    **SERIES,
    **SAMPLE,
}


def reference_dataset(reference: Reference, field: xr.DataArray, labels: Mapping[str, Any]) -> xr.Dataset:
    """All of a reference that was measured on `field`; `labels` are further attributes."""
    measures = reference.invariants
    units = units_of(field, measures)
    numbers = {
        "member": np.arange(reference.members),
        "channel": np.array([str(name) for name in field["channel"].to_numpy()]),
        "wavenumber": measures.shells.wavenumber,
        "lag": np.arange(reference.autocorrelation.size),
        "held_out_member": np.array(reference.floor_half),
        **_truth(reference),
        **sample_numbers(reference.sample),
    }
    attributes = {
        "title": "Held-out truth that rollouts and diffusion models are compared with",
        **labels,
        "compared_frames": reference.compared,
        "block_frames": reference.block,
        **definitions(measures, units),
        "envelope": reference.envelope.to_json(),
    }
    return ragged(dataset_of(VARIABLES, COORDINATES, numbers, units, attributes, measures.names))


def _truth(reference: Reference) -> dict[str, Any]:
    return {
        "truth_mean": reference.standard.mean,
        "truth_std": reference.standard.std,
        "truth_increment_std": reference.standard.increment_std,
        "reference_half": np.isin(np.arange(reference.members), reference.reference_half).astype(np.int8),
        "energy_containing": reference.energy_containing.astype(np.int8),
        "autocorrelation_truth": reference.autocorrelation,
        "integral_time_truth": reference.integral_time,
        "slow_fluctuations_floor": reference.slow_fluctuations_floor,
        "stable_horizon": reference.held_out.step,
        "horizon_observed": reference.held_out.observed,
        "horizon_cause": reference.held_out.cause,
        "truth_stable_fraction": float(np.mean(reference.held_out.observed == 0)),
        "energy": reference.series.energy,
        "enstrophy": reference.series.enstrophy,
        "band_variance": reference.series.bands,
        "increment": reference.series.increment,
    }


def reference_from(dataset: xr.Dataset, field: xr.DataArray, system: Mapping[str, Any] | None = None) -> Reference:
    """What `reference_dataset` made of the truth `field` of a simulated `system`.

    Raises:
        UserError: it is the reference of a truth of other sizes.
    """
    values = {str(name): variable.to_numpy() for name, variable in dataset.variables.items()}
    if values["energy"].shape != field.shape[:2] or values["truth_mean"].shape != field.shape[2:3]:
        raise UserError("the reference was measured on a truth of other members, frames or channels")
    standard = Standard(values["truth_mean"], values["truth_std"], values["truth_increment_std"])
    return Reference(
        members=field.shape[0],
        frames=field.shape[1],
        compared=int(dataset.attrs["compared_frames"]),
        invariants=invariants_of(field, standard, system),
        standard=standard,
        autocorrelation=values["autocorrelation_truth"],
        block=int(dataset.attrs["block_frames"]),
        sample=sample_from(values),
        energy_containing=values["energy_containing"].astype(np.bool_),
        series=Series(values["energy"], values["enstrophy"], values["band_variance"], values["increment"]),
        envelope=Envelope.from_json(dataset.attrs["envelope"]),
        held_out=Horizon(values["stable_horizon"], values["horizon_observed"], values["horizon_cause"]),
    )
