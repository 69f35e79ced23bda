"""Simulated systems by kind, one module each: parameters, grids, bounds."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from thermalize.config.kinds import kinds_of
from thermalize.config.systems.base import COURANT_LIMITS, MOST_POINTS, StepperName, SystemSettings
from thermalize.config.systems.kolmogorov import KolmogorovConfig
from thermalize.config.systems.ks import KuramotoSivashinskyConfig
from thermalize.config.systems.qg import QuasiGeostrophicConfig

__all__ = [
    "COURANT_LIMITS",
    "MOST_POINTS",
    "KolmogorovConfig",
    "KuramotoSivashinskyConfig",
    "QuasiGeostrophicConfig",
    "StepperName",
    "SystemConfig",
    "SystemSettings",
]

if TYPE_CHECKING:
    SystemConfig = SystemSettings
else:
    KINDS = kinds_of(sys.modules[__name__], SystemSettings)
    SystemConfig = Annotated[Union[KINDS], Field(discriminator="kind")]  # noqa: UP007 - known only here
