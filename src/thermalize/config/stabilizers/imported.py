"""Stabilizers of the user's own."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from thermalize.config.base import Name
from thermalize.config.external import Imported
from thermalize.config.stabilizers.base import Needs, StabilizerConfig

__all__ = ["ImportedStabilizerConfig"]

GIVEN = ("diffusion", "truth")


class ImportedStabilizerConfig(Imported, StabilizerConfig):
    """A stabilizer of your own, made by a Python function: docs/extending.md."""

    implementation: ClassVar[str] = "thermalize.stabilizers.imported"
    unswept: ClassVar[frozenset[str]] = frozenset({"kind", "target", "files", "truth"})

    kind: Literal["import"]
    diffusion: Name | None = Field(
        None, description="model under `diffusion` that the function is given as `diffusion`"
    )
    truth: bool = Field(False, description="whether the function is given true states of the train split as `truth`")

    @model_validator(mode="after")
    def _given_once(self) -> ImportedStabilizerConfig:
        if taken := [name for name in GIVEN if name in self.options]:
            raise ValueError(f"options holds {taken[0]!r}, which is a key of its own beside options")
        return self

    @property
    def needs(self) -> Needs:
        return Needs(self.diffusion, truth=self.truth)
