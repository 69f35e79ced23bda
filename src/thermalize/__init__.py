"""Simulation, training, thermalized rollouts and diagnostics of neural emulators of chaotic systems.

emulator = thermalize.load_emulator("results/demo/emulators/unet")
diffusion = thermalize.load_diffusion("results/demo/diffusion/unet")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thermalize.stages.diffusion import load_diffusion
    from thermalize.stages.emulator import load_emulator

__all__ = ["__version__", "load_diffusion", "load_emulator"]

__version__ = "0.1.0"

STAGES = {"load_emulator": "thermalize.stages.emulator", "load_diffusion": "thermalize.stages.diffusion"}


def __getattr__(name: str) -> Any:
    """Imports torch only where a model is loaded: the Snakefile and the command line import this package too."""
    if name in STAGES:
        from importlib import import_module  # noqa: PLC0415

        return getattr(import_module(STAGES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
