"""Emulators that were trained elsewhere."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from thermalize.config.base import FACTORY, Line, Strict

__all__ = ["ExportedEmulatorConfig", "ImportedEmulatorConfig"]

Units = Literal["physical", "normalized"]
UNITS: Any = Field(
    "physical",
    description="states that it maps: as stored, or with mean 0 and standard deviation 1 of the train split by channel",
)


class ImportedEmulatorConfig(Strict):
    """An emulator made by a Python function, such as one that loads a network of the user's own."""

    kind: Literal["import"]
    target: str = Field(
        pattern=FACTORY,
        max_length=1000,
        description="function that returns the emulator, package.module:function; the working directory included",
    )
    options: dict[str, Any] = Field(default_factory=dict, description="keyword arguments of that function")
    files: tuple[Line, ...] = Field(
        (), max_length=1000, description="files that it reads; when they change, so does the emulator"
    )
    units: Units = UNITS


class ExportedEmulatorConfig(Strict):
    """An emulator in a file that torch.export.save wrote: operations and weights, without Python code."""

    kind: Literal["exported"]
    program: Line = Field(description="path of the file (.pt2)")
    units: Units = UNITS
