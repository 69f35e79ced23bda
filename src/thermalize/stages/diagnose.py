"""Diagnostics of one rollout against held-out truth, written as NetCDF with CF attributes."""

from __future__ import annotations

from pathlib import Path

from thermalize.config import Experiment
from thermalize.diagnostics.dataset import diagnose
from thermalize.store.manifest import check_system, open_store, read_manifest
from thermalize.store.netcdf import write_dataset

__all__ = ["diagnose_rollout"]


def diagnose_rollout(experiment: Experiment, rollout: Path, test: Path, output: Path) -> None:
    """Reads both stores and writes `output` atomically."""
    manifests = [read_manifest(path) for path in (rollout, test)]
    for manifest in manifests:
        check_system(manifest, experiment)
    attributes = manifests[0].attributes
    labels = {name: attributes[name] for name in ("emulator", "stabilizer", "seed")}
    truth, run = (open_store(path, storage=experiment.storage) for path in (test, rollout))
    write_dataset(output, diagnose(truth, run, experiment, labels, attributes))
