"""The seeds of an emulator under a stabilizer, scored as an ensemble forecast of held-out truth; written as NetCDF."""

from __future__ import annotations

from thermalize.config import Experiment
from thermalize.metrics.ensemble import score
from thermalize.runtime.errors import UserError
from thermalize.stages.reading import open_rollout
from thermalize.stages.reference import read_reference
from thermalize.store.manifest import check_system, open_store
from thermalize.store.netcdf import write_dataset
from thermalize.store.results import Results

__all__ = ["score_ensemble"]


def score_ensemble(experiment: Experiment, emulator: str, stabilizer: str, paths: Results) -> None:
    """Reads the rollouts of all seeds, the test truth and its deviation, and writes the scores atomically."""
    if not experiment.has_ensembles:
        raise UserError(
            "an ensemble needs two `seeds` or more that share their initial states, `rollouts.initial: first`, and two "
            "stored states or more while the truth goes on, `rollouts.store_every`"
        )
    truth = open_store(paths.simulation("test"), storage=experiment.storage)
    rollouts = {
        seed: open_rollout(paths.rollout(emulator, stabilizer, seed), experiment, truth) for seed in experiment.seeds
    }
    for dataset in (truth, *rollouts.values()):
        check_system(dataset, experiment)
    std = read_reference(paths.reference, truth).standard.std
    result = score(truth, std, rollouts, experiment, {"emulator": emulator, "stabilizer": stabilizer})
    write_dataset(paths.ensemble(emulator, stabilizer), result)
