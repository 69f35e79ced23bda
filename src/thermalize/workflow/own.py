"""What a configuration names of the user's own, held against what there is before anything runs; nothing is executed.

A function is looked for in the source of its module. Where that cannot tell (stars, names that are made while it runs,
no source, another Python for the jobs), nothing is said here, and the job says it.
"""

from __future__ import annotations

import ast
import shutil
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

from thermalize.config import Experiment, Own
from thermalize.config.texts import is_url
from thermalize.runtime.errors import UserError
from thermalize.truth.imported.patterns import matches
from thermalize.workflow.pictures import figures_of

__all__ = ["other_python", "refuse_missing"]

MAKING_NAMES = {"globals", "vars", "locals", "exec", "eval", "setattr"}
"""Functions by which a module may hold names that its source does not bind."""


def other_python() -> bool:
    """Whether rules, which call `python`, run another one than this, which may have other modules."""
    found = shutil.which("python")
    return found is None or Path(found).parent != Path(sys.executable).parent


def refuse_missing(experiment: Experiment, elsewhere: bool = False, files: bool = True) -> None:
    """Raise a UserError where a function or a file of the user's own is not there, or a figure has the name of another.

    Args:
        experiment: what is asked for.
        elsewhere: whether jobs run in another Python, which may have modules that this one has not.
        files: whether files are looked for; other rules may make them first.
    """
    figures_of(experiment)
    for where, section in _sections(experiment):
        target = getattr(section, "target", None) if getattr(section, "kind", None) == "import" else None
        if target is not None and (fault := _fault(target, elsewhere)):
            raise UserError(f"{where}: target {target!r}: {fault}")
        for name in section.sources if files and isinstance(section, Own) else ():
            if not is_url(name) and not matches(name):
                raise UserError(f"{where}: {name} does not exist; write it, or correct its path")


def _sections(experiment: Experiment) -> Iterator[tuple[str, object]]:
    """What may be the user's own, by its keys."""
    for group in ("emulators", "diffusion"):
        for name, each in getattr(experiment, group).items():
            yield f"{group}.{name}", each
            yield f"{group}.{name}.network", getattr(each, "network", None)
    yield from ((f"rollouts.stabilizers.{name}", each) for name, each in experiment.rollouts.stabilizers.items())
    yield from ((f"diagnostics.metrics.{name}", each) for name, each in experiment.diagnostics.metrics.items())
    yield from ((f"figures.{name}", each) for name, each in experiment.figures.items())


def _fault(target: str, elsewhere: bool) -> str | None:
    """What keeps the function `package.module:function` from being called, as far as sources tell."""
    module, _, function = target.partition(":")
    spec: ModuleSpec | None = None
    try:
        for name in _prefixes(module):
            above, spec = spec, _spec(name, spec)
            if spec is None:
                silent = elsewhere or (above is not None and _makes_names(_tree(above)))
                return None if silent else f"no module {name!r} is installed or in {Path.cwd()}; check the name"
        assert spec is not None, "every text has a part before its first dot"
        tree = _tree(spec)
    except (SyntaxError, ValueError) as error:
        return None if elsewhere else f"{spec and spec.origin} is no Python that can be read: {error}"
    if _makes_names(tree) or function in (names := _names(tree)):
        return None
    close = get_close_matches(function, names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{module} ({spec.origin or 'a folder'}) has no function or class {function!r}{hint}"


def _prefixes(module: str) -> list[str]:
    """a, a.b, a.b.c"""
    parts = module.split(".")
    return [".".join(parts[:last]) for last in range(1, len(parts) + 1)]


def _spec(name: str, above: ModuleSpec | None) -> ModuleSpec | None:
    """Where a module lies: where Python looks, and in the working directory after that, as `runtime.targets` does."""
    if above is not None:
        return PathFinder.find_spec(name, above.submodule_search_locations or [])
    return PathFinder.find_spec(name, [*sys.path, str(Path.cwd())]) or find_spec(name)


def _tree(spec: ModuleSpec) -> ast.Module | None:
    """The source of a module, nothing for a folder without one; None where it cannot be read, as of built-in ones."""
    if spec.origin is None and spec.submodule_search_locations is not None:
        return ast.Module([], [])
    if spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return ast.parse(Path(spec.origin).read_bytes())


def _makes_names(tree: ast.Module | None) -> bool:
    """Whether a module may hold names that its source does not bind."""
    if tree is None:
        return True
    own = {each.name for each in _outside_classes(tree) if isinstance(each, ast.FunctionDef)}
    return "__getattr__" in own or any(map(_makes_some, ast.walk(tree)))


def _makes_some(node: ast.AST) -> bool:
    match node:
        case ast.ImportFrom(names=[ast.alias(name="*")]) | ast.Attribute(ast.Name("sys"), "modules"):
            return True
        case ast.Name(name):
            return name in {*MAKING_NAMES, "__path__"}
    return False


def _outside_classes(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        yield node
        if not isinstance(node, ast.ClassDef):
            yield from _outside_classes(node)


def _names(tree: ast.Module | None) -> list[str]:
    """Every name that is bound anywhere in a module: rather one too many."""
    found: list[str] = []
    for node in ast.walk(tree) if tree else ():
        match node:
            case ast.FunctionDef(name) | ast.AsyncFunctionDef(name) | ast.ClassDef(name):
                found.append(name)
            case ast.Import(names) | ast.ImportFrom(names=names):
                found += [(each.asname or each.name).partition(".")[0] for each in names]
            case ast.Name(name, ast.Store()):
                found.append(name)
    return found
