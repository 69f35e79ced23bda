"""Emulators by kind, one module each."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Tag

from thermalize.config.base import by_kind
from thermalize.config.emulators.base import EmulatorSettings, TrainedEmulatorConfig
from thermalize.config.emulators.external import ExportedEmulatorConfig, ImportedEmulatorConfig
from thermalize.config.emulators.residual import EmulatorConfig, UnrollConfig
from thermalize.config.kinds import kind_of, kinds_of

__all__ = [
    "AnyEmulator",
    "EmulatorConfig",
    "EmulatorSettings",
    "ExportedEmulatorConfig",
    "ImportedEmulatorConfig",
    "TrainedEmulatorConfig",
    "UnrollConfig",
]

if TYPE_CHECKING:
    AnyEmulator = EmulatorSettings
else:
    KINDS = tuple(Annotated[each, Tag(kind_of(each))] for each in kinds_of(sys.modules[__name__], EmulatorSettings))
    AnyEmulator = Annotated[Union[KINDS], by_kind("residual")]  # noqa: UP007 - known only here
