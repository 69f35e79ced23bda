"""What every section of the schema shares: strict models, names, and numbers with units."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, StringConstraints

from thermalize.config.texts import name_of_ours, plain_units, plain_words

__all__ = [
    "FACTORY",
    "LARGEST_SEED",
    "LONGEST_NAME",
    "Line",
    "Name",
    "Seed",
    "SplitName",
    "Strict",
    "Units",
    "Words",
    "by_kind",
    "quantity",
]

LARGEST_SEED = 2**63 - 1
"""What an integer attribute of a NetCDF file holds."""

LONGEST_NAME = 100
"""File systems allow 255 bytes, of which suffixes, temporary names and combinations of two names need the rest."""

Name = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=LONGEST_NAME),
    AfterValidator(name_of_ours),
]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Units = Annotated[str, StringConstraints(min_length=1, max_length=60), AfterValidator(plain_units)]
Words = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(plain_words)]
Line = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
SplitName = Literal["train", "valid", "test"]
FACTORY = r"^[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*$"
"""What `package.module:factory` looks like."""


def quantity(unit: str, description: str, default: Any = ..., **bounds: Any) -> Any:
    """A number with its unit: the unit ends the description and is kept apart for error messages."""
    return Field(default, description=f"{description} [{unit}]", json_schema_extra={"unit": unit}, **bounds)


class Strict(BaseModel):
    """What sections are; a validator is built when it is needed, which is once for a whole experiment."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True, defer_build=True)


def by_kind(default: str) -> Discriminator:
    """Tells members of a union by their `kind`, which is their tag; one that does not say it is the default."""

    def kind(value: Any) -> str | None:
        found = value.get("kind", default) if isinstance(value, dict) else getattr(value, "kind", None)
        return found if isinstance(found, str) else None

    return Discriminator(kind)
