"""All diagnostics of one rollout as one CF dataset, with the work of the stabilizer and units.

Units of what is computed from the field, spelled as UDUNITS does: m s-1, m2 s-2.

What the stabilizer did, averaged over the steps in which a member was alive.

Network evaluations per emulator step = 1 (the emulator) + looks at the noise level (each one evaluation of the encoder,
counted as one and also given apart) + reverse steps of denoising. Control of band energies evaluates no network.

All diagnostics of one rollout as one CF dataset; definitions are in docs/diagnostics.md and in the modules beside.

The stage opens the trajectories and writes the result; nothing here touches a file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from thermalize.config import Experiment
from thermalize.metrics.attributes import COORDINATES, VARIABLES, attributes, optional
from thermalize.metrics.invariants import Invariants
from thermalize.metrics.sections import correlations, densities, distances, memory, stability, windows
from thermalize.metrics.stability import CAUSES
from thermalize.metrics.study import Truth, comparable, measure_rollout, measure_truth
from thermalize.rollouts.series import recorded, values_of
from thermalize.runtime.streams import stream
from thermalize.stabilizers import drift, thermalizer

__all__ = ["MEAN", "NON_DIMENSIONAL", "diagnose", "health", "product", "units_of"]

NON_DIMENSIONAL = ("1", "length units", "time units")
OURS = {each.name for each in (*thermalizer.SERIES, *drift.SERIES)}
MEAN = "mean_"
"""What the name of the mean of a recorded series begins with."""
FACTOR = re.compile(r"([A-Za-z]+)(-?[0-9]+)?")


def product(*terms: tuple[str, int]) -> str:
    """Product of powers of units: ("m", 2), ("s-1", 2) gives m2 s-2; 1 where nothing is left."""
    powers: dict[str, int] = {}
    for units, power in terms:
        for name, exponent in _factors(units):
            powers[name] = powers.get(name, 0) + exponent * power
    words = (name if power == 1 else f"{name}{power}" for name, power in powers.items() if power)
    return " ".join(words) or "1"


def _factors(units: str) -> list[tuple[str, int]]:
    """Names with their exponents; what is spelled in another way stays together in brackets."""
    if units in NON_DIMENSIONAL:
        return []
    found = [FACTOR.fullmatch(word) for word in units.split()]
    factors = [(match[1], int(match[2] or 1)) for match in found if match]
    return factors if len(factors) == len(found) else [(f"({units})", 1)]


def health(rollout: xr.Dataset, last_finite: NDArray[np.integer[Any]]) -> dict[str, float]:
    """Rates per emulator step; NaN where no member survived its first step.

    Args:
        rollout: with what emulator and stabilizer recorded [member, time]: of what comes with the package, `level` (-1
            where nobody looked), `reverse_steps` (above 0 means that the member was thermalized) and `rescaled` (bands
            whose energy was set right); frame 0 is the initial condition.
        last_finite: last finite frame (member,); a member is alive at the steps up to it.
    """
    step = np.arange(1, rollout.sizes["time"])
    alive = step[None] <= np.asarray(last_finite)[:, None]

    def series(name: str, otherwise: float = 0.0) -> NDArray[np.float64]:
        return values_of(rollout, name, otherwise)[:, 1:][alive].astype(np.float64)

    looks, reverse = _mean(series("level", -1.0) >= 0), series("reverse_steps")
    counted = [name for name, each in recorded(rollout).items() if each.evaluations]
    evaluations = float(rollout.attrs.get("emulator_evaluations", 1)) + looks
    return {
        "trigger_rate": _mean(reverse > 0),
        "reverse_steps_per_step": _mean(reverse),
        "level_evaluations_per_step": looks,
        "network_evaluations_per_step": sum((_mean(series(name)) for name in counted), evaluations),
        "rescaled_bands_per_step": _mean(series("rescaled")),
    }


def means(rollout: xr.Dataset, last_finite: NDArray[np.integer[Any]]) -> dict[str, xr.DataArray]:
    """Of every other series that emulator or stabilizer records: its mean over the steps of living members."""
    alive = np.arange(rollout.sizes["time"])[None] <= np.asarray(last_finite)[:, None]
    alive[:, 0] = False
    found = {}
    for name, series in recorded(rollout).items():
        if name not in OURS:
            values = values_of(rollout, name, np.nan)[alive].astype(np.float64)
            attributes = {"long_name": f"{series.long_name}: mean over living members and steps", "units": series.units}
            found[f"{MEAN}{name}"] = xr.DataArray(_mean(values[np.isfinite(values)]), attrs=attributes)
    return found


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if values.size else float("nan")


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
    dataset = _dataset(numbers, units, rod.invariants, {**_attributes(experiment, field, rod, units), **labels})
    return dataset.assign(means(rollout, run.last_finite))


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
