"""Trajectories to learn from and to compare with.

simulate    one split into a store, block by block
simulated   its members, integrated by a solver
imported    its members, out of the user's files
cluster     the blocks as tasks of Dask, here or on other machines
moments     mean and deviation, merged over blocks
"""

from __future__ import annotations

from thermalize.config import Experiment, ImportConfig

__all__ = ["runs", "unused"]


def unused(experiment: Experiment, *_: str) -> tuple[str, ...]:
    """Modules that `simulate` imports but does not run where the truth is imported, or where it is not."""
    return (
        ("thermalize.systems",) if isinstance(experiment.simulation, ImportConfig) else ("thermalize.truth.imported",)
    )


def runs(experiment: Experiment, *_: str) -> tuple[str, ...]:
    """Modules that `simulate` runs but does not import: the solver of a kind of system."""
    simulation = experiment.simulation
    return () if isinstance(simulation, ImportConfig) else (simulation.system.implementation,)
