"""Kinds of a section: whatever class of a package has a `kind` of its own is one that a configuration may name.

A new kind is a module in that package, and nothing lists it.
"""

from __future__ import annotations

from importlib import import_module
from inspect import getmembers, isclass
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, Literal, TypeVar, get_args, get_origin

from thermalize.config.base import Strict

__all__ = ["kind_of", "kinds_of"]

Model = TypeVar("Model", bound=Strict)


def kinds_of(package: ModuleType, base: type[Model]) -> tuple[type[Model], ...]:
    """The classes below `base` that are told by a literal `kind`, of the modules of a package in the order of names."""
    found: dict[type[Model], None] = {}
    for each in iter_modules(package.__path__):
        module = import_module(f"{package.__name__}.{each.name}")
        for _, value in getmembers(module, isclass):
            if issubclass(value, base) and value.__module__ == module.__name__ and kind_of(value):
                found[value] = None
    return tuple(found)


def kind_of(model: type[Strict]) -> str:
    """The `kind` of a section; empty where any is allowed."""
    field: Any = model.model_fields.get("kind")
    return str(get_args(field.annotation)[0]) if field and get_origin(field.annotation) is Literal else ""
