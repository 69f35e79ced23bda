"""From the bytes of a YAML file to plain values, or one sentence: a small, strict part of YAML.

    bytes → text (UTF-8, at most 200 kB) → nodes (counted, aliases written out) → sections, lists, text, numbers

Read are sections, lists, quoted and plain text, decimal numbers (also 1e-3), true and false in their usual spellings,
aliases and merge keys. Everything else that YAML has is refused with its line, because it can surprise (`010` is eight,
`1:30` ninety, `2024-13-45` an error), run code (tags) or grow without bounds (aliases of aliases). Keys are text as it
stands in the file: `no` stays `no`.
"""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from thermalize.runtime.errors import UserError

__all__ = ["FLOAT", "read_mapping", "read_scalar"]

LARGEST = 200_000  # bytes
MOST_VALUES = 5_000
DEEPEST = 40
SYNTAX = (
    ("'\\t'", "a tab stands where YAML allows only spaces; indent with spaces"),
    ("mapping values are not allowed", "a ':' stands where none may; put the text in quotes or mend the indentation"),
    ("expected <block end>", "the indentation does not fit the lines above; align the keys of one section"),
    ("could not find expected ':'", "a ':' is missing after a key; write `key: value`"),
    ("unexpected end of stream", "a quote is not closed; close it"),
    ("expected ',' or", "a bracket is not closed or a comma is missing; mend the list"),
    ("found undefined alias", "an alias (*name) has no anchor (&name); write the value out"),
    ("found another document", "a second document begins here ('---'); keep one experiment in a file"),
)
TAG = "a tag such as !name is not allowed here; write a plain value"


def read_mapping(path: str | Path) -> dict[str, Any]:
    """The sections of a YAML file; UserError says what is wrong with it, where, and what to do."""
    path = Path(path)
    try:
        found = yaml.load(_text(path), _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{where}: {_syntax(error)}") from None
    except yaml.YAMLError:
        raise UserError(f"{path}: it is not text that YAML allows; save it as plain UTF-8 text") from None
    if not found:
        raise UserError(f"{path} is empty; begin with one of the files in configs/")
    if not isinstance(found, dict):
        raise UserError(f"{path} holds no sections; write `name: …`, `simulation: …` and so on, as in configs/")
    return found


def read_scalar(text: str) -> Any:
    """The number, truth value or nothing that a word in a file stands for; the text itself where it is none."""
    try:
        found = yaml.load(text, _Loader)
    except yaml.YAMLError:
        return text
    return text if isinstance(found, dict | list) else found


def _text(path: Path) -> str:
    try:
        with open(path, "rb", opener=_at_once) as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise UserError(f"{path} has more than {LARGEST:,} bytes; a configuration is shorter, name the right file")
        return data.decode("utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; {_neighbour(path)}") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder; name the YAML file in it") from None
    except PermissionError:
        raise UserError(f"{path} may not be read; give yourself permission with `chmod u+r {path}`") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text; save it as plain UTF-8 text") from None
    except (OSError, ValueError) as error:  # a name too long, a loop of links, a disk that fails, a null in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{str(path)[:60]!r} cannot be read ({reason}); name a YAML file") from None


def _at_once(path: str, flags: int) -> int:
    """Open a file; a pipe that nobody writes to is empty, where it would be waited for without end."""
    found = os.open(path, flags | os.O_NONBLOCK)
    os.set_blocking(found, True)
    return found


def _neighbour(path: Path) -> str:
    names = [each.name for each in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
    close = get_close_matches(path.name, names, n=1)
    return f"did you mean {path.parent / close[0]}?" if close else "name a YAML file, such as one of those in configs/"


def _syntax(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "it is not valid YAML"
    if isinstance(error, _Refused):
        return problem
    return next((sentence for part, sentence in SYNTAX if part in problem), f"{problem}; mend the YAML in this line")


class _Refused(yaml.MarkedYAMLError):
    """Something that YAML allows and a configuration does not."""

    def __init__(self, problem: str, mark: Any) -> None:
        super().__init__(problem=problem, problem_mark=mark)


class _Loader(yaml.SafeLoader):
    """Counts what it composes, aliases written out, before anything is made of it."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._values = self._depth = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event, before = self.peek_event(), self._values  # type: ignore[no-untyped-call]
        self._check(event)
        self._values += 1
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(event, yaml.AliasEvent):
            if id(node) not in self._sizes:
                raise _Refused("a YAML alias (*name) refers to itself; write the values out", event.start_mark)
            self._values += self._sizes[id(node)]
        else:
            self._sizes[id(node)] = self._values - before
        return node

    def _check(self, event: yaml.Event) -> None:
        if self._values >= MOST_VALUES:
            raise _Refused(f"more than {MOST_VALUES:,} values stand up to here, aliases written out", event.start_mark)
        if self._depth >= DEEPEST:
            raise _Refused(f"sections or lists are nested more than {DEEPEST} deep here", event.start_mark)
        if getattr(event, "tag", None) is not None:
            raise _Refused(TAG, event.start_mark)
        if isinstance(event, yaml.ScalarEvent) and re.search("[\0\ud800-\udfff]", event.value):
            raise _Refused("the text holds a character that no file can hold; leave it out", event.start_mark)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        _refuse_twice(node)
        self.flatten_mapping(node)
        return {key.value: self.construct_object(value, deep=deep) for key, value in node.value}


def _refuse_twice(node: yaml.MappingNode) -> None:
    """YAML would silently keep the last of two equal keys."""
    lines: dict[str, int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _Refused("a key is a list or a section; write one word", key.start_mark)
        line = key.start_mark.line + 1
        if key.value in lines:
            known = f"the key '{key.value[:60]}' stands here and in line {lines[key.value]}; keep one of the two"
            raise _Refused(known, key.start_mark)
        if key.tag != "tag:yaml.org,2002:merge":
            lines[key.value] = line


# Words of YAML 1.1 and 1.2 that mean the same in both, and yes, no, on and off, which people write.
TRUTH = "|".join(f"{word}|{word.title()}|{word.upper()}" for word in ("true", "false", "yes", "no", "on", "off"))
FLOAT = r"[-+]?(\.\d+|\d(_?\d)*\.\d*)([eE][-+]?\d+)?|[-+]?\d+[eE][-+]?\d+|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
_Loader.yaml_implicit_resolvers = {}
for kind, words, first in (
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", TRUTH, [*"tTfFyYnNoO"]),
    ("int", "[-+]?(0|[1-9](_?[0-9]){0,99})", [*"-+0123456789"]),
    ("float", FLOAT, [*"-+.0123456789"]),
    ("merge", "<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(f"^({words})$", re.ASCII), first)
