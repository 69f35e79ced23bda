"""What is simulated: one equation per file, time steppers apart.

    u_t = 𝓛u + 𝓝(u) on a periodic domain

`build` makes the system of a configuration, `stepper` a time stepper by its name, and `frames` integrates an ensemble.
"""

from __future__ import annotations

from importlib import import_module

import torch

from thermalize.config import SystemConfig
from thermalize.systems.base import Stepper, System
from thermalize.systems.steppers import STEPPERS, stepper
from thermalize.systems.trajectory import Diverged, Timing, frames

__all__ = ["STEPPERS", "Diverged", "Stepper", "System", "Timing", "build", "frames", "stepper"]


def build(config: SystemConfig, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> System:
    """The configured system, computing in `dtype` on `device`."""
    system: System = import_module(config.implementation).build(config, dtype, device)
    return system
