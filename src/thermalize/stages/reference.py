"""The test truth, measured once for all rollouts, diffusion models and ensembles; written as NetCDF."""

from __future__ import annotations

from thermalize.config import Experiment
from thermalize.metrics.reference import field_of, measure_reference, system_parameters
from thermalize.metrics.reference_dataset import reference_dataset
from thermalize.store.manifest import check_system, open_store
from thermalize.store.netcdf import write_dataset
from thermalize.store.results import Results

__all__ = ["measure_truth"]


def measure_truth(experiment: Experiment, paths: Results) -> None:
    """Reads the test split and writes all that is measured on it, for rollouts of the configured length, atomically."""
    truth = open_store(paths.simulation("test"), storage=experiment.storage)
    check_system(truth, experiment)
    field = field_of(truth)
    compared = min(field.shape[1], experiment.rollouts.steps)
    reference = measure_reference(field, compared, experiment.diagnostics, system_parameters(truth))
    labels = {"experiment": experiment.name, "frame_interval": experiment.simulation.frame_interval}
    write_dataset(paths.reference, reference_dataset(reference, field, labels))
