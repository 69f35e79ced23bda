"""Emulators that were made elsewhere."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from thermalize.config.base import Line
from thermalize.config.emulators.base import EmulatorSettings
from thermalize.config.external import Imported

__all__ = ["ExportedEmulatorConfig", "ImportedEmulatorConfig"]

Units = Literal["physical", "normalized"]
UNITS: Any = Field(
    "physical",
    description="states that it maps: as stored, or with mean 0 and standard deviation 1 of the train split by channel",
)


class ImportedEmulatorConfig(Imported, EmulatorSettings):
    """An emulator made by a Python function, such as one that loads a network of the user's own."""

    implementation: ClassVar[str] = "thermalize.emulators.external"

    kind: Literal["import"]
    units: Units = UNITS


class ExportedEmulatorConfig(EmulatorSettings):
    """An emulator in a file that torch.export.save wrote: operations and weights, without Python code."""

    implementation: ClassVar[str] = "thermalize.emulators.external"

    kind: Literal["exported"]
    program: Line = Field(description="path of the file (.pt2)")
    units: Units = UNITS

    @property
    def sources(self) -> tuple[str, ...]:
        return (self.program,)
