"""From a YAML file to a checked experiment, and back: every fault of the file is one clear sentence.

file → mapping (no duplicate keys, 1e-3 is a number) → strict validation → `Experiment` → resolved YAML. Numbers written
as text ('1e-3', '10') are read as numbers where a number is expected; anything else of the wrong type is refused.

This module is imported while Snakemake reads the Snakefile, so it must stay free of torch, xarray and the like.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from thermalize.config import Experiment
from thermalize.configmessages import sentences
from thermalize.configpage import configuration_page, json_schema, schema_text
from thermalize.configplaces import locate
from thermalize.errors import UserError
from thermalize.store.atomic import write_text

__all__ = [
    "configuration_page",
    "json_schema",
    "load_experiment",
    "parse_experiment",
    "resolved_yaml",
    "schema_text",
    "write_experiment",
]

SYNTAX = (
    ("'\\t'", "a tab stands where YAML allows only spaces; indent with spaces"),
    ("mapping values are not allowed", "a ':' stands where none may; put the text in quotes or mend the indentation"),
    ("expected <block end>", "the indentation does not fit the lines above; align the keys of one section"),
    ("could not find expected ':'", "a ':' is missing after a key; write `key: value`"),
    ("unexpected end of stream", "a quote is not closed; close it"),
    ("expected ',' or", "a bracket is not closed or a comma is missing; mend the list"),
    ("could not determine a constructor", "a tag such as !name is not allowed here; write a plain value"),
    ("found undefined alias", "an alias (*name) has no anchor (&name); write the value out"),
)
YAML_1_2_FLOAT = re.compile(r"^[-+]?(\.\d+|\d+(\.\d*)?)[eE][-+]?\d+$")


def load_experiment(path: str | Path) -> Experiment:
    """The experiment that a YAML file describes; UserError says what is wrong with the file and what to do."""
    path = Path(path)
    try:
        return parse_experiment(yaml.load(_text(path), _Loader), str(path))
    except yaml.MarkedYAMLError as error:
        where = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{path}{where}: {_syntax(error)}") from None
    except yaml.YAMLError:
        raise UserError(f"{path}: it is not text that YAML allows; save it as plain UTF-8 text") from None


def parse_experiment(mapping: Any, source: str) -> Experiment:
    """The experiment that a mapping describes, such as Snakemake's merged `config`; `source` names it in errors."""
    if not mapping:
        raise UserError(f"{source} is empty; begin with one of the files in configs/")
    if not isinstance(mapping, dict):
        raise UserError(f"{source} holds no sections; write `name: …`, `simulation: …` and so on, as in configs/")
    data = _plain(mapping, source)
    try:
        try:
            return _validate(data)
        except ValidationError as error:
            return _validate(_with_numbers(data, error))
    except ValidationError as error:
        found = sentences(error, Experiment)
        many = f"{source} has {len(found)} faults:\n  " + "\n  ".join(found)
        raise UserError(f"{source}: {found[0]}" if len(found) == 1 else many) from None


def resolved_yaml(experiment: Experiment) -> str:
    """The experiment with every default written out; reading it gives the same experiment."""
    values = experiment.model_dump(by_alias=True)
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def write_experiment(experiment: Experiment, path: Path) -> None:
    """Write a configuration in full to the file `path`."""
    write_text(path, resolved_yaml(experiment))


def _validate(data: dict[str, Any]) -> Experiment:
    # JSON in strict mode takes a list as a tuple but no boolean as a number.
    return Experiment.model_validate_json(json.dumps(data), strict=True)


def _plain(value: Any, source: str) -> Any:
    """A copy with text as keys and nothing but what JSON knows."""
    try:
        return json.loads(json.dumps(_with_text_keys(value), default=str))
    except RecursionError:
        raise UserError(f"{source}: a YAML alias (*name) refers to itself; write the values out") from None


def _with_text_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _with_text_keys(item) for key, item in value.items()}
    return [_with_text_keys(item) for item in value] if isinstance(value, (list, tuple)) else value


def _with_numbers(data: dict[str, Any], error: ValidationError) -> dict[str, Any]:
    """A copy in which text and decimals that are numbers of the expected type have become them."""
    data = json.loads(json.dumps(data))
    for fault in error.errors():
        if fault["type"] in ("int_type", "float_type"):
            *sections, last = locate(Experiment, fault["loc"]).keys
            section: Any = data
            for key in sections:
                section = section[key]
            section[last] = _number(section[last], whole=fault["type"] == "int_type")
    return data


def _number(value: Any, whole: bool) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, float)):
        return value
    try:
        number = float(value)
    except ValueError:
        return value
    if whole:
        return int(number) if number.is_integer() else value
    return number


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; {_neighbour(path)}") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder; name the YAML file in it") from None
    except PermissionError:
        raise UserError(f"{path} may not be read; give yourself permission with `chmod u+r {path}`") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text; save it as plain UTF-8 text") from None


def _neighbour(path: Path) -> str:
    names = [each.name for each in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
    close = get_close_matches(path.name, names, n=1)
    return f"did you mean {path.parent / close[0]}?" if close else "name a YAML file, such as one of those in configs/"


def _syntax(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "it is not valid YAML"
    if isinstance(error, _DuplicateKeyError):
        return problem
    return next((sentence for part, sentence in SYNTAX if part in problem), f"{problem}; mend the YAML in this line")


class _DuplicateKeyError(yaml.constructor.ConstructorError):
    """A key that stands twice in one section, of which YAML would silently keep the last."""


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in lines:
                    problem = f"the key '{key.value}' stands here and in line {lines[key.value]}; keep one of the two"
                    raise _DuplicateKeyError(problem=problem, problem_mark=key.start_mark)
                lines[key.value] = line
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", YAML_1_2_FLOAT, list("-+.0123456789"))


class _Dumper(yaml.SafeDumper):
    """Block style, with short lists such as [1, 2, 4] on one line."""


def _on_one_line(dumper: yaml.SafeDumper, values: tuple[Any, ...]) -> yaml.SequenceNode:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=True)


_Dumper.add_representer(tuple, _on_one_line)
