"""The manifest beside a store, and the store through it: only what has an intact manifest is ever read as data.

`seal` makes a finished store of an unfinished one, `verify` compares every file with its digest, `open_store` opens it
with xarray so that every file is compared when it is first read, and `check_system` refuses a store of another system
than the experiment's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from thermalize.config import Experiment
from thermalize.runtime.errors import UserError
from thermalize.store.publish import completed, seal
from thermalize.store.reading import Checked, for_zarr
from thermalize.store.record import (
    Manifest,
    partial_path,
    read_manifest,
    store_path,
    there,
    verify,
)

__all__ = [
    "Manifest",
    "check_system",
    "completed",
    "open_store",
    "partial_path",
    "read_manifest",
    "seal",
    "store_path",
    "system_of",
    "there",
    "verify",
    "zarr_store",
]

MOST_WORDS = 200


def open_store(manifest: Path | str, storage: str | None = None) -> xr.Dataset:
    """The store of a manifest, lazily: dims (member, time, channel, …space), coordinates and attributes with units.

    All its files must be there, at a URL with their sizes. What is in them is compared with their digests when they are
    first read, so that reading may raise a `UserError`.

    Args:
        manifest: the manifest file.
        storage: URL below which a store elsewhere must lie: a manifest alone, which may be somebody else's, is no
            reason to contact the place that it names.
    """
    manifest = Path(manifest)
    record = read_manifest(manifest)
    there(record, manifest.parent, storage)
    store = zarr_store(manifest, storage)
    dataset = _opened(store)
    if fault := _fault(dataset, record):
        raise UserError(f"{store} is not the store of its manifest: {fault}; run the stage that makes it again")
    dataset.encoding["source"] = str(store)
    channel = dataset["channel"]
    # NetCDF and most of xarray's users know strings of fixed width only
    return dataset.assign_coords(channel=("channel", np.array(channel.to_numpy().tolist()), channel.attrs))


def zarr_store(manifest: Path, storage: str | None = None) -> Path | Checked:
    """The store of a manifest as Zarr takes it; its files are compared when they are read."""
    record = read_manifest(manifest)
    return for_zarr(record.place(manifest.parent, storage), record.digests)


def check_system(dataset: xr.Dataset | Manifest, experiment: Experiment) -> None:
    """Refuse a store of another system, or of another time between frames, than the experiment's.

    Args:
        dataset: what `open_store` or `read_manifest` gave.
        experiment: the configuration it is to be used with.
    """
    if isinstance(dataset, Manifest):
        name, attributes = dataset.store, dataset.attributes
    else:
        name, attributes = Path(dataset.encoding.get("source", "The store")).name, dataset.attrs
    simulation = experiment.simulation
    expected = simulation.identity
    found = system_of(attributes)
    if found != expected:
        raise UserError(
            f"{name} holds {_words(found)}, but the configuration describes {_words(expected)}; simulate again"
        )
    interval = attributes.get("frame_interval")
    if interval != simulation.frame_interval:
        raise UserError(
            f"{name} has frame_interval = {interval}, but the configuration says {simulation.frame_interval:g}; "
            "simulate again"
        )


def system_of(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Kind and parameters of the system that the attributes of a store name; nothing where they name none."""
    with suppress(TypeError, ValueError, RecursionError):
        found = json.loads(attributes.get("system", "{}"))
        return found if isinstance(found, dict) else {}
    return {}


def _opened(store: Path | Checked) -> xr.Dataset:
    try:
        return xr.open_zarr(store, consolidated=True, chunks=None, decode_times=False)
    except (OSError, UserError):
        raise
    except Exception as error:  # whatever the libraries make of metadata that contradict themselves
        words = " ".join(str(error).split())[:MOST_WORDS]
        raise UserError(f"{store} cannot be opened, {words}; run the stage that makes it again") from None


def _fault(dataset: xr.Dataset, record: Manifest) -> str | None:
    """How a store is not what its manifest says, or lacks what is said of every trajectory."""
    field = dataset.variables.get(record.variable)
    if field is None or dataset.attrs.get("variable") != record.variable:
        return f"it has no variable {record.variable!r}"
    if (field.dims, field.shape) != (record.dims, record.shape) or field.dtype.kind != "f":
        return f"{record.variable!r} is {field.dtype} {dict(zip(field.dims, field.shape, strict=True))}"
    for name in record.dims:
        axis = dataset.variables.get(name)
        if axis is None or axis.dims != (name,) or (name != "channel" and axis.dtype.kind not in "iuf"):
            return f"it has no coordinate {name!r}"
    described = {"long_name": [record.variable], "units": [record.variable, *record.dims[1:2], *record.dims[3:]]}
    for attribute, names in described.items():
        for name in names:
            if not isinstance(dataset.variables[name].attrs.get(attribute), str):
                return f"{name!r} has no {attribute}"
    return None


def _words(system: dict[str, Any]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in system.items()) or "no known system"
