"""A valid configuration as a mapping, ways to change it, and what is said of what is wrong."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import strategies as st

from thermalize.config.load import parse_experiment
from thermalize.runtime.errors import UserError

SPLIT = {"members": 8, "frames": 10}
VALID: dict[str, Any] = {
    "name": "demo",
    "simulation": {
        "system": {"kind": "ks", "length": 64.0, "points": 128},
        "dt": 0.1,
        "frame_interval": 1.0,
        "splits": {"train": SPLIT, "valid": SPLIT, "test": SPLIT},
    },
    "emulators": {"unet": {"training": {"updates": 10}}},
    "diffusion": {"snapshot": {"training": {"updates": 10}}},
    "rollouts": {
        "members": 8,
        "steps": 100,
        "stabilizers": {"raw": {"kind": "none"}, "thermalized": {"kind": "thermalizer", "start": 10, "stop": 4}},
    },
}
REMOVED = object()


def changed(**changes: Any) -> dict[str, Any]:
    """The valid mapping with dotted keys (`simulation__dt`) set, or removed."""
    mapping = copy.deepcopy(VALID)
    for dotted, value in changes.items():
        *sections, last = dotted.split("__")
        section = mapping
        for key in sections:
            section = section[key]
        if value is REMOVED:
            del section[last]
        else:
            section[last] = value
    return mapping


def complaint(mapping: Any) -> str:
    with pytest.raises(UserError) as caught:
        parse_experiment(mapping, "my.yaml")
    return str(caught.value)


NAMES = "use letters, digits, '.', '_' and '-', beginning with a letter or digit"
LETTERS = "bcdefghi"
LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in pairwise("a" + LETTERS)
)
MERGED = "a: &a {x: 1, y: 2}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 9)}]}}\n" for before, name in pairwise("a" + LETTERS)
)
BAD_FILES = [
    ("", "{path} is empty; begin with one of the files in configs/"),
    ("# only a comment\n", "{path} is empty; begin with one of the files in configs/"),
    ("- a\n- b\n", "{path} holds no sections; write `name: …`, `simulation: …` and so on, as in configs/"),
    ("name: a\nseed: 1\nname: b\n", "{path}, line 3: the key 'name' stands here and in line 1; keep one of the two"),
    ("a:\n  b: 1\n  b: 2\n", "{path}, line 3: the key 'b' stands here and in line 2; keep one of the two"),
    ("name: a\n\tseed: 1\n", "{path}, line 2: a tab stands where YAML allows only spaces; indent with spaces"),
    ("name: a: b\n", "{path}, line 1: a ':' stands where none may; put the text in quotes or mend the indentation"),
    (
        "a:\n    b: 1\n  c: 2\n",
        "{path}, line 3: the indentation does not fit the lines above; align the keys of one section",
    ),
    ("a: [1, 2\nb: 3\n", "{path}, line 2: a bracket is not closed or a comma is missing; mend the list"),
    ('name: "a\n', "{path}, line 2: a quote is not closed; close it"),
    (
        "name: !python/object/apply:os.getcwd []\n",
        "{path}, line 1: a tag such as !name is not allowed here; write a plain value",
    ),
    ("name: *other\n", "{path}, line 1: an alias (*name) has no anchor (&name); write the value out"),
    ("a: &a [*a]\n", "{path}, line 1: a YAML alias (*name) refers to itself; write the values out"),
    ("name: a\x00b\n", "{path}: it is not text that YAML allows; save it as plain UTF-8 text"),
    ("name: !!int abc\n", "{path}, line 1: a tag such as !name is not allowed here; write a plain value"),
    ("name: !!set {a, b}\n", "{path}, line 1: a tag such as !name is not allowed here; write a plain value"),
    (
        "name: a\n--- \nname: b\n",
        "{path}, line 2: a second document begins here ('---'); keep one experiment in a file",
    ),
    ("? [a, b]\n: 1\n", "{path}, line 1: a key is a list or a section; write one word"),
    ("{a: b}: 1\n", "{path}, line 1: a key is a list or a section; write one word"),
    ('name: "a\\0b"\n', "{path}, line 1: the text holds a character that no file can hold; leave it out"),
    ('name: "a\\ud800b"\n', "{path}, line 1: the text holds a character that no file can hold; leave it out"),
    ("a: " + "[" * 500 + "]" * 500, "{path}, line 1: sections or lists are nested more than 40 deep here"),
    (
        "".join(f"{' ' * depth}a:\n" for depth in range(500)),
        "{path}, line 40: sections or lists are nested more than 40 deep here",
    ),
    (LAUGHS, "{path}, line 5: more than 5,000 values stand up to here, aliases written out"),
    (MERGED, "{path}, line 5: more than 5,000 values stand up to here, aliases written out"),
    (
        "".join(f"key{n}: 1\n" for n in range(15_000)),
        "{path}, line 2500: more than 5,000 values stand up to here, aliases written out",
    ),
    (
        "".join(f"key{n}: 1\n" for n in range(50_000)),
        "{path} has more than 200,000 bytes; a configuration is shorter, name the right file",
    ),
]


def leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The path of every key of a nested mapping."""
    inner = (
        [leaf for key, item in value.items() for leaf in leaves(item, (*path, key))] if isinstance(value, dict) else []
    )
    return [*([path] if path else []), *inner]


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=3,
)
JARGON = ("pydantic", "http", "input should", "tuple", "literal[", "value error", "validation", "nonetype", "traceback")
