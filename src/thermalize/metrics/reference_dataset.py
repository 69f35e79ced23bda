"""The measured truth as one CF dataset, and back, to the last bit.

Field values and increments of a block follow those of the block before it; how many there are stands beside the block
(contiguous ragged arrays of CF). They are in double precision: distances to the truth are distances to these numbers.
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
from thermalize.metrics.samples import Sample, Standard
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
    "block_member": Variable(("block",), "member that the block belongs to", known=True),
}
BLOCKS = ("block", "channel", "shell")
SAMPLE = {
    "block_rank": Variable(("block",), "number of the block, counted back from the last one of its member", known=True),
    "block_frames": Variable(("block",), "frames of the block", known=True),
    "block_spectrum": Variable(BLOCKS, "variance spectrum, summed over the block's frames", "{variance}", known=True),
    "block_energy_spectrum": Variable(
        BLOCKS, "kinetic energy spectrum, summed over the block's frames", "{energy}", known=True, optional=True
    ),
    "block_values": Variable(("block",), "field values of the block", known=True),
    "block_increments": Variable(("block",), "increments of the block", known=True),
    "field_value": Variable(("value",), "field values, in standard deviations of the truth from its mean", known=True),
    "increment_value": Variable(("step",), "increments, in standard deviations of the truth's increments", known=True),
}
SERIES = {
    "energy": Variable(("member", "time"), "energy of the state", "{energy}", known=True),
    "enstrophy": Variable(("member", "time"), "enstrophy of the state", "{enstrophy}", known=True),
    "band_variance": Variable(
        ("member", "time", "band"), "variance of the channel in the shells of the band", "{variance}", known=True
    ),
    "increment": Variable(
        ("member", "time", "channel"), "root mean square of the increment, missing at the first frame", "{field}"
    ),
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
        **_sample(reference.sample),
    }
    attributes = {
        "title": "Held-out truth that rollouts and diffusion models are compared with",
        **labels,
        "compared_frames": reference.compared,
        "block_frames": reference.block,
        **definitions(measures, units),
        "envelope": reference.envelope.to_json(),
    }
    dataset = dataset_of(VARIABLES, COORDINATES, numbers, units, attributes, measures.names)
    for name, dimension in {"block_values": "value", "block_increments": "step"}.items():
        dataset[name].attrs["sample_dimension"] = dimension
    return dataset


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


def _sample(sample: Sample) -> dict[str, Any]:
    blocks = sample.frames.size
    found = {
        "block_member": sample.member,
        "block_rank": sample.rank,
        "block_frames": sample.frames,
        "block_spectrum": sample.spectrum,
        "block_energy_spectrum": sample.energy_spectrum,
        "block_values": np.bincount(sample.field_block, minlength=blocks),
        "block_increments": np.bincount(sample.increment_block, minlength=blocks),
        "field_value": sample.field,
        "increment_value": sample.increment,
    }
    if not sample.energy_spectrum.shape[1]:
        del found["block_energy_spectrum"]
    return found


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
        sample=_sample_from(values),
        energy_containing=values["energy_containing"].astype(np.bool_),
        series=Series(values["energy"], values["enstrophy"], values["band_variance"], values["increment"]),
        envelope=Envelope.from_json(dataset.attrs["envelope"]),
        held_out=Horizon(values["stable_horizon"], values["horizon_observed"], values["horizon_cause"]),
    )


def _sample_from(values: Mapping[str, np.ndarray]) -> Sample:
    spectrum = values["block_spectrum"]
    numbers = np.arange(len(spectrum))
    return Sample(
        member=values["block_member"],
        rank=values["block_rank"],
        frames=values["block_frames"],
        spectrum=spectrum,
        energy_spectrum=values.get("block_energy_spectrum", spectrum[:, :0]),
        field=values["field_value"],
        field_block=np.repeat(numbers, values["block_values"]),
        increment=values["increment_value"],
        increment_block=np.repeat(numbers, values["block_increments"]),
    )
