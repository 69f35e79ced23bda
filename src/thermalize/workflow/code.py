"""Which modules a stage runs, so that the workflow can declare them as input and rerun what a change of code touches.

The map is read from the import statements themselves, without importing anything. Left out are modules whose effect on
a stage is tracked otherwise (the configuration through the rules' parameters) or that cannot touch a result.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

__all__ = ["STAGES", "sources", "untracked"]

PACKAGE = Path(__file__).parent
STAGES = {
    "simulate": "thermalize.truth.simulate",
    "emulator": "thermalize.stages.emulator",
    "diffusion": "thermalize.stages.diffusion",
    "sample": "thermalize.stages.samples",
    "rollout": "thermalize.stages.rollouts",
    "cost": "thermalize.stages.cost",
    "diagnose": "thermalize.stages.diagnose",
    "ensemble": "thermalize.stages.ensemble",
    "artifacts": "thermalize.stages.artifacts",
}
UNTRACKED = frozenset(
    {
        "thermalize",
        "thermalize.config",
        "thermalize.runtime.errors",
        "thermalize.runtime.progress",
        "thermalize.store.results",
    }
)


def sources(stage: str) -> list[str]:
    """Sorted paths of the modules that `stage` imports, directly or not."""
    found: set[str] = set()
    waiting = {STAGES[stage]}
    while waiting:
        module = waiting.pop()
        found.add(module)
        waiting |= _imports(module) - found
    return sorted(str(path) for name in found if not untracked(name) and (path := _path(name)) is not None)


def untracked(module: str) -> bool:
    """Whether a change of a module is no reason to compute anything again."""
    return module in UNTRACKED or module.startswith("thermalize.config.")


@cache
def _imports(module: str) -> frozenset[str]:
    path = _path(module)
    if path is None or module == "thermalize":  # which imports the rest only when it is asked for
        return frozenset()
    names = {".".join(module.split(".")[:-1])} if "." in module else set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return frozenset(name for name in names if name.split(".")[0] == "thermalize" and _path(name) is not None)


def _path(module: str) -> Path | None:
    stem = PACKAGE.joinpath(*module.split(".")[1:])
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if path.is_file():
            return path
    return None
