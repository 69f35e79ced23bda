"""What there is: processor, memory, accelerators, disk, programs, versions."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
import torch
from dask.system import CPU_COUNT
from distributed.system import MEMORY_LIMIT

from thermalize.runtime.revision import revision

__all__ = ["Machine", "look"]

PACKAGES = ("torch", "snakemake", "numpy", "xarray", "zarr", "dask", "distributed", "netCDF4")
PROGRAMS = ("sbatch", "qsub", "bsub", "conda", "apptainer", "docker")
GIGABYTE = 1e9


@dataclass(frozen=True)
class Machine:
    """Amounts are those that this process is granted, by its control group or affinity, not all that is built in.

    processor: name and vector extensions that matter.
    bfloat16: whether the processor multiplies in bfloat16 without emulating it.
    cores, memory, available, disk: in numbers and GB.
    folder: whose disk it is.
    gpus: name and memory [GB] of each that torch can use; cuda is the version it was built for.
    programs: of `PROGRAMS`, those on the path.
    versions: of this package and what it stands on.
    """

    processor: str
    bfloat16: bool
    cores: int
    memory: float
    available: float
    disk: float
    folder: Path
    gpus: tuple[tuple[str, float], ...]
    cuda: str | None
    apple: bool
    programs: tuple[str, ...]
    versions: dict[str, str]


def look(folder: Path) -> Machine:
    """Look around; `folder`, where results are to go, need not exist yet."""
    capabilities = torch.cpu.get_capabilities()
    place = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    return Machine(
        processor=_processor(capabilities),
        bfloat16=any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16")),
        cores=CPU_COUNT,
        memory=MEMORY_LIMIT / GIGABYTE,
        available=min(psutil.virtual_memory().available, MEMORY_LIMIT) / GIGABYTE,
        disk=shutil.disk_usage(place).free / GIGABYTE,
        folder=folder,
        gpus=tuple(_gpus()),
        cuda=torch.version.cuda,
        apple=torch.backends.mps.is_available(),
        programs=tuple(name for name in PROGRAMS if shutil.which(name)),
        versions=_versions(),
    )


def _processor(capabilities: Mapping[str, object]) -> str:
    known = {
        "AVX2": "avx2",
        "AVX-512": "avx512_f",
        "AVX512-BF16": "avx512_bf16",
        "AMX-BF16": "amx_bf16",
        "NEON": "neon",
        "SVE": "sve",
    }
    extensions = ", ".join(word for word, name in known.items() if capabilities.get(name))
    name = str(capabilities.get("cpu_name") or platform.processor() or platform.machine())
    return f"{name} ({extensions or 'no vector extensions known'})"


def _gpus() -> list[tuple[str, float]]:
    if not torch.cuda.is_available():
        return []
    found = (torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count()))
    return [(each.name, each.total_memory / GIGABYTE) for each in found]


def _versions() -> dict[str, str]:
    found = {
        "thermalize": f"{version('thermalize')} ({revision() or 'no checkout'})",
        "python": platform.python_version(),
    }
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found
