"""All diagnostics of one rollout as one CF dataset; definitions are in docs/diagnostics.md and in the modules beside.

The stage opens the trajectories and writes the result; nothing here touches a file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from thermalize.config import Experiment
from thermalize.diagnostics.attributes import COORDINATES, VARIABLES, attributes, optional
from thermalize.diagnostics.health import health
from thermalize.diagnostics.invariants import Invariants
from thermalize.diagnostics.sections import correlations, densities, distances, memory, stability, windows
from thermalize.diagnostics.stability import CAUSES
from thermalize.diagnostics.study import Truth, comparable, measure_rollout, measure_truth
from thermalize.diagnostics.units import NON_DIMENSIONAL, product
from thermalize.seeds import stream

__all__ = ["diagnose", "units_of"]


def diagnose(
    truth: xr.Dataset,
    rollout: xr.Dataset,
    experiment: Experiment,
    labels: Mapping[str, Any],
    rollout_attributes: Mapping[str, Any],
) -> xr.Dataset:
    """Diagnostics of a rollout (frame 0 is its initial condition) against the test truth, both opened lazily.

    `labels` names emulator, stabilizer and seed; `rollout_attributes` holds, per member, `initial_member` (position in
    the truth) and `initial_frame`, and optionally `lost_step` (−1 if never). Raises UserError where the two do not fit.
    """
    config = experiment.diagnostics
    reality, field = comparable(truth, rollout)
    frames = min(reality.shape[1], field.shape[1] - 1)
    rod = measure_truth(reality, frames, config, json.loads(truth.attrs.get("system", "{}")))
    starts = list(zip(rollout_attributes["initial_member"], rollout_attributes["initial_frame"], strict=True))
    run = measure_rollout(field, rod, frames, starts)
    lost = np.asarray(rollout_attributes.get("lost_step", [-1] * len(starts)))
    labels = {"emulator": str(labels["emulator"]), "stabilizer": str(labels["stabilizer"]), "seed": int(labels["seed"])}

    def rng(purpose: str, *keys: str | int) -> np.random.Generator:
        return stream(experiment.seed, "diagnostics", purpose, *keys)

    numbers = {
        "member": rollout["member"].to_numpy() if "member" in rollout.coords else np.arange(len(starts)),
        "channel": np.array([str(name) for name in reality["channel"].to_numpy()]),
        "truth_mean": rod.standard.mean,
        "truth_std": rod.standard.std,
        "truth_increment_std": rod.standard.increment_std,
        **distances(rod, run, config, rng("truth"), rng("rollout", *labels.values())),
        **windows(rod, run),
        **stability(rod, run, lost, config.confidence),
        **correlations(rod, run, config, rng("correlation", *labels.values())),
        **densities(rod.reference, run.sample, config.pdf_bins),
        **memory(rod, run),
        **health(rollout, run.last_finite),
    }
    units = units_of(reality, rod.invariants)
    return _dataset(numbers, units, rod.invariants, {**_attributes(experiment, field, rod, units), **labels})


def _attributes(experiment: Experiment, field: xr.DataArray, rod: Truth, units: Mapping[str, str]) -> dict[str, Any]:
    return {
        "Conventions": "CF-1.11",
        "title": "Diagnostics of a rollout against held-out truth",
        "experiment": experiment.name,
        "steps": field.shape[1] - 1,
        "members": field.shape[0],
        "frame_interval": experiment.simulation.frame_interval,
        "confidence": experiment.diagnostics.confidence,
        "block_frames": rod.block,
        "energy": rod.invariants.energy.definition,
        "energy_units": units["energy"],
        "enstrophy": rod.invariants.enstrophy.definition,
        "enstrophy_units": units["enstrophy"],
        "envelope": json.dumps(rod.envelope.published(), sort_keys=True),
    }


def units_of(field: xr.DataArray, invariants: Invariants) -> dict[str, str]:
    """Units of the field, its variance, energy and enstrophy, and of wavenumbers."""
    unit, length = (str(array.attrs.get("units", "1")) for array in (field, field[field.dims[-1]]))
    energy, enstrophy = (
        product((length, quantity.length), (unit, quantity.field))
        for quantity in (invariants.energy, invariants.enstrophy)
    )
    wavenumber = "1" if length in NON_DIMENSIONAL else f"rad ({length})-1"
    variance = product((unit, 2))
    return {"field": unit, "variance": variance, "energy": energy, "enstrophy": enstrophy, "wavenumber": wavenumber}


def _dataset(
    numbers: Mapping[str, Any], units: Mapping[str, str], invariants: Invariants, attrs: Mapping[str, Any]
) -> xr.Dataset:
    """The numbers with dimensions and CF attributes; what is no energy is not called so among the causes."""
    names = {"energy": invariants.energy.name, "enstrophy": invariants.enstrophy.name}
    causes = [names.get(cause, cause) for cause in CAUSES]

    def entry(name: str, dims: tuple[str, ...]) -> tuple[tuple[str, ...], Any, dict[str, Any]]:
        return dims, numbers[name], attributes(name, units, causes)

    return xr.Dataset(
        {name: entry(name, dims) for name, (dims, _, _) in VARIABLES.items() if name in numbers or not optional(name)},
        {name: entry(name, dims) for name, (dims, _, _) in COORDINATES.items()},
        attrs,
    )
