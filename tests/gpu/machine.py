"""What this machine is: GPU, driver, PyTorch, and which of the package's libraries are there."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator

import numpy as np
import torch

from gpu.report import Row, measured
from gpu.running import Check

__all__ = ["rows"]


def rows(check: Check) -> Iterator[Row]:
    yield measured("python, numpy", f"{platform.python_version()}, {np.__version__}")
    yield measured("torch", torch.__version__)
    yield measured("CPU cores that may be used", len(os.sched_getaffinity(0)))
    yield measured("threads of torch on the CPU", torch.get_num_threads())
    if not check.cuda:
        return
    properties = torch.cuda.get_device_properties(check.device)
    yield measured("GPU", properties.name)
    yield measured("memory of the GPU", properties.total_memory / 1e9, "GB")
    yield measured("compute capability", f"{properties.major}.{properties.minor}")
    yield measured("GPUs that can be used", torch.cuda.device_count())
    yield measured("CUDA of torch, cuDNN", f"{torch.version.cuda}, {torch.backends.cudnn.version()}")
    yield measured("driver", _driver())
    yield measured("bfloat16 of its own", str(torch.cuda.is_bf16_supported(including_emulation=False)))
    yield measured("TF32 in convolutions, in products", f"{_tf32()}")
    for name in ("CUDA_VISIBLE_DEVICES", "CUBLAS_WORKSPACE_CONFIG"):
        yield measured(name, os.environ.get(name, "not set"))


def _driver() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return "nvidia-smi is missing"
    return listed.stdout.split("\n")[0].strip() or "nvidia-smi tells none"


def _tf32() -> str:
    return f"{torch.backends.cudnn.allow_tf32}, {torch.backends.cuda.matmul.allow_tf32}"
