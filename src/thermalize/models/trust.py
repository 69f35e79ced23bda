"""Whose Python code a model folder may run.

The card of a model says what the model is made of; of `kind: import` that is a Python function and its arguments. A
card is a file that may come from anybody, so that its word is not enough: either the caller trusts the folder, or the
configuration that asks for the model names the same function with the same arguments.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from thermalize.errors import UserError

__all__ = ["Trust", "names_code", "require_trust"]

Trust = bool | BaseModel


def require_trust(folder: Path, card: Mapping[str, Any], trust: Trust) -> None:
    """Raises UserError where the card names Python code that the caller does not trust."""
    named = list(_code(card["config"]))
    if trust is True or not named:
        return
    target, options = named[0]
    what = f"{folder} calls Python code, {target!r} with {options!r}"
    if isinstance(trust, BaseModel):
        if named != list(_code(trust.model_dump(mode="json"))):
            raise UserError(f"{what}, which is not what the configuration names; delete the folder and train again")
        return
    raise UserError(f"{what}; load it with trust_code=True if you trust whoever made the folder")


def names_code(config: Mapping[str, Any]) -> bool:
    """Whether a model of this configuration is made by Python code from outside."""
    return any(_code(config))


def _code(value: Any) -> Iterator[tuple[Any, Any]]:
    """Functions and arguments of each part of `kind: import`."""
    if isinstance(value, Mapping):
        if value.get("kind") == "import":
            yield value.get("target"), value.get("options", {})
        for each in value.values():
            yield from _code(each)
    elif isinstance(value, list):
        for each in value:
            yield from _code(each)
