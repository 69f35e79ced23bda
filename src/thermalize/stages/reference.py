"""The test truth, measured once for all rollouts, diffusion models and ensembles; written as NetCDF."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr

from thermalize.config import Experiment
from thermalize.metrics.reference import Reference, field_of, measure_reference, system_parameters
from thermalize.metrics.reference_dataset import COORDINATES, VARIABLES, reference_dataset, reference_from
from thermalize.stages.checking import attribute_faults, is_envelope, read_checked, size_faults
from thermalize.store.manifest import check_system, open_store, read_manifest
from thermalize.store.netcdf import write_dataset
from thermalize.store.results import Results

__all__ = ["measure_truth", "read_reference"]


def measure_truth(experiment: Experiment, paths: Results) -> None:
    """Reads the test split and writes all that is measured on it, for rollouts of the configured length, atomically."""
    check_system(read_manifest(paths.simulation("test")), experiment)
    truth = open_store(paths.simulation("test"), storage=experiment.storage)
    field = field_of(truth)
    compared = min(field.shape[1], experiment.rollouts.steps)
    reference = measure_reference(field, compared, experiment.diagnostics, system_parameters(truth))
    labels = {"experiment": experiment.name, "frame_interval": experiment.simulation.frame_interval}
    write_dataset(paths.reference, reference_dataset(reference, field, labels))


def read_reference(path: Path, truth: xr.Dataset) -> Reference:
    """The measured truth, of which `truth` is opened."""
    field = field_of(truth)

    def faults(dataset: xr.Dataset) -> Iterator[str]:
        sizes = dict(zip(("member", "time", "channel"), field.shape[:3], strict=True))
        yield from size_faults(dataset, sizes)
        yield from attribute_faults(dataset, ("compared_frames", "block_frames"), np.integer)
        yield from attribute_faults(dataset, ("envelope",), str)
        if not is_envelope(dataset.attrs["envelope"]):
            yield "its attribute 'envelope' gives no thresholds"

    dataset = read_checked(path, COORDINATES | VARIABLES, faults)
    return reference_from(dataset, field, system_parameters(truth))
