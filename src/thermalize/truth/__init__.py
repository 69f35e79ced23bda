"""Trajectories to learn from and to compare with.

simulate    one split into a store, block by block
simulated   its members, integrated by a solver
imported    its members, out of the user's files
cluster     the blocks as tasks of Dask, here or on other machines
moments     mean and deviation, merged over blocks
"""

from __future__ import annotations

__all__ = ["unused"]


def unused(imports: bool) -> tuple[str, ...]:
    """Modules that `simulate` imports but does not run where the truth is imported, or where it is not."""
    return ("thermalize.systems",) if imports else ("thermalize.truth.imported",)
