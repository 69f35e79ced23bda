"""Settings as keys and values, and values in few letters: what differs, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["leaves", "short"]


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting in sections of sections, as `section.key` and value."""
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from leaves(item, f"{key}.{name}" if key else name)
    else:
        yield key, value


def short(values: Mapping[str, Any], key: str) -> str:
    """A value in at most forty characters; none where there is no such key."""
    text = repr(values[key]) if key in values else "none"
    return text if len(text) <= 40 else f"{text[:40]}…"
