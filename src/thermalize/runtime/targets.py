"""Functions of the user's own, by the text `package.module:function` of a configuration.

The module is looked for where Python looks, and in the working directory after that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from thermalize.runtime.errors import UserError

__all__ = ["RAISED", "factory", "made", "said"]

RAISED = (Exception, SystemExit)
"""What code of a user's may raise; one that ends the process says no more than that."""


def factory(target: str) -> Callable[..., Any]:
    """What `package.module:factory` names."""
    name, _, attribute = target.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # last, so that nothing in it hides an installed package
    try:
        module = import_module(name)
    except ModuleNotFoundError as error:
        raise UserError(
            f"target {target!r}: no module {error.name!r} is installed or in {here}; check the name"
        ) from error
    except RAISED as error:
        raise UserError(f"target {target!r}: importing {name} raises {said(error)}") from error
    if not callable(found := getattr(module, attribute, None)):
        raise UserError(f"target {target!r}: {name} ({module.__file__}) has no function or class {attribute!r}")
    return found


def said(error: BaseException) -> str:
    """What an exception of a user's function says, in a sentence."""
    return f"{type(error).__name__}: {error}"


def made(target: str, options: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    """What the function `target` makes of the options and of what it is given besides."""
    make = factory(target)
    try:
        return make(**given, **options)
    except RAISED as error:
        plain = {name: value for name, value in given.items() if isinstance(value, int)}
        called = ", ".join(f"{name}={value!r}" for name, value in {**plain, **options}.items())
        how = f"called with {called} it" if called else "it"
        raise UserError(f"target {target!r}: {how} raises {said(error)}") from error
