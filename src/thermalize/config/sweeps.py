"""Sweeps: one or two keys of a stabilizer take several values, and every combination is a stabilizer of its own.

A combination is a point. A point that equals a named stabilizer, or a point of another sweep, is that stabilizer and
runs once. A combination that the schema refuses is left out and says why.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Annotated, Any, Union, get_origin

from pydantic import BaseModel, Field, ValidationError, create_model, model_serializer, model_validator

from thermalize.config.base import Name, Strict
from thermalize.config.collisions import MOST_STABILIZERS

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from thermalize.config.stabilizers.base import StabilizerConfig

__all__ = ["Point", "Sweep", "expand", "sweep_of"]

MOST_KEYS = 2
MOST_VALUES = 1000
UNIT = re.compile(r" \[[^\]]+\]$")


class Sweep(Strict):
    """Every combination of the listed values of one or two keys of a stabilizer, its other keys as they are there."""

    of: Name = Field(description="name under `rollouts.stabilizers`")

    @property
    def swept(self) -> dict[str, tuple[Any, ...]]:
        """Values by swept key, in the order of the schema; those of an option under `options.name`."""
        given = [name for name in self.model_fields_set if name != "of" and getattr(self, name) is not None]
        order = list(type(self).model_fields)
        found = {name: getattr(self, name) for name in sorted(given, key=order.index)}
        options = {name: values for name, values in found.items() if isinstance(values, dict)}
        by_option = {f"{name}.{option}": each for name, values in options.items() for option, each in values.items()}
        return {name: values for name, values in found.items() if name not in options} | by_option

    @model_validator(mode="after")
    def _has_points(self) -> Sweep:
        if not 1 <= len(self.swept) <= MOST_KEYS:
            count = f"{len(self.swept)} keys ({', '.join(self.swept)})" if self.swept else "no key"
            raise ValueError(f"this sweep has {count}; give one key or two keys of the stabilizer a list of values")
        for name, values in self.swept.items():
            for value in values:
                if sum(value == other and type(value) is type(other) for other in values) > 1:
                    raise ValueError(f"{name} holds {value_text(value)} twice; keep one of the two")
        return self

    @model_serializer
    def _swept_keys_only(self) -> dict[str, Any]:
        given = {name: getattr(self, name) for name in self.model_fields_set if name != "of"}
        order = list(type(self).model_fields)
        return {"of": self.of, **{name: given[name] for name in order if given.get(name) is not None}}


def sweep_of(*models: type[StabilizerConfig]) -> type[Sweep]:
    """The section that sweeps stabilizers of some kinds: a list of values for each of their keys that can be varied.

    A key of several kinds takes the values of any of them.
    """
    swept: dict[str, list[FieldInfo]] = {}
    for model in models:
        for name, field in model.model_fields.items():
            if name not in model.unswept:
                swept.setdefault(name, []).append(field)
    fields: dict[str, Any] = {name: _values_of(name, found) for name, found in swept.items()}
    return create_model("SweepConfig", __base__=Sweep, __module__=__name__, __doc__=Sweep.__doc__, **fields)


def _values_of(name: str, fields: list[FieldInfo]) -> tuple[Any, Any]:
    """Type and description of the values of a key; of options, of each one by its name."""
    bounds: Any = Field(min_length=1, max_length=MOST_VALUES)
    unit = UNIT.search(fields[0].description or "")
    if get_origin(fields[0].annotation) is dict:
        values: Any = dict[str, Annotated[tuple[Any, ...], bounds]]
        described = f"values of each of the `{name}`, by its name"
    else:
        each = [Annotated[one.annotation, *one.metadata] if one.metadata else one.annotation for one in fields]
        values = Annotated[tuple[Union[tuple(each)], ...], bounds]  # type: ignore[misc] # noqa: UP007
        described = f"values of `{name}`{unit.group() if unit else ''}"
    return values | None, Field(None, description=described)


@dataclass(frozen=True)
class Point:
    """One combination of a sweep.

    Attributes:
        values: by swept key.
        stabilizer: name of the stabilizer that it is; empty where it is left out.
        left_out: why the schema refuses the combination; empty where it does not.
        config: the stabilizer.
    """

    values: dict[str, Any]
    stabilizer: str = ""
    left_out: str = ""
    config: StabilizerConfig | None = None

    @property
    def texts(self) -> dict[str, str]:
        """The values as they are written in a name."""
        return {key: value_text(value) for key, value in self.values.items()}


Complete = Callable[["StabilizerConfig"], "StabilizerConfig"]


def expand(
    named: Mapping[str, Any], bases: Mapping[str, StabilizerConfig], sweeps: Mapping[str, Sweep], complete: Complete
) -> dict[str, tuple[Point, ...]]:
    """The points of every sweep in the order of its values, the last key fastest.

    Args:
        named: stabilizers that run anyway.
        bases: stabilizers that can be swept.
        sweeps: by name.
        complete: fills in what a stabilizer takes from the experiment, or raises ValueError where that does not fit.

    Raises:
        ValueError: in the words of a configuration's faults.
    """
    known, found = Known(named), {}
    points = len(named) + sum(prod(map(len, sweep.swept.values())) for sweep in sweeps.values())
    if points > MOST_STABILIZERS:
        raise ValueError(
            f"rollouts.stabilizers and the points of rollouts.sweeps are {points}, more than {MOST_STABILIZERS}; list "
            "fewer values"
        )
    for name, sweep in sweeps.items():
        where = f"rollouts.sweeps.{name}"
        if sweep.of not in bases:
            can = ", ".join(bases) or "there is none"
            raise ValueError(f"{where}.of = {sweep.of!r} is no stabilizer with keys to sweep ({can})")
        combined = [_point(bases[sweep.of], sweep.of, values, complete) for values in _combinations(sweep)]
        found[name] = tuple(_labelled(point, sweep.of, known, where) for point in combined)
        _check_values(sweep, found[name], where)
    return found


def _combinations(sweep: Sweep) -> Iterable[dict[str, Any]]:
    return (dict(zip(sweep.swept, values, strict=True)) for values in product(*sweep.swept.values()))


def _point(base: StabilizerConfig, label: str, values: dict[str, Any], complete: Complete) -> Point:
    try:
        return Point(values, config=complete(base.varied(label, values)))
    except ValidationError as error:
        return Point(values, left_out="; ".join(_reason({**each}, base) for each in error.errors()))
    except ValueError as error:
        return Point(values, left_out=str(error))


def _reason(error: Mapping[str, Any], base: StabilizerConfig) -> str:
    if error["type"] == "extra_forbidden":
        return f"a stabilizer of kind: {base.kind} has no such key"
    return str(error.get("ctx", {}).get("error", error["msg"]))


class Known:
    """Names of stabilizers, and the first one of each that equals a configuration."""

    def __init__(self, named: Mapping[str, StabilizerConfig]) -> None:
        self.names: dict[str, str] = {}
        self.taken: set[str] = set()
        self.points: set[str] = set()
        for name, config in named.items():
            self.add(name, config)

    def add(self, name: str, config: StabilizerConfig) -> None:
        self.names.setdefault(config.model_dump_json(), name)
        self.taken.add(name)

    def name_of(self, config: StabilizerConfig) -> str | None:
        return self.names.get(config.model_dump_json())


def _labelled(point: Point, of: str, known: Known, where: str) -> Point:
    """The point under the name of an equal stabilizer, or under a name of its own, which then is known."""
    if point.config is None:
        return point
    equal = known.name_of(point.config)
    label = equal or ".".join([of, *(f"{value_text(key)}-{text}" for key, text in point.texts.items())])
    if equal is None and label in known.points:
        raise ValueError(f"{where}: two points would be named {label!r}; write values that differ in letters or digits")
    if equal is None and label in known.taken:
        raise ValueError(f"{where}: a point would be named {label!r} like another stabilizer; rename {of!r}")
    known.add(label, point.config)
    known.points.add(label)
    return Point(point.values, label, config=point.config)


def _check_values(sweep: Sweep, points: tuple[Point, ...], where: str) -> None:
    """A value that is valid in no combination is a fault, not a gap."""
    for key, values in sweep.swept.items():
        for value in values:
            refused = [point.left_out for point in points if point.values[key] is value or point.values[key] == value]
            if all(refused):
                reason, _ = Counter(refused).most_common(1)[0]
                raise ValueError(f"{where}.{key}: no point with {value_text(value)} is valid: {reason}")


def value_text(value: Any) -> str:
    """A value in letters, digits, ``.``, ``_`` and ``-``: null is ``none``, a section lists its keys and values."""
    if isinstance(value, BaseModel):
        value = value.model_dump(exclude_defaults=True)
    if isinstance(value, dict):
        return "-".join(f"{key}-{value_text(each)}" for key, each in value.items()) or "default"
    if isinstance(value, (list, tuple)):
        return "_".join(map(value_text, value))
    text = "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return re.sub(r"[^A-Za-z0-9_.-]", "_", text)
