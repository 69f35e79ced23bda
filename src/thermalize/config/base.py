"""What every section of the schema shares: strict models, names, and numbers with units."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints

__all__ = ["FACTORY", "Name", "SplitName", "Strict", "by_kind", "quantity"]


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
SplitName = Literal["train", "valid", "test"]
FACTORY = r"^[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*$"
"""What `package.module:factory` looks like."""


def quantity(unit: str, description: str, default: Any = ..., **bounds: Any) -> Any:
    """A number with its unit: the unit ends the description and is kept apart for error messages."""
    return Field(default, description=f"{description} [{unit}]", json_schema_extra={"unit": unit}, **bounds)


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)


def by_kind(default: str) -> Discriminator:
    """Tells members of a union by their `kind`, which is their tag; one that does not say it is the default."""

    def kind(value: Any) -> str | None:
        found = value.get("kind", default) if isinstance(value, dict) else getattr(value, "kind", None)
        return found if isinstance(found, str) else None

    return Discriminator(kind)
