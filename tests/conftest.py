"""What every test shares: one thread per process, no wait for the disk, no display, examples that do not vary."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

# Before anything imports numpy or torch: several threads on a loaded machine cost time and change the order of sums.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["MPLBACKEND"] = "Agg"
# No test cuts the power, and syncing hundreds of small files takes longer than writing them.
os.fsync = lambda _: None

settings.register_profile(
    "thermalize",
    max_examples=25,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("thermalize")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What may take longest begins first, so that at the end no worker waits for another."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Configuration and results of a finished experiment without pictures; copy them before you change anything."""
    from tiny_results import finish, written

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # one for all of them
        folder = folder.parent
    folder, results = folder / "tiny", folder / "tiny" / "results"
    with FileLock(folder.with_suffix(".lock")):
        if not (finished := folder / "finished").exists():
            finish(written(folder), results)
            finished.touch()
    return folder / "tiny.yaml", results
