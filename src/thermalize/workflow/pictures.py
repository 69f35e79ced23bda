"""Which figures there are, as their modules declare it, read from the source: drawing needs libraries, planning none.

@register("samples", when="diffusion")        the experiments that have a diffusion model
@register("ablation", when="sweeps", shows="tables")
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from thermalize.config import Experiment
from thermalize.runtime.errors import UserError

__all__ = ["CONDITIONS", "Picture", "caption_of", "figures_of", "picture", "pictures"]

FOLDER = Path(__file__).parents[1] / "figures"
REPORT = Path("..") / "report"
"""As the rules see it."""
REGISTER, MOVIE = "register", "movie"

CONDITIONS: dict[str, Callable[[Experiment], bool]] = {
    "always": lambda _: True,
    "states": lambda experiment: experiment.rollouts.has_states,
    "plane": lambda experiment: experiment.rollouts.has_states and len(experiment.simulation.grid) > 1,
    "diffusion": lambda experiment: bool(experiment.diffusion),
    "ensembles": lambda experiment: experiment.has_ensembles,
    "sweeps": lambda experiment: bool(experiment.sweeps),
}
"""When a figure is drawn: states of rollouts are stored, and have two dimensions; a diffusion model, several seeds, a
sweep."""


@dataclass(frozen=True)
class Picture:
    """What a figure says of itself; see `thermalize.figures.registry.register`."""

    name: str
    when: str = "always"
    shows: str = "rollouts"


def figures_of(experiment: Experiment) -> tuple[str, ...]:
    """Names of the figures of an experiment, and then those of its user's own.

    Raises:
        UserError: one of these has the name of another.
    """
    if taken := sorted({*experiment.figures} & {*pictures(), MOVIE}):
        raise UserError(f"figures.{taken[0]} has the name of a figure that there is already; give it another one")
    return (*(name for name, each in pictures().items() if CONDITIONS[each.when](experiment)), *experiment.figures)


def caption_of(experiment: Experiment, name: str) -> str | None:
    """Path of the caption of a figure: one of ours below `report`, or what its user names."""
    own = experiment.figures.get(name)
    if own is None:
        return str(REPORT / f"{name}.rst")
    return None if own.caption is None else str(Path(own.caption).absolute())


@cache
def pictures() -> dict[str, Picture]:
    """Every figure by name."""
    found = [each for path in sorted(FOLDER.glob("*.py")) for each in _declared(path.read_text(encoding="utf-8"))]
    return {each.name: each for each in found}


def picture(name: str) -> Picture:
    """The figure of that name; one that nobody knows is refused when it is drawn."""
    return pictures().get(name, Picture(name))


def _declared(source: str) -> Iterator[Picture]:
    if f"@{REGISTER}(" not in source:
        return
    for function in ast.parse(source).body:
        for call in getattr(function, "decorator_list", []):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == REGISTER:
                words = {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
                yield Picture(*map(ast.literal_eval, call.args), **words)
