"""Ensembles of the peers under way in JAX, and their terms for our own integration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import torch
from torch import Tensor

__all__ = ["LOOPS", "Fields", "Run", "compiled", "in_torch", "tensor"]

Fields = np.ndarray
LOOPS: dict[tuple[Any, ...], Any] = {}
"""Compiled loops by solver, case and type; the step length is an argument of theirs."""


class Run:
    """An ensemble under way in JAX.

    Args:
        loop: compiled function of the states of all members, the number of steps and what a step depends on.
        state: of all members.
        how: what a step depends on, such as dt or coefficients.
        fields: state to fields in our convention.
        x64: whether JAX runs with 64-bit types.
    """

    def __init__(self, loop: Any, state: Any, how: Any, fields: Callable[[Any], Any], x64: bool) -> None:
        self._loop, self._state, self._how, self._fields, self._x64 = loop, state, how, fields, x64

    def advance(self, steps: int) -> None:
        with jax.enable_x64(self._x64):
            self._state = jax.block_until_ready(self._loop(self._state, steps, self._how))

    def fields(self) -> Fields:
        """The states in float64."""
        with jax.enable_x64(self._x64):
            return np.asarray(self._fields(self._state), dtype=np.float64)


def compiled(step: Callable[[Any, Any], Any]) -> Any:
    """Loop over steps of all members from a step of one member, which is a function of its state and of `how`."""

    def loop(state: Any, steps: Any, how: Any) -> Any:
        each = jax.vmap(lambda one: step(one, how))
        return jax.lax.fori_loop(0, steps, lambda _, carry: each(carry), state)

    return jax.jit(loop)


def tensor(values: Any) -> Tensor:
    return torch.from_numpy(np.array(values))


def in_torch(terms: Callable[[Any], Any]) -> Callable[[Tensor], Tensor]:
    """A compiled function of JAX arrays as one of tensors."""
    run = jax.jit(terms)
    return lambda u_hat: tensor(run(np.ascontiguousarray(u_hat.numpy())))
