"""Stabilizers by kind, one module each, and the sweeps over their keys."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from thermalize.config.kinds import kinds_of
from thermalize.config.stabilizers.base import Needs, StabilizerConfig
from thermalize.config.stabilizers.cap import CapConfig
from thermalize.config.stabilizers.imported import ImportedStabilizerConfig
from thermalize.config.stabilizers.none import NoStabilizerConfig
from thermalize.config.stabilizers.projection import ProjectionConfig
from thermalize.config.stabilizers.thermalizer import DriftConfig, ThermalizerConfig
from thermalize.config.sweeps import Sweep, sweep_of

__all__ = [
    "AnyStabilizer",
    "CapConfig",
    "DriftConfig",
    "ImportedStabilizerConfig",
    "Needs",
    "NoStabilizerConfig",
    "ProjectionConfig",
    "StabilizerConfig",
    "SweepConfig",
    "ThermalizerConfig",
]

if TYPE_CHECKING:
    AnyStabilizer = StabilizerConfig
    SweepConfig = Sweep
else:
    KINDS = kinds_of(sys.modules[__name__], StabilizerConfig)
    AnyStabilizer = Annotated[Union[KINDS], Field(discriminator="kind")]  # noqa: UP007 - known only here
    SweepConfig = sweep_of(*KINDS)
