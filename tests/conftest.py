"""What every test shares: one thread per process, figures without a display, examples that do not vary."""

from __future__ import annotations

import os

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
