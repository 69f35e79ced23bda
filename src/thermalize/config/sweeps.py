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
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field, ValidationError, create_model, model_serializer, model_validator

from thermalize.config.base import Name, Strict

if TYPE_CHECKING:
    from thermalize.config.rollouts import ThermalizerConfig

__all__ = ["Point", "Sweep", "expand", "sweep_of"]

MOST_KEYS = 2
UNIT = re.compile(r" \[[^\]]+\]$")


class Sweep(Strict):
    """Every combination of the listed values of one or two keys of a stabilizer, its other keys as they are there."""

    of: Name = Field(description="name under `rollouts.stabilizers`")

    @property
    def swept(self) -> dict[str, tuple[Any, ...]]:
        """Values by swept key, in the order of the schema."""
        given = [name for name in self.model_fields_set if name != "of" and getattr(self, name) is not None]
        order = list(type(self).model_fields)
        return {name: getattr(self, name) for name in sorted(given, key=order.index)}

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
        return {"of": self.of, **self.swept}


def sweep_of(model: type[BaseModel]) -> type[Sweep]:
    """The section that sweeps stabilizers of the class `model`: a list of values for each of its keys but `kind`."""
    fields: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if name == "kind":
            continue
        value = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
        values = Annotated[tuple[value, ...], Field(min_length=1)]  # type: ignore[valid-type]
        unit = UNIT.search(field.description or "")
        described = f"values of `{name}`{unit.group() if unit else ''}"
        fields[name] = (values | None, Field(None, description=described))
    return create_model("SweepConfig", __base__=Sweep, __module__=model.__module__, __doc__=Sweep.__doc__, **fields)


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
    config: ThermalizerConfig | None = None

    @property
    def texts(self) -> dict[str, str]:
        """The values as they are written in a name."""
        return {key: value_text(value) for key, value in self.values.items()}


Complete = Callable[["ThermalizerConfig"], "ThermalizerConfig"]


def expand(
    named: Mapping[str, Any], bases: Mapping[str, ThermalizerConfig], sweeps: Mapping[str, Sweep], complete: Complete
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
    known, found = dict(named), {}
    for name, sweep in sweeps.items():
        where = f"rollouts.sweeps.{name}"
        if sweep.of not in bases:
            can = ", ".join(bases) or "there is none"
            raise ValueError(f"{where}.of = {sweep.of!r} is no stabilizer with keys to sweep ({can})")
        points = [_point(bases[sweep.of], sweep.of, values, complete) for values in _combinations(sweep)]
        found[name] = tuple(_labelled(point, sweep.of, known, where) for point in points)
        _check_values(sweep, found[name], where)
    return found


def _combinations(sweep: Sweep) -> Iterable[dict[str, Any]]:
    return (dict(zip(sweep.swept, values, strict=True)) for values in product(*sweep.swept.values()))


def _point(base: ThermalizerConfig, of: str, values: dict[str, Any], complete: Complete) -> Point:
    """At random times a point does the work of the stabilizer that is swept, where no other is said."""
    work = {"like": of} if values.get("trigger") == "random" and base.like is None else {}
    try:
        return Point(values, config=complete(type(base).model_validate({**dict(base), **work, **values})))
    except ValidationError as error:
        reasons = [str(each.get("ctx", {}).get("error", each["msg"])) for each in error.errors()]
        return Point(values, left_out="; ".join(reasons))
    except ValueError as error:
        return Point(values, left_out=str(error))


def _labelled(point: Point, of: str, known: dict[str, Any], where: str) -> Point:
    """The point under the name of an equal stabilizer, or under a name of its own, which then is known."""
    if point.config is None:
        return point
    equal = next((name for name, config in known.items() if config == point.config), None)
    label = equal or ".".join([of, *(f"{key}-{text}" for key, text in point.texts.items())])
    if equal is None and label in known:
        raise ValueError(f"{where}: a point would be named {label!r} like another stabilizer; rename {of!r}")
    known[label] = point.config
    return Point(point.values, label, config=point.config)


def _check_values(sweep: Sweep, points: tuple[Point, ...], where: str) -> None:
    """A value that is valid in no combination is a fault, not a gap."""
    for key, values in sweep.swept.items():
        for value in values:
            refused = [point.left_out for point in points if point.values[key] == value]
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
