"""Stabilizers of the user's own: any function of states, or an object with what `Stabilizer` has.

    make(**options, diffusion=…, truth=…) → a function x ↦ x̂,  or an object with the parts of `Stabilizer`

A function of states is called with x [batch, channel, *grid] after every emulator step. An object may draw from the
members' streams, remember and record. `diffusion` and `truth` are given where the settings ask for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from thermalize.config import ImportedStabilizerConfig
from thermalize.config.imported import TAKEN
from thermalize.runtime.errors import UserError
from thermalize.runtime.members import NoiseSource, Series, own_series
from thermalize.runtime.targets import made
from thermalize.stabilizers.base import Inputs, Memory, Stabilized, Stabilizer, Stateless

__all__ = ["Checked", "OfStates", "build"]


@dataclass(frozen=True)
class OfStates(Stateless):
    """A function of states."""

    function: Callable[[Tensor], Tensor]

    def __call__(self, x: Tensor, step: int, rows: Tensor, noise: NoiseSource, memory: Memory) -> Stabilized:  # noqa: ARG002
        return Stabilized.of(self.function(x.clone()))  # it may work in place


@dataclass(frozen=True)
class Checked:
    """A stabilizer whose answers have the form that a rollout needs, or are refused under the name `target`."""

    inner: Stabilizer
    target: str

    @property
    def series(self) -> tuple[Series, ...]:
        return own_series(self._called("`series`", lambda: self.inner.series), TAKEN, f"target {self.target!r}")

    def memory(self, members: int) -> Memory:
        found = self._called("`memory`", lambda: self.inner.memory(members))
        if not isinstance(found, dict) or not all(_of_members(each, members) for each in found.values()):
            raise UserError(f"target {self.target!r}: `memory` must be a dictionary of tensors [member, …]")
        return found

    def __call__(self, x: Tensor, step: int, rows: Tensor, noise: NoiseSource, memory: Memory) -> Stabilized:
        form = _form(memory)
        # it may work in place
        found = self._called("the call", lambda: self.inner(x.clone(), step, rows.clone(), noise, memory))
        if not isinstance(found, Stabilized) or not isinstance(found.record, dict):
            raise UserError(f"target {self.target!r} returns {type(found).__name__} and no thermalize.Stabilized")
        if not isinstance(found.x, Tensor) or found.x.shape != x.shape or not found.x.is_floating_point():
            what: object = type(found.x).__name__
            if isinstance(found.x, Tensor):
                what = found.x.dtype if found.x.shape == x.shape else tuple(found.x.shape)
            raise UserError(f"target {self.target!r} maps states of shape {tuple(x.shape)} to {what}; keep the shape")
        if _form(memory) != form:
            raise UserError(f"target {self.target!r} changes the names, shapes or types of its `memory` at a step")
        known = {each.name for each in self.inner.series}
        for name, values in {**found.record, "lost": found.lost}.items():
            if name != "lost" and name not in known:
                raise UserError(f"target {self.target!r} records {name!r}, which `series` does not name")
            if not _of_members(values, len(x)) or values.ndim != 1 or values.is_complex():
                raise UserError(f"target {self.target!r}: {name!r} must be a tensor of one number per member")
        if found.lost.dtype != torch.bool:
            raise UserError(f"target {self.target!r}: `lost` must be true or false for each member")
        return Stabilized(found.x.to(x), found.lost.cpu(), found.record)

    def _called(self, what: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except UserError:
            raise
        except Exception as error:
            words = f"target {self.target!r}: {what} raises {type(error).__name__}: {error}"
            raise UserError(words) from error


def build(config: ImportedStabilizerConfig, inputs: Inputs) -> Checked:
    """What the function of the settings makes."""
    given: dict[str, Any] = {"diffusion": inputs.diffusion} if config.diffusion is not None else {}
    if config.truth:
        assert inputs.truth is not None, "the settings ask for true states"
        given["truth"] = inputs.truth()
    found = made(config.target, config.options, given)
    if not callable(found):
        raise UserError(f"target {config.target!r} returns {type(found).__name__}, which is no map of states")
    whole = hasattr(found, "memory") and hasattr(found, "series")
    return Checked(found if whole else OfStates(found), config.target)


def _of_members(value: Any, members: int) -> bool:
    return isinstance(value, Tensor) and value.ndim > 0 and len(value) == members


def _form(memory: Memory) -> dict[str, object]:
    return {name: (value.shape, value.dtype) if isinstance(value, Tensor) else value for name, value in memory.items()}
