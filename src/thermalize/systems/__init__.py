"""What is simulated: one equation per file, time steppers apart.

    u_t = 𝓛u + 𝓝(u) on a periodic domain

`build` finds a system by the `kind` of its configuration, `frames` integrates an ensemble of it.
"""

from __future__ import annotations

import torch

from thermalize.config import KuramotoSivashinskyConfig
from thermalize.systems.base import Stepper, System
from thermalize.systems.ks import KuramotoSivashinsky
from thermalize.systems.trajectory import Diverged, frames

__all__ = ["SYSTEMS", "Diverged", "Stepper", "System", "build", "frames"]

SYSTEMS = {"ks": KuramotoSivashinsky}


def build(
    config: KuramotoSivashinskyConfig, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu"
) -> System:
    """The configured system, computing in `dtype` on `device`."""
    return SYSTEMS[config.kind](config, dtype, device)
