"""Two small libraries that a bare machine with PyTorch may lack: just enough of them for the science to be imported.

The science (systems, networks, diffusion, stabilizers, rollouts, the training loop) computes with PyTorch and NumPy
alone; it takes its settings from models of pydantic and shows its progress with tqdm. Where these are missing, classes
of the same name take values as they are given and check nothing but what the models check themselves. What reads files
needs the real libraries, and is not run without them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from inspect import get_annotations
from types import ModuleType, SimpleNamespace
from typing import Any, Literal

__all__ = ["stand_in"]


def stand_in() -> list[str]:
    """Puts what is missing into the modules of this process; returns the names."""
    stood_in = []
    for name, make in (("pydantic", _pydantic), ("tqdm", _tqdm)):
        if find_spec(name) is None:
            sys.modules[name] = module = make()
            module.__spec__ = ModuleSpec(name, None)  # torch looks modules up by it
            stood_in.append(name)
    return stood_in


class Given:
    """What `Field` says of a default."""

    def __init__(self, default: Any = ..., default_factory: Callable[[], Any] | None = None, **_: Any) -> None:
        self.default, self.default_factory = default, default_factory

    def value(self, name: str) -> Any:
        if self.default_factory:
            return self.default_factory()
        if self.default is ...:
            raise TypeError(f"{name} is missing")
        return self.default


class BaseModel:
    """Fields by keyword, defaults for the others, then the checks of the class; no conversion of any kind."""

    model_fields: dict[str, Any] = {}  # noqa: RUF012

    def __init_subclass__(cls) -> None:
        """Of the fields, only the kind is known, by which sections are told."""
        kind = get_annotations(cls).get("kind", "")
        if kind.startswith("Literal["):
            cls.model_fields = {"kind": SimpleNamespace(annotation=eval(kind, {"Literal": Literal}))}

    def __init__(self, **values: Any) -> None:
        for check in self._checks("before"):
            values = check.__func__(type(self), values)
        for name in self._names():
            given = getattr(type(self), name, Given())
            default = given.value(name) if isinstance(given, Given) and name not in values else given
            object.__setattr__(self, name, values.get(name, default))
        for check in self._checks("after"):
            check(self)

    @classmethod
    def _names(cls) -> list[str]:
        noted = [item for base in reversed(cls.__mro__) for item in get_annotations(base).items()]
        found = [name for name, kind in noted if not str(kind).startswith("ClassVar")]
        return [name for name in dict.fromkeys(found) if not name.startswith("model_")]

    @classmethod
    def _checks(cls, mode: str) -> list[Any]:
        attributes = [value for base in reversed(cls.__mro__) for value in vars(base).values()]
        return [value for value in attributes if getattr(value, "checks_model", None) == mode]

    def model_dump(self, *, exclude: Any = (), **_: Any) -> dict[str, Any]:
        return {name: _plain(getattr(self, name)) for name in self._names() if name not in exclude}

    def model_copy(self, *, update: dict[str, Any]) -> Any:
        return type(self)(**{name: getattr(self, name) for name in self._names()} | update)


def _plain(value: Any) -> Any:
    return value.model_dump() if isinstance(value, BaseModel) else value


def _validator(*_: Any, mode: str = "", **__: Any) -> Callable[[Any], Any]:
    def mark(function: Any) -> Any:
        function.checks_model = mode
        return function

    return mark


def _ignored(*_: Any, **__: Any) -> Any:
    """For `Annotated[…]`, which only pydantic reads."""
    return None


def _created(name: str, *, __base__: type, **_: Any) -> type:
    return type(name, (__base__,), {})


def _pydantic() -> ModuleType:
    module = ModuleType("pydantic")
    contents = {
        "BaseModel": BaseModel,
        "Field": Given,
        "ConfigDict": dict,
        "ValidationError": type("ValidationError", (ValueError,), {}),
        "model_validator": _validator,
        "field_validator": lambda *_, **__: lambda function: function,
        "model_serializer": lambda function: function,
        "create_model": _created,
        **dict.fromkeys(("AfterValidator", "BeforeValidator", "Discriminator", "StringConstraints", "Tag"), _ignored),
    }
    vars(module).update(contents)
    return module


class _Bar:
    """A bar that nobody sees."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def update(self, *_: Any) -> None: ...

    def close(self) -> None: ...

    def unpause(self) -> None: ...

    def set_postfix(self, *_: Any, **__: Any) -> None: ...

    @staticmethod
    def format_meter(done: int, total: int, elapsed: float, prefix: str = "", **_: Any) -> str:
        return f"{prefix}: {done}/{total} in {elapsed:.0f} s"


def _tqdm() -> ModuleType:
    module = ModuleType("tqdm")
    module.tqdm = _Bar  # type: ignore[attr-defined]
    return module
