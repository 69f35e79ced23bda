"""Diagnostics of one rollout against held-out truth, written as NetCDF with CF attributes."""

from __future__ import annotations

from thermalize.config import Experiment
from thermalize.metrics.dataset import diagnose
from thermalize.stages.reading import open_rollout
from thermalize.stages.reference import read_reference
from thermalize.store.manifest import check_system, open_store, read_manifest
from thermalize.store.netcdf import write_dataset
from thermalize.store.results import Results

__all__ = ["diagnose_rollout"]


def diagnose_rollout(experiment: Experiment, emulator: str, stabilizer: str, seed: int, paths: Results) -> None:
    """Reads a rollout, the measured truth and the frames of the truth that the rollout follows; writes atomically."""
    test, rollout = paths.simulation("test"), paths.rollout(emulator, stabilizer, seed)
    for path in (rollout, test):
        check_system(read_manifest(path), experiment)
    truth = open_store(test, storage=experiment.storage)
    run = open_rollout(rollout, experiment, truth)
    reference = read_reference(paths.reference, truth)
    labels = {name: run.attrs[name] for name in ("emulator", "stabilizer", "seed")}
    result = diagnose(truth, run, experiment, labels, run.attrs, reference)
    write_dataset(paths.diagnostics(emulator, stabilizer, seed), result)
