"""Mutations of a configuration: extremes, wrong types, deletions, foreign and copied sections, swaps, odd text.

Each change is drawn from one seeded stream, so that a number names a configuration.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

Key = str | int
Path_ = tuple[Key, ...]

NUMBERS = (
    0, -1, 1, 2, 3, 7, 10**6, 10**9, 10**12, 10**18, 2**31, 2**63 - 1, 2**63, 2**64, 10**30, 10**400, -0.0, 0.5, 1.0,
    -1.5, 1e-12, 1e-6, 1e6, 1e12, 1e18, 1e300, 1e308, -1e308, 5e-324, 2.2e-308, float("inf"), float("-inf"),
    float("nan"),
)  # fmt: skip
TEXTS = (
    "", " ", "a", "none", "null", "auto", "~", "_", "-", ".", "..", "../x", "/etc/passwd", "a/b", "a b", "a.partial",
    "x.nc", "small", "SMALL", "raw", "thermalized-b", "ü", "💥", "a\nb", "a\x00b", "a\tb", "{a}", "{wildcards.seed}",
    "$HOME", "`id`", r"$\frac{$", "%s%n", "a" * 300, "1e3", "0x10", "1_000", "true", "'", '"', "-1", "1e400", "NaN",
    "C:\\x", "s3://b/p", "::", "train", "kind", "é" * 120, "\ud800",
)  # fmt: skip
SHAPES: tuple[Any, ...] = (
    None, True, False, [], {}, [[]], [None], {"a": {}}, {"kind": "none"}, {"kind": "thermalizer"}, {"kind": "unet"},
    {"kind": "import"}, {"kind": "exported", "program": "a.pt2"}, [1] * 2000, list(range(2000)), ["x"] * 2000,
    {str(i): i for i in range(200)}, {"": 1}, {"a.lock": {}}, [{"a": 1}], {"members": 1, "frames": 2},
)  # fmt: skip


def places(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Where something stands, at any depth."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*path, key)
        yield from places(each, (*path, key))


def at(mapping: Any, path: Path_) -> Any:
    for key in path:
        mapping = mapping[key]
    return mapping


def put(mapping: Any, path: Path_, value: Any) -> None:
    at(mapping, path[:-1])[path[-1]] = value


class Mutations:
    """Changes of a mapping in place, drawn from one stream."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.kinds = (
            *(self.number,) * 9,
            *(self.text, self.shape, self.delete, self.rename),
            *(self.foreign, self.copied, self.swapped, self.wrapped, self.as_text),
            *(self.nudged,) * 12,
        )

    def place(self, mapping: Any, leaf: bool = False) -> Path_:
        found = [path for path in places(mapping) if not (leaf and isinstance(at(mapping, path), (dict, list)))]
        return self.draw.choice(found)

    def number(self, mapping: Any) -> None:
        put(mapping, self.place(mapping, leaf=True), self.draw.choice(NUMBERS))

    def text(self, mapping: Any) -> None:
        put(mapping, self.place(mapping, leaf=True), self.draw.choice(TEXTS))

    def shape(self, mapping: Any) -> None:
        put(mapping, self.place(mapping), copy.deepcopy(self.draw.choice(SHAPES)))

    def delete(self, mapping: Any) -> None:
        path = self.place(mapping)
        del at(mapping, path[:-1])[path[-1]]

    def rename(self, mapping: Any) -> None:
        path = self.place(mapping)
        section = at(mapping, path[:-1])
        if isinstance(section, dict):
            section[self.draw.choice(TEXTS)] = section.pop(path[-1])

    def foreign(self, mapping: Any) -> None:
        sections = [(), *(path for path in places(mapping) if isinstance(at(mapping, path), dict))]
        section = at(mapping, self.draw.choice(sections))
        for _ in range(self.draw.choice((1, 1, 3, 40))):
            section[f"{self.draw.choice(TEXTS)}{self.draw.randrange(99)}"] = self.draw.choice(NUMBERS)

    def copied(self, mapping: Any) -> None:
        """A section stands twice, under another name, or in the place of another."""
        path = self.place(mapping)
        section, value = at(mapping, path[:-1]), copy.deepcopy(at(mapping, path))
        if isinstance(section, list):
            section.append(value)
        else:
            section[self.draw.choice((f"{path[-1]}-b", f"{path[-1]}.partial", str(path[-1]).upper(), *section))] = value

    def swapped(self, mapping: Any) -> None:
        one, other = self.place(mapping), self.place(mapping)
        if one[: len(other)] == other or other[: len(one)] == one:
            return
        first, second = at(mapping, one), at(mapping, other)
        put(mapping, one, second)
        put(mapping, other, first)

    def nudged(self, mapping: Any) -> None:
        path = self.place(mapping, leaf=True)
        value = at(mapping, path)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            put(
                mapping,
                path,
                self.draw.choice(
                    (value + 1, value - 1, 2 * value, value * 10**3, value * 10**6, value * 10**9, value // 2)
                ),
            )

    def wrapped(self, mapping: Any) -> None:
        path = self.place(mapping)
        put(mapping, path, self.draw.choice(([at(mapping, path)], {"a": at(mapping, path)})))

    def as_text(self, mapping: Any) -> None:
        path = self.place(mapping, leaf=True)
        put(mapping, path, str(at(mapping, path)))


def configuration(seed: int, found: list[dict[str, Any]]) -> dict[str, Any]:
    mutations = Mutations(seed)
    mapping = copy.deepcopy(mutations.draw.choice(found))
    for _ in range(mutations.draw.choice((1, 1, 1, 2, 2, 3, 5))):
        mutations.draw.choice(mutations.kinds)(mapping)
        if not mapping:
            break
    return mapping
