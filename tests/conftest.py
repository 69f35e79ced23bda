"""What every test shares: one thread per process, figures without a display, examples that do not vary."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Before anything imports numpy or torch: several threads on a loaded machine cost time and change the order of sums.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["MPLBACKEND"] = "Agg"

settings.register_profile(
    "thermalize",
    max_examples=25,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("thermalize")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Configuration and results of a finished experiment without pictures; copy them before you change anything."""
    from tiny_results import finish, written

    folder = tmp_path_factory.mktemp("tiny")
    config = written(folder)
    finish(config, folder / "results")
    return config, folder / "results"
