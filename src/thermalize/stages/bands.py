"""Energies of bands and modes of the train split, with which stabilizers compare rollouts; measured once, as NetCDF.

Whole members are taken, spread evenly over the split, or the beginning of one where a member is larger than the limit.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from thermalize.config import Experiment
from thermalize.emulators.projection import Held, held_wavenumbers
from thermalize.models.card import HeldForm
from thermalize.models.normalization import Normalization
from thermalize.runtime.errors import UserError
from thermalize.stabilizers.bands import BandEnergies, Bands, band_energies
from thermalize.store.manifest import check_system, open_store, read_manifest
from thermalize.store.netcdf import read_dataset, write_dataset
from thermalize.store.results import Results

__all__ = ["measure_bands", "read_bands", "true_states"]

VALUES = 2**25
"""Most values of true trajectories that are measured."""
STATES = 256
"""About so many of them show which wavenumbers there are."""

ENERGY, MODES = "band_energy", "mode_energy"
DIMS = ("member", "time", "channel", "band")
HELD = "held"
"""Attribute: the largest wavenumbers of the truth as JSON, null where the grid holds no others."""


def measure_bands(experiment: Experiment, paths: Results) -> None:
    """Reads the train split and writes what is measured on it atomically."""
    truth = true_states(experiment, paths)
    normalization = Normalization.of(read_manifest(paths.simulation("train")).statistics)
    states = truth.flatten(0, 1)
    held = held_wavenumbers(states[:: max(1, len(states) // STATES)], normalization)
    write_dataset(paths.bands, _described(band_energies(truth, held), experiment))


def true_states(experiment: Experiment, paths: Results) -> torch.Tensor:
    """Normalised trajectories [member, time, channel, *grid] of the train split, at most `VALUES` numbers."""
    manifest = read_manifest(paths.simulation("train"))
    check_system(manifest, experiment)
    dataset = open_store(paths.simulation("train"), storage=experiment.storage)
    field = dataset[dataset.attrs["variable"]].transpose("member", "time", "channel", ...)
    mean, std = Normalization.of(manifest.statistics).tensors(field.ndim - 3)
    return (torch.from_numpy(chosen(field).values) - mean) / std


def chosen(field: xr.DataArray) -> xr.DataArray:
    """The members and frames of (member, time, channel, *grid) that are measured."""
    frame = field[0, 0].size
    frames = min(field.shape[1], VALUES // frame)
    members = max(1, min(field.shape[0], VALUES // (frame * frames)))
    return field[:: field.shape[0] // members, :frames][:members]


def _described(found: BandEnergies, experiment: Experiment) -> xr.Dataset:
    bands = Bands(found.grid)
    ends = {"first": bands.first, "last": bands.last}
    text = "energy of a band of wavenumbers, in squared standard deviations of the train split"
    of_mode = "mean square of the discrete Fourier transform of states in standard deviations of the train split"
    half = ("channel", *(f"mode_{axis}" for axis in range(len(found.grid))))
    return xr.Dataset(
        {
            ENERGY: (DIMS, found.energy.numpy(), {"long_name": text, "units": "1"}),
            MODES: (half, found.modes.numpy(), {"long_name": of_mode, "units": "1"}),
        },
        {
            f"{end}_shell": ("band", shells, {"long_name": f"{end} shell of the band", "units": "1"})
            for end, shells in ends.items()
        },
        {
            "Conventions": "CF-1.11",
            "title": "Band energies of the train split",
            "experiment": experiment.name,
            "grid": list(found.grid),
            HELD: json.dumps(found.held and found.held.card()),
        },
    )


def read_bands(path: Path) -> BandEnergies:
    """What `measure_bands` wrote, in single precision; `BandStatistics.of_energies` makes statistics of it."""
    dataset = read_dataset(path)
    grid = tuple(np.atleast_1d(dataset.attrs.get("grid", ())).tolist())
    energy, modes = dataset.get(ENERGY), dataset.get(MODES)
    fault = UserError(f"{path} holds no band energies of this version; run its stage again")
    if not grid or energy is None or modes is None:
        raise fault
    try:
        said = json.loads(dataset.attrs[HELD])
        held = Held.of(None if said is None else HeldForm.model_validate(said).model_dump())
    except (KeyError, TypeError, ValueError, RecursionError):
        raise fault from None
    bands = Bands(grid)
    if energy.dims != DIMS or energy.shape[3] != len(bands) or modes.shape[1:] != bands.index.shape:
        raise fault
    return BandEnergies(torch.from_numpy(energy.to_numpy()), grid, torch.from_numpy(modes.to_numpy()), held)
