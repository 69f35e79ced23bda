"""The schema of a configuration for editors (JSON Schema) and for readers (a page of tables), from the models alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from thermalize.config import Experiment
from thermalize.config.places import bare, choices, fields_of, kinds, members, unit_of, words

__all__ = ["configuration_page", "json_schema", "schema_text"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SYMBOLS = {
    "gt": ">",
    "ge": "≥",
    "lt": "<",
    "le": "≤",
    "multiple_of": "multiple of",
    "min_length": "of at least",
    "max_length": "of at most",
}
HEADER = """# Configuration

An experiment is one YAML file. `configs/` holds complete examples; the sections below say everything a file may hold.
Keys that are not listed are refused, with the nearest known key. A section in braces, `{name}`, has a name of your
choice: at most 100 letters, digits, `.`, `_` and `-`, beginning with a letter or digit, and not ending like a file that
is made beside results (`.partial`, `.zarr`, `.lock` and so on). Numbers are plain (`0.1`, not `0.1 s`); their unit
stands here.

<!-- Generated from src/thermalize/config/ by `make schema`; edit the descriptions there. -->
"""


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a configuration file; editors complete and check keys with it."""
    return {"$schema": DIALECT, **Experiment.model_json_schema()}


def schema_text() -> str:
    """The JSON Schema as the text of `docs/config.schema.json`."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def configuration_page() -> str:
    """The text of `docs/configuration.md`: one table per section."""
    seen: dict[type[BaseModel], str] = {}
    return "\n".join([HEADER, *_section("", Experiment, seen)])


def _section(path: str, model: type[BaseModel], seen: dict[type[BaseModel], str], shape: str = "") -> Iterator[str]:
    """The table of one section, then those of the sections in it that were not described before."""
    shape = shape or (" with import" if "import" in fields_of(model) else "")
    title = _title(path, model) + shape
    seen[model] = title
    yield f"## {title}\n"
    if "__doc__" in vars(model) and model.__doc__:
        yield f"{model.__doc__.strip()}\n"
    yield "| key | value | unit | default | meaning |\n|---|---|---|---|---|"
    yield from (_row(name, field) for name, field in fields_of(model).items())
    inner = [(_join(path, name, field), each) for name, field in fields_of(model).items() for each in _models(field)]
    known = [(f"{where}{shape}", seen[each]) for where, each in inner if each in seen]
    yield from (f"\n`{where}` has the keys of `{described}`." for where, described in known)
    yield ""
    for where, each in inner:
        if each not in seen:
            yield from _section(where, each, seen, shape)


def _title(path: str, model: type[BaseModel]) -> str:
    kind = kinds(model)
    return (path or "The file") + (f" with kind: {kind[0]}" if len(kind) == 1 else "")


def _join(path: str, name: str, field: FieldInfo) -> str:
    named = get_origin(bare(field.annotation)) is dict
    return f"{path}.{name}".removeprefix(".") + (".{name}" if named else "")


def _models(field: FieldInfo) -> list[type[BaseModel]]:
    annotation = bare(field.annotation)
    if get_origin(annotation) is dict:
        annotation = get_args(annotation)[1]
    return [each for each in members(annotation) if fields_of(each)]


def _row(name: str, field: FieldInfo) -> str:
    unit = unit_of(field)
    meaning = (field.description or ("see below" if _models(field) else "")).removesuffix(f" [{unit}]")
    shown_unit = "" if unit in (None, "1") else unit
    return f"| `{name}` | {_value(field)} | {shown_unit} | {_default(field)} | {meaning} |"


def _value(field: FieldInfo) -> str:
    if get_origin(bare(field.annotation)) is dict:
        names, inner = get_args(bare(field.annotation))
        what = "sections" if any(fields_of(each) for each in members(inner)) else f"{words(inner)} entries"
        return f"{what} {', '.join(choices(names))}" if choices(names) else f"named {what}"
    plain = words(field.annotation).replace("a plain ", "").removeprefix("a ")
    return plain if plain == "text" else " ".join([plain, ", ".join(_bounds(field))]).strip()


def _bounds(field: FieldInfo) -> Iterator[str]:
    for constraint in field.metadata:
        for attribute, symbol in SYMBOLS.items():
            if (limit := getattr(constraint, attribute, None)) is not None:
                yield f"{symbol} {f'{limit:,}' if isinstance(limit, int) else f'{limit:g}'}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, BaseModel):
        value = value.model_dump(exclude_defaults=True)
    if value is None or value == {}:
        return "none" if value is None else "may be left out"
    return f"`{json.dumps(value, ensure_ascii=False)}`".replace('"', "")
