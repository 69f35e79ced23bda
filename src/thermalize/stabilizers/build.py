"""From settings to stabilizer: a kind says itself which module makes it."""

from __future__ import annotations

from importlib import import_module

from thermalize.config import StabilizerConfig
from thermalize.stabilizers.base import Inputs, Stabilizer

__all__ = ["build"]


def build(config: StabilizerConfig, inputs: Inputs) -> Stabilizer:
    """The stabilizer of these settings."""
    made: Stabilizer = import_module(config.implementation).build(config, inputs)
    return made
