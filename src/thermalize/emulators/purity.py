"""An emulator is a map: one state has one next state, whatever ran before and whatever stands beside it.

A rollout that was stopped goes on from its last state, members are thermalized apart from each other, and a table is
to be made again with the numbers that it had. Nothing of that holds where an emulator draws random numbers or keeps
something from one call to the next, so that a program which says so is refused before it runs, and what does so
unsaid (`refuse_changing`) when it is adopted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from thermalize.emulators.guards import bound
from thermalize.runtime.errors import UserError

__all__ = ["MEND", "refuse_changing", "refuse_random", "written"]

Call = tuple[Any, Mapping[str, Iterable[str]], Iterable[str]]
"""An operation, the names of values in its arguments, and those that it gives to its results."""

MEND = "call `.eval()` on the module before it is exported, and let it keep nothing between two calls"
CHANCES, MODES = ("p", "dropout", "dropout_p"), ("train", "training")
STATISTICS = ("training", "use_input_stats")
ROUNDING, MIXED = 1e-5, 0.05
"""Of a state, and of its change: what sums in another order may differ by, in single and in half precision."""


def refuse_random(function: Any, given: list[Any], named: Mapping[str, Any]) -> None:
    """Raises UserError where the call of an operation draws random numbers or changes running statistics."""
    if not hasattr(function, "_schema"):
        return
    arguments = bound(function, given, named)
    if torch.Tag.nondeterministic_seeded in function.tags:
        chance = [arguments[name] for name in CHANCES if name in arguments]
        modes = [arguments[name] for name in MODES if name in arguments]
        if not (0 in chance or False in [mode for mode in modes if isinstance(mode, bool)]):
            raise UserError(
                f"it draws random numbers ({function._schema.name}), but a state has one next state; {MEND}"
            )
    running = arguments.get("running_mean") is not None
    if running and any(arguments.get(name, False) is not False for name in STATISTICS):
        raise UserError(
            f"it changes the statistics of its batch normalization when it runs ({function._schema.name}); {MEND}"
        )


def written(calls: Iterable[Call], inputs: Iterable[str]) -> set[str]:
    """Those of the named inputs that operations write into in place, themselves or through a view."""
    behind, found = {name: {name} for name in inputs}, set[str]()
    for function, named, outputs in calls:
        seen = set[str]()
        # Statistics, which are written into in training mode only, are seen to above.
        if hasattr(function, "_schema") and "batch_norm" not in function._schema.name:
            for argument in function._schema.arguments:
                origins = set[str]().union(*(behind.get(name, set()) for name in named.get(argument.name, ())))
                if argument.alias_info is not None:
                    seen |= origins
                    found |= origins if argument.alias_info.is_write else set()
        behind.update(dict.fromkeys(outputs, seen))
    return found


def refuse_changing(model: nn.Module, step: Callable[[Tensor], Tensor], x: Tensor, name: str) -> None:
    """Raises UserError where `step`, with the same random draws of each member, is no map of the states x [batch, …].

    It takes rows of x to the next states by means of `model`. It is called on one, on all of them, on the one again and
    on all in another order, and the tensors that the model had are compared with what they are afterwards. Sums in
    another order may round otherwise.
    """
    before = {key: tensor.clone() for key, tensor in _tensors(model)}
    one, everyone = torch.arange(1), torch.arange(len(x))
    alone, together = step(one), step(everyone)
    again, turned = step(one), step(everyone.flip(0)).flip(0)
    after = dict(_tensors(model))
    changed = [key for key, old in before.items() if key not in after or not _same(after[key], old)]
    if changed:
        raise UserError(f"{name} changes {changed[0]!r} when it runs, so that a rollout could not go on; {MEND}")
    if not _close(again, alone, ROUNDING * _size(alone)):
        raise UserError(
            f"{name} gives one state two next states, by chance or by what ran before; {MEND}; one that is to draw has "
            "a method `advance` (docs/extending.md)"
        )
    mixed = MIXED * _size(together - x) + ROUNDING * _size(together)
    if not (_close(together[:1], alone, mixed) and _close(turned, together, mixed)):
        raise UserError(
            f"{name} gives a state another next state beside other members; let it treat each member on its own, "
            "such as with statistics of its own (no batch normalization in training mode)"
        )


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and torch.equal(a.nan_to_num(), b.nan_to_num())


def _close(a: Tensor, b: Tensor, most: float) -> bool:
    return a.shape == b.shape and _size(a - b) <= most


def _size(x: Tensor) -> float:
    """Root of the mean square."""
    return float(x.double().square().mean().sqrt())
