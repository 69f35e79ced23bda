"""One thread on one core, and what it ran on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

__all__ = ["PACKAGES", "describe", "one_thread"]

PACKAGES = ("thermalize", "torch", "exponax", "jax-cfd", "pyqg-jax", "jax", "jaxlib", "numpy")
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def one_thread() -> dict[str, str]:
    """Environment of a child process that computes on one thread; pins this process, and so the child, to a core."""
    if hasattr(os, "sched_setaffinity"):  # Linux
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    xla = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    return {**os.environ, **dict.fromkeys(THREADS, "1"), "XLA_FLAGS": xla, "JAX_PLATFORMS": "cpu"}


def describe() -> dict[str, str]:
    """Processor, operating system, Python and package versions, threads."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": f"1 (cores allowed: {cores})",
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def _processor() -> str:
    """Model name and widest vector instructions, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = facts.get("flags", "").split()
    vectors = next((name for name in ("avx512f", "avx2", "avx") if name in flags), "no AVX")
    return f"{facts.get('model name', 'unknown')}, {vectors}"
