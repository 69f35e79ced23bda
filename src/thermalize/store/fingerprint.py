"""What an artifact was made from, as one short text: SHA-256 of the canonical JSON of its configuration and code.

Two runs with the same fingerprint produce the same bytes, so the work of one can be taken up by the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import BaseModel

__all__ = ["code_digest", "fingerprint"]


def fingerprint(*parts: Any) -> str:
    """SHA-256 of the parts in order: JSON values and pydantic models, keys of dictionaries in any order."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain)
    return sha256(text.encode()).hexdigest()


def code_digest(*module_names: str) -> str:
    """SHA-256 of the source of the named modules, of packages with all that lies within, without importing them."""
    digest = sha256()
    for name in sorted(module_names):
        for label, source in _sources(name):
            content = source.read_bytes()
            digest.update(f"{name}:{label}:{len(content)}\n".encode() + content)
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{value!r} cannot be part of a fingerprint; give JSON values or pydantic models")


def _sources(name: str) -> Iterator[tuple[str, Path]]:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no source for the module {name}", name=name)
    origin = Path(spec.origin)
    if spec.submodule_search_locations is None:
        yield origin.name, origin
        return
    for source in sorted(origin.parent.rglob("*.py")):
        yield source.relative_to(origin.parent).as_posix(), source
