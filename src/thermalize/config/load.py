"""From a YAML file to a checked experiment, and back: every fault of the file is one clear sentence.

file → mapping (`configyaml`) → strict validation → `Experiment` → resolved YAML. Numbers written as text ('1e-3', '10')
are read as numbers where a number is expected; anything else of the wrong type is refused.

This module is imported while Snakemake reads the Snakefile, so it must stay free of torch, xarray and the like.
"""

from __future__ import annotations

import json
import re
from math import isfinite
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from thermalize.config import Experiment
from thermalize.config.messages import refusal
from thermalize.config.page import configuration_page, json_schema, schema_text
from thermalize.config.places import locate
from thermalize.config.strictyaml import FLOAT, read_mapping
from thermalize.runtime.errors import UserError

__all__ = [
    "configuration_page",
    "json_schema",
    "load_experiment",
    "parse_experiment",
    "resolved_yaml",
    "schema_text",
]


def load_experiment(path: str | Path) -> Experiment:
    """The experiment that a YAML file describes; UserError says what is wrong with the file and what to do."""
    return parse_experiment(read_mapping(path), str(path))


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
        raise UserError(refusal(source, error, Experiment)) from None


def resolved_yaml(experiment: Experiment) -> str:
    """The experiment with every default written out; reading it gives the same experiment."""
    values = experiment.model_dump(by_alias=True)
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def _validate(data: dict[str, Any]) -> Experiment:
    # JSON in strict mode takes a list as a tuple but no boolean as a number.
    return Experiment.model_validate_json(json.dumps(data), strict=True)


def _plain(value: Any, source: str) -> Any:
    """A copy with text as keys and nothing but what JSON knows."""
    try:
        return json.loads(json.dumps(_with_text_keys(value), default=str))
    except (RecursionError, ValueError):
        raise UserError(f"{source} is nested without end, or holds a number without end; write plain values") from None


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
    if not isfinite(number) or (whole and not number.is_integer()):
        return value
    return int(number) if whole else number


class _Dumper(yaml.SafeDumper):
    """Block style, with short lists such as [1, 2, 4] on one line."""


def _on_one_line(dumper: yaml.SafeDumper, values: tuple[Any, ...]) -> yaml.SequenceNode:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=True)


_Dumper.add_representer(tuple, _on_one_line)
# Text that is read as a number is quoted; the library's own rules know fewer of them.
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(f"^({FLOAT})$", re.ASCII), [*"-+.0123456789"])
