"""Where in the user's file a fault lies, and what the models expect there.

The validator reports a location in the *models*: field names, keys of named entries, indices, but also tags and labels
of unions, which are no keys. Walking the type annotations along the location tells them apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

__all__ = ["Place", "bare", "choices", "fields_of", "kinds", "locate", "members", "unit_of", "words"]

LONGEST_KEY = 60
WORDS = {
    float: "a plain number",
    int: "a whole number",
    str: "text",
    bool: "true or false",
    list: "a list",
    tuple: "a list",
}


@dataclass(frozen=True)
class Place:
    """One place in the file: its keys from the top, the type expected there, and the section around it."""

    keys: tuple[str | int, ...]
    expected: Any
    field: FieldInfo | None = None
    section: Any = None
    is_key: bool = False

    @property
    def path(self) -> str:
        """The dotted key, such as `rollouts.stabilizers.raw.kind` or `seeds[1]`; of a bad key, the section it is in."""
        keys = self.keys[:-1] if self.is_key else self.keys
        return "".join(f"[{key}]" if isinstance(key, int) else f".{_printed(key)}" for key in keys).removeprefix(".")

    @property
    def is_item(self) -> bool:
        return bool(self.keys) and isinstance(self.keys[-1], int)

    @property
    def alternatives(self) -> Any:
        """Everything the key may hold: the whole union where `expected` is one of its members."""
        if self.is_item:
            return get_args(self.section)[0]
        return self.field.annotation if self.field else self.expected


def _printed(key: str) -> str:
    """A key as a terminal can show it: short, on one line, without control characters."""
    shown = key if key.isprintable() else repr(key)
    return shown if len(shown) <= LONGEST_KEY else f"{shown[:LONGEST_KEY]}…"


def locate(root: type[BaseModel], loc: Sequence[str | int]) -> Place:
    """The place in the file for a location in the models."""
    place = Place((), root)
    for step in loc:
        place = _descend(place, step)
    return place


def _descend(place: Place, step: str | int) -> Place:
    expected = bare(place.expected)
    if step == "[key]":
        return Place(place.keys, get_args(place.section)[0], None, place.section, is_key=True)
    if len(members(expected)) > 1:
        return Place(place.keys, _member(expected, step), place.field, place.section)
    keys, fields = (*place.keys, step), fields_of(expected)
    if fields:
        field = fields.get(str(step))
        return Place(keys, field.annotation if field else None, field, expected)
    inner = get_args(expected)[1 if get_origin(expected) is dict else 0]
    return Place(keys, inner, place.field if isinstance(step, int) else None, expected)


def _member(union: Any, label: str | int) -> Any:
    for each in members(union):
        by_name = label in (getattr(each, "__name__", ""), *kinds(each))
        if by_name or (get_origin(each) is Literal and str(label).startswith("literal")):
            return each
    return union


def bare(annotation: Any) -> Any:
    """A type without its `Annotated` and its `None`."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    kept = tuple(each for each in get_args(annotation) if each is not NoneType)
    return Union[kept] if len(kept) > 1 else bare(kept[0])  # noqa: UP007 - the members are known only here


def members(annotation: Any) -> list[Any]:
    """The alternatives of a union; a type that is none stands alone."""
    annotation = bare(annotation)
    return [bare(each) for each in get_args(annotation)] if get_origin(annotation) is Union else [annotation]


def fields_of(annotation: Any) -> dict[str, FieldInfo]:
    """The keys of a section, as they stand in the file; none where the type is no section."""
    annotation = bare(annotation)
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return {}
    return {field.alias or name: field for name, field in annotation.model_fields.items()}


def unit_of(field: FieldInfo | None) -> str | None:
    """The unit that ends a key's description in brackets; "1" where it has none by nature."""
    found = re.search(r"\[([^\]]+)\]$", (field.description if field else None) or "")
    return found.group(1) if found else None


def choices(annotation: Any) -> list[str]:
    """The words a key may hold."""
    return [str(choice) for each in members(annotation) if get_origin(each) is Literal for choice in get_args(each)]


def kinds(annotation: Any) -> list[str]:
    """The values of `kind` that a section, or a union of sections, knows."""
    found = [fields_of(each).get("kind") for each in members(annotation)]
    return [choice for field in found if field for choice in choices(field.annotation)]


def words(annotation: Any) -> str:
    """What is expected, in a user's words: "a whole number or auto"."""
    found: list[str] = []
    for each in members(annotation):
        origin = get_origin(each) or each
        found += choices(each) if origin is Literal else [WORDS.get(origin, "a section")]
    found = list(dict.fromkeys(found))
    return " or ".join(filter(None, (", ".join(found[:-1]), found[-1])))
