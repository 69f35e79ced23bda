"""What is simulated: one equation per file, time steppers apart.

    u_t = 𝓛u + 𝓝(u) on a periodic domain

`build` finds a system by the `kind` of its configuration, `stepper` a time stepper by its name, and `frames` integrates
an ensemble.
"""

from __future__ import annotations

from typing import Any

import torch

from thermalize.config import SystemConfig
from thermalize.systems.base import Stepper, System
from thermalize.systems.kolmogorov import KolmogorovFlow
from thermalize.systems.ks import KuramotoSivashinsky
from thermalize.systems.qg import QuasiGeostrophic
from thermalize.systems.steppers import STEPPERS, stepper
from thermalize.systems.trajectory import Diverged, Timing, frames

__all__ = ["STEPPERS", "SYSTEMS", "Diverged", "Stepper", "System", "Timing", "build", "frames", "stepper"]

SYSTEMS: dict[str, Any] = {"ks": KuramotoSivashinsky, "kolmogorov": KolmogorovFlow, "qg": QuasiGeostrophic}


def build(config: SystemConfig, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> System:
    """The configured system, computing in `dtype` on `device`."""
    system: System = SYSTEMS[config.kind](config, dtype, device)
    return system
