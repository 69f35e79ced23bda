"""The manifest beside a store, and the store through it: only what has an intact manifest is ever read as data.

`seal` makes a finished store of an unfinished one, `verify` compares every file with its digest, `open_store` looks
at the store and opens it with xarray, and `check_system` refuses a store of another system than the experiment's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from thermalize.config import Experiment
from thermalize.errors import UserError
from thermalize.store.commit import completed, seal
from thermalize.store.reading import Watched, for_zarr
from thermalize.store.record import (
    METADATA,
    Manifest,
    compare,
    look,
    partial_path,
    read_manifest,
    store_path,
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
    "verify",
    "zarr_store",
]


def open_store(manifest: Path | str, verify: bool = True, storage: str | None = None) -> xr.Dataset:
    """The store of a manifest, lazily: dims (member, time, channel, …space), coordinates and attributes with units.

    Args:
        manifest: the manifest file.
        verify: compare every file with its digest first (at a URL: with its size), else only the metadata.
        storage: URL below which a store elsewhere must lie: a manifest alone, which may be somebody else's, is no
            reason to contact the place that it names.
    """
    manifest = Path(manifest)
    record = read_manifest(manifest)
    if verify:
        look(record, manifest.parent, storage)
    else:
        compare(record, manifest.parent, storage, [METADATA])
    store = zarr_store(manifest, storage)
    dataset: xr.Dataset = xr.open_zarr(store, consolidated=True, chunks=None, decode_times=False)
    dataset.encoding["source"] = str(store)
    channel = dataset["channel"]
    # NetCDF and most of xarray's users know strings of fixed width only
    return dataset.assign_coords(channel=("channel", np.array(channel.to_numpy().tolist()), channel.attrs))


def zarr_store(manifest: Path, storage: str | None = None) -> Path | Watched:
    """The store of a manifest as Zarr takes it, without a look at the files."""
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
    found = json.loads(attributes.get("system", "{}"))
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


def _words(system: dict[str, Any]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in system.items()) or "no known system"
