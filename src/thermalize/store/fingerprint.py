"""What an artifact was made from, as one short text: SHA-256 of the canonical JSON of its configuration and code.

Two runs with the same fingerprint produce the same bytes, so the work of one can be taken up by the other.

The code is that of a module and of all that it imports, directly or not, read from the source without importing
anything. Its digest is that of the syntax tree without docstrings, so that prose, comments and layout are no reason to
compute anything again, and does not depend on the version of Python as far as the language is the same.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import sha256
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from thermalize.runtime.files import read_json, write_text

__all__ = [
    "UNTRACKED",
    "code_of",
    "digest_of",
    "file_of",
    "fingerprint",
    "keep",
    "modules",
    "remember",
    "untracked",
]

PACKAGE = Path(__file__).parents[1]
NAME = PACKAGE.name
UNTRACKED = {
    f"{NAME}.config": "what settings say is tracked as settings",
    f"{NAME}.workflow": "says what is made, and when",
    f"{NAME}.runtime.errors": "words",
    f"{NAME}.runtime.progress": "words",
    f"{NAME}.runtime.terminal": "words",
    f"{NAME}.store.results": "where results lie",
}
"""Modules, and packages with all in them, whose change is no reason to compute anything again.

Nor is one of the package itself, which imports the rest only when it is asked for.
"""
EVERY_MODULE = "iter_modules"
"""A package that calls this function imports all modules that lie in it."""
WITHOUT_VALUE = ("kind", "type_comment")
"""Fields of a syntax tree that say how something was written."""


def fingerprint(*parts: Any) -> str:
    """SHA-256 of the parts in order: JSON values and pydantic models, keys of dictionaries in any order."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain)
    return sha256(text.encode()).hexdigest()


@cache
def modules(stage: str, unused: tuple[str, ...] = (), runs: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Sorted names of the modules of this package that a module runs: its own and those that it imports, in turn.

    Args:
        stage: name of the module.
        unused: modules, and packages with all in them, that it imports but does not run.
        runs: modules that it runs but does not import.
    """
    found: set[str] = set()
    waiting = {stage, *runs}
    while waiting:
        module = waiting.pop()
        found.add(module)
        waiting |= {each for each in _imports(module) - found if not _within(each, unused)}
    return tuple(sorted(name for name in found if not untracked(name)))


def untracked(module: str) -> bool:
    """Whether a change of a module is no reason to compute anything again."""
    return module == NAME or _within(module, UNTRACKED)


def _within(module: str, names: Iterable[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in names)


def file_of(module: str) -> Path | None:
    """The source of any module, found without running it; None where there is none, as of built-in ones.

    It is looked for where Python looks, and in the working directory after that, as `runtime.targets` does.
    """
    path, origin, parts = None, None, module.split(".")
    for last in range(1, len(parts) + 1):
        spec = PathFinder.find_spec(".".join(parts[:last]), path or [*sys.path, str(Path.cwd())])
        if spec is None or (last < len(parts) and spec.submodule_search_locations is None):
            return None
        path, origin = spec.submodule_search_locations, spec.origin
    return Path(origin) if origin and origin.endswith(".py") else None


def digest_of(module: str) -> str:
    """SHA-256 of the syntax tree of a module, short."""
    return _source(module).digest


def code_of(stage: str, unused: tuple[str, ...] = (), runs: tuple[str, ...] = ()) -> dict[str, str]:
    """Digests of all modules that a module runs, by name; see `modules`."""
    return {name: digest_of(name) for name in modules(stage, unused, runs)}


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{value!r} cannot be part of a fingerprint; give JSON values or pydantic models")


def remember(path: Path) -> None:
    """Take what `keep` wrote: syntax trees of sources that are as they were need not be walked again."""
    found = read_json(path)
    for content, known in (found if isinstance(found, dict) else {}).items():
        with suppress(KeyError, TypeError):
            digest, names, whole = str(known["digest"]), [str(name) for name in known["names"]], bool(known["whole"])
            _KNOWN.setdefault(str(content), _Source(digest, tuple(names), whole))


def keep(path: Path) -> None:
    """Write what is known of the sources of today, by their contents, where something is new."""
    used = {_content(module): _source(module) for module in _USED}
    known = {content: asdict(source) for content, source in sorted(used.items())}
    if read_json(path) != json.loads(json.dumps(known)):
        with suppress(OSError):  # it is only slower without
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(known) + "\n")


@dataclass(frozen=True)
class _Source:
    """What is known of a module by its source: a digest, the names that it imports, and whether all in its package."""

    digest: str
    names: tuple[str, ...]
    whole: bool


_KNOWN: dict[str, _Source] = {}
"""By the digest of the file."""
_USED: set[str] = set()


@cache
def _imports(module: str) -> frozenset[str]:
    if untracked(module):
        return frozenset()
    source = _source(module)
    names = {module.rpartition(".")[0], *source.names}
    if source.whole:
        names |= {f"{module}.{path.stem}" for path in PACKAGE.joinpath(*module.split(".")[1:]).glob("[!_]*.py")}
    return frozenset(name for name in names if name.split(".")[0] == NAME and _path(name) is not None)


@cache
def _source(module: str) -> _Source:
    path, content = _path(module), _content(module)
    _USED.add(module)
    if content not in _KNOWN:
        assert path is not None
        _KNOWN[content] = _read(ast.parse(path.read_text(encoding="utf-8")))
    return _KNOWN[content]


@cache
def _content(module: str) -> str:
    path = _path(module)
    if path is None:
        raise ModuleNotFoundError(f"no source for the module {module}", name=module)
    return sha256(path.read_bytes()).hexdigest()


def _read(tree: ast.Module) -> _Source:
    out: list[str] = []
    _write(tree, out)
    names: set[str] = set()
    whole = False
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == EVERY_MODULE:
            whole = True
    own = (name for name in names if name.split(".")[0] == NAME)
    return _Source(sha256("\0".join(out).encode()).hexdigest()[:16], tuple(sorted(own)), whole)


@cache
def _path(module: str) -> Path | None:
    stem = PACKAGE.joinpath(*module.split(".")[1:])
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if path.is_file():
            return path
    return None


def _write(node: ast.AST, out: list[str]) -> None:
    """The tree in one line, without what is empty and texts that nobody reads: docstrings, and those below names."""
    out.append(type(node).__name__)
    for name in node._fields:
        value = getattr(node, name, None)
        parts = [each for each in (value if isinstance(value, list) else [value]) if not _is_text(each)]
        if value is None or not parts or name in WITHOUT_VALUE:
            continue
        out.append(name)
        for each in parts:
            if isinstance(each, ast.AST):
                _write(each, out)
            else:
                out.append(repr(each))
    out.append(".")


def _is_text(node: object) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
