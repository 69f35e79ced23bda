"""One experiment from what Snakemake is given: one or more files, and `--config key=value` on top.

Snakemake reads configuration files with a loader of its own, which takes the last of two equal keys and merges two
whole experiments into a third. So its files are read once more, strictly, and merged as it does: sections key by key,
anything else as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from thermalize.config import Experiment
from thermalize.config.load import parse_experiment
from thermalize.config.strictyaml import read_mapping, read_scalar
from thermalize.runtime.errors import UserError

__all__ = ["merged_experiment"]

WHOLE = {name for name, field in Experiment.model_fields.items() if field.is_required()}


def merged_experiment(files: Sequence[str | Path], overrides: Mapping[str, Any]) -> tuple[Experiment, str]:
    """The experiment of `files`, each upon those before it, with `overrides` on top; and the words that name all these.

    Args:
        files: of which one describes a whole experiment, and the others may change some of its keys.
        overrides: as Snakemake parses `--config`, with the words in sections and lists still text.

    Raises:
        UserError: in the words that `thermalize resolve` has for a file.
    """
    paths = [_short(Path(path)) for path in files]
    mappings = [read_mapping(path) for path in paths]
    whole = [path for path, mapping in zip(paths, mappings, strict=True) if mapping.keys() >= WHOLE]
    if len(whole) > 1:
        both = " and ".join(map(str, whole[:2]))
        raise UserError(f"{both} both describe a whole experiment; give one of them, and others only what they change")
    given = f"--config {', '.join(overrides)}" if overrides else ""
    source = " with ".join([*map(str, paths), *([given] if given else [])])
    merged: dict[str, Any] = {}
    for mapping in (*mappings, _words(overrides)):
        merged = _merge(merged, mapping)
    return parse_experiment(merged, source), source


def _merge(below: Any, above: Any) -> Any:
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return {**below, **{key: _merge(below.get(key), value) for key, value in above.items()}}


def _words(value: Any) -> Any:
    """Numbers, truth values and nothing instead of their words, at any depth."""
    if isinstance(value, Mapping):
        return {str(key): _words(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_words(item) for item in value]
    return read_scalar(value) if isinstance(value, str) else value


def _short(path: Path) -> Path:
    """As seen from here, where it lies below."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_absolute() and path.is_relative_to(here) else path
