"""Whether what a checkpoint holds may be the state of this training: every part has the form that it must have.

The digest in the name of a checkpoint tells damage and not intent: anybody can compute it. So nothing of a checkpoint
is used before all of it is known to fit: the network, its average and its best weights by name, shape, type and finite
values, the optimizer's moments by the parameters they belong to, and counters and history by their bounds.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

import torch
from torch import Tensor

__all__ = ["fits"]

MOMENTS = {"step", "exp_avg", "exp_avg_sq"}


def fits(state: dict[str, Any], fresh: dict[str, Any], parameters: list[Tensor], update: int, updates: int) -> bool:
    """Whether `state` may be what a training that began as `fresh` is after `update` of at most `updates` updates.

    Args:
        state, fresh: as the trainer keeps them.
        parameters: of the network, in the order of the optimizer.
        update, updates: by the name of the checkpoint, and by the configuration.
    """
    try:
        return (
            state.keys() == fresh.keys()
            and type(state["update"]) is int
            and state["update"] == update <= updates
            and all(_same_form(state[name], fresh[name]) for name in ("model", "average"))
            and _fitting_optimizer(state["optimizer"], fresh["optimizer"], parameters)
            and _fitting_history(state["history"], update)
            and _fitting_best(state["best"], fresh["model"], bool(state["history"]), update)
            and _numbers(state["losses"], finite=True)
            and _numbers(state["norms"])
            and len(state["losses"]) == len(state["norms"])
            and _numbers([state["seconds"]], finite=True)
            and (state["largest_pass"] is None or (type(state["largest_pass"]) is int and state["largest_pass"] > 0))
        )
    except (AttributeError, KeyError, TypeError):
        return False


def _same_form(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(_alike(found[name], tensor) for name, tensor in expected.items())


def _alike(found: Any, expected: Tensor) -> bool:
    form = isinstance(found, Tensor) and found.shape == expected.shape and found.dtype == expected.dtype
    return form and bool(torch.isfinite(found).all() or not torch.isfinite(expected).all())


def _fitting_optimizer(found: dict[str, Any], fresh: dict[str, Any], parameters: list[Tensor]) -> bool:
    """The groups of hyperparameters but for the learning rate, and the moments of parameters that had a gradient."""
    known = {index: parameters[index] for index in range(len(parameters))}
    groups = [
        [{key: value for key, value in group.items() if key != "lr"} for group in each["param_groups"]]
        for each in (found, fresh)
    ]
    moments = found["state"]
    return (
        found.keys() == {"state", "param_groups"}
        and groups[0] == groups[1]
        and moments.keys() <= known.keys()
        and all(_fitting_moments(each, known[index]) for index, each in moments.items())
    )


def _fitting_moments(found: dict[str, Tensor], parameter: Tensor) -> bool:
    like = parameter.detach().cpu()
    return found.keys() == MOMENTS and all(
        _alike(value, torch.ones(()) if name == "step" else torch.zeros_like(like)) for name, value in found.items()
    )


def _fitting_history(rows: list[dict[str, float]], update: int) -> bool:
    steps = [row["update"] for row in rows]
    return (
        isinstance(rows, list)
        and all(_numbers(list(row.values())) and row.keys() == rows[0].keys() for row in rows)
        and all(type(step) is int for step in steps)
        and steps == sorted(set(steps))
        and (not steps or 0 < steps[0] <= steps[-1] <= update)
    )


def _fitting_best(best: dict[str, Any], model: dict[str, Tensor], validated: bool, update: int) -> bool:
    weights = best["weights"]
    return (
        best.keys() == {"value", "update", "waited", "weights"}
        and _numbers([best["value"]])
        and best["value"] == best["value"]
        and all(type(best[name]) is int and 0 <= best[name] <= update for name in ("update", "waited"))
        and (_same_form(weights, model) if validated else weights == {})
    )


def _numbers(values: Any, finite: bool = False) -> bool:
    return isinstance(values, list) and all(
        type(value) in (int, float) and (isfinite(value) or not finite) for value in values
    )
