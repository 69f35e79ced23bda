"""Time steppers by name; each declares its order of accuracy and serves every system."""

from __future__ import annotations

from thermalize.systems.adams_bashforth import ETDAB3, ETDAB4
from thermalize.systems.base import Stepper, System
from thermalize.systems.etdrk4 import ETDRK4

__all__ = ["STEPPERS", "stepper"]

STEPPERS: dict[str, type[ETDRK4 | ETDAB3 | ETDAB4]] = {"etdrk4": ETDRK4, "etdab3": ETDAB3, "etdab4": ETDAB4}


def stepper(name: str, system: System, dt: float) -> Stepper:
    """A stepper of the system for one trajectory with the step dt, in time units."""
    return STEPPERS[name](system.linear, system.nonlinear, dt, dtype=system.dtype.to_complex(), device=system.device)
