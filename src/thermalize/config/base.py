"""What every section of the schema shares: strict models, names, and numbers with units."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

__all__ = ["Name", "SplitName", "Strict", "quantity"]


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
SplitName = Literal["train", "valid", "test"]


def quantity(unit: str, description: str, default: Any = ..., **bounds: Any) -> Any:
    """A number with its unit: the unit ends the description and is kept apart for error messages."""
    return Field(default, description=f"{description} [{unit}]", json_schema_extra={"unit": unit}, **bounds)


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)
