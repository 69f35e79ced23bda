"""Independent tasks on a Dask cluster: quiet single-threaded processes here, jobs of a batch system, or a scheduler
that already runs.

Tasks must not care where, in which order or how often they run. A worker that is killed costs the task it was on, which
Dask hands to another. `tasks` hands them out and carries back what a task says while it runs, `jobs` starts workers in
a batch system, and `processes` starts them here and holds what concerns signals and the processes themselves.
"""

from __future__ import annotations

from thermalize.truth.cluster.processes import refuse_within_worker, stopping_on_sigterm
from thermalize.truth.cluster.tasks import each, report

__all__ = ["each", "refuse_within_worker", "report", "stopping_on_sigterm"]
