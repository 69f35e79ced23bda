"""Where it is recorded what every result was made from.

recipe       {settings, inputs, files, code}       settings that the step reads, contents of the results that it
                                                   needs, contents of the user's files, modules that it runs
fingerprint  SHA-256 of it
record       results/{name}/.recipes/{step}/….json, written when a result is finished
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from thermalize.runtime.files import read_json, write_text
from thermalize.store.results import Results
from thermalize.workflow.differences import leaves, short

__all__ = ["Recipe", "differences", "fingerprint_of", "mapping", "read_record", "record_of", "write_record"]

Recipe = dict[str, Any]


def fingerprint_of(recipe: Recipe) -> str:
    """SHA-256 of a recipe in canonical JSON."""
    return sha256(json.dumps(recipe, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@cache
def record_of(paths: Results, step: str, *key: str) -> Path:
    """Where it is recorded what a result was made from; wildcards may stand in braces."""
    return paths.folder / ".recipes" / step / f"{'/'.join(key) or step}.json"


def write_record(path: Path, recipe: Recipe, content: str | None) -> None:
    """Say at `path` that a result is finished, what it was made from, and what it holds."""
    record = {"fingerprint": fingerprint_of(recipe), "content": content, **recipe}
    for copy in (_copy_of(path), path):
        write_text(copy, json.dumps(record, indent=1) + "\n")


def read_record(path: Path) -> dict[str, Any] | None:
    """What was recorded; None where nothing was, or it is damaged."""
    return mapping(read_json(path)) or mapping(read_json(_copy_of(path)))


def mapping(value: Any) -> dict[str, Any] | None:
    """A JSON object; None for everything else."""
    return value if isinstance(value, dict) else None


def differences(record: Mapping[str, Any], recipe: Recipe) -> Iterator[str]:
    """What is not as it was, in words."""
    before, now = (dict(leaves(each.get("settings"))) for each in (record, recipe))
    for key in dict.fromkeys([*before, *now]):
        if before.get(key) != now.get(key):
            yield f"setting {key}: {short(before, key)} → {short(now, key)}"
    words = {"inputs": "input {} was made again, or will be", "files": "file {} changed", "code": "module {} changed"}
    for part, sentence in words.items():
        old, new = mapping(record.get(part)) or {}, recipe[part]
        yield from (sentence.format(name) for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name))


def _copy_of(record: Path) -> Path:
    """That stays where Snakemake deletes the files of a result before it is made again."""
    return record.with_name(f".{record.name}")
