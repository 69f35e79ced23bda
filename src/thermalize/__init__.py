"""Long, stable rollouts of neural emulators: simulation, training, thermalization and diagnostics."""

__version__ = "0.1.0"
