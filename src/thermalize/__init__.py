"""Simulation, training, thermalized rollouts and diagnostics of neural emulators of chaotic systems.

emulator = thermalize.load_emulator("results/demo/emulators/unet")
denoiser = thermalize.load_diffusion("results/demo/diffusion/unet")
thermalizer = thermalize.Thermalizer(denoiser, start=3)
run = thermalize.rollout(emulator, x0, steps=1000, stabilizer=thermalizer)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thermalize.diffusion.load import load_diffusion
    from thermalize.emulators.load import load_emulator
    from thermalize.rollouts.library import Thermalizer, Trajectory, rollout
    from thermalize.runtime.members import Series
    from thermalize.stabilizers.base import Stabilized

__all__ = [
    "Series",
    "Stabilized",
    "Thermalizer",
    "Trajectory",
    "__version__",
    "load_diffusion",
    "load_emulator",
    "rollout",
]

__version__ = "0.1.0"

HOMES = {
    "load_emulator": "thermalize.emulators.load",
    "load_diffusion": "thermalize.diffusion.load",
    **dict.fromkeys(("Thermalizer", "Trajectory", "rollout"), "thermalize.rollouts.library"),
    "Series": "thermalize.runtime.members",
    "Stabilized": "thermalize.stabilizers.base",
}


def __getattr__(name: str) -> Any:
    """Imports torch only where a model is loaded: the Snakefile and the command line import this package too."""
    if name in HOMES:
        from importlib import import_module  # noqa: PLC0415

        return getattr(import_module(HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
