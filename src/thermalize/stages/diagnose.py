"""Diagnostics of one rollout against held-out truth, written as NetCDF with CF attributes."""

from __future__ import annotations

from pathlib import Path

from thermalize.config import Experiment
from thermalize.metrics.dataset import diagnose
from thermalize.stages.reading import open_rollout
from thermalize.store.manifest import check_system, open_store, read_manifest
from thermalize.store.netcdf import write_dataset

__all__ = ["diagnose_rollout"]


def diagnose_rollout(experiment: Experiment, rollout: Path, test: Path, output: Path) -> None:
    """Reads both stores and writes `output` atomically."""
    for path in (rollout, test):
        check_system(read_manifest(path), experiment)
    truth = open_store(test, storage=experiment.storage)
    run = open_rollout(rollout, experiment, truth)
    labels = {name: run.attrs[name] for name in ("emulator", "stabilizer", "seed")}
    write_dataset(output, diagnose(truth, run, experiment, labels, run.attrs))
