"""Python functions of the user's own, which make what a configuration names."""

from __future__ import annotations

from math import isfinite
from typing import Any

from pydantic import Field, field_validator

from thermalize.config.base import FACTORY, Line, Strict

__all__ = ["Imported", "Own"]


class Own(Strict):
    """A section that may be made from files and code of the user's own."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Files that it is made from."""
        return ()

    @property
    def function(self) -> str | None:
        """Function that makes it, package.module:function."""
        return None


class Imported(Own):
    """What a Python function makes."""

    target: str = Field(
        pattern=FACTORY,
        max_length=1000,
        description="function that makes it, package.module:function; the working directory included",
    )
    options: dict[str, Any] = Field(default_factory=dict, description="keyword arguments of that function")
    files: tuple[Line, ...] = Field(
        (), max_length=1000, description="files that it reads; when they change, so does what it makes"
    )

    @field_validator("options")
    @classmethod
    def _finite(cls, options: dict[str, Any]) -> dict[str, Any]:
        if not _is_finite(options):
            raise ValueError("options holds a number that is not finite, which no file of results keeps; write text")
        return options

    @property
    def sources(self) -> tuple[str, ...]:
        return self.files

    @property
    def function(self) -> str | None:
        return self.target


def _is_finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or isfinite(value)
