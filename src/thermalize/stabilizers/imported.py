"""Stabilizers of the user's own: any function of states, or an object with what `Stabilizer` has.

    make(**options, diffusion=…, truth=…) → x ↦ x̂,  or an object with `series`, `memory` and the call of a stabilizer

A function of states is called with x [batch, channel, *grid] after every emulator step. An object may draw from the
members' streams, remember and record. `diffusion` and `truth` are given where the settings ask for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from thermalize.config import ImportedStabilizerConfig
from thermalize.runtime.errors import UserError
from thermalize.runtime.members import NoiseSource, Series
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
        found = self._called("series", lambda: tuple(self.inner.series))
        if not all(isinstance(each, Series) for each in found):
            raise UserError(f"target {self.target!r}: `series` holds what is no thermalize.Series")
        names = [each.name for each in found]
        if doubled := {name for name in names if names.count(name) > 1}:
            raise UserError(f"target {self.target!r}: `series` names {min(doubled)!r} twice")
        return found

    def memory(self, members: int) -> Memory:
        found = self._called("memory", lambda: self.inner.memory(members))
        if not isinstance(found, dict) or not all(_of_members(each, members) for each in found.values()):
            raise UserError(f"target {self.target!r}: `memory` must be a dictionary of tensors [member, …]")
        return found

    def __call__(self, x: Tensor, step: int, rows: Tensor, noise: NoiseSource, memory: Memory) -> Stabilized:
        found = self._called("the call", lambda: self.inner(x, step, rows, noise, memory))
        if not isinstance(found, Stabilized):
            raise UserError(f"target {self.target!r} returns {type(found).__name__} and no thermalize.Stabilized")
        if not isinstance(found.x, Tensor) or found.x.shape != x.shape:
            shape = tuple(found.x.shape) if isinstance(found.x, Tensor) else type(found.x).__name__
            raise UserError(f"target {self.target!r} maps states of shape {tuple(x.shape)} to {shape}; keep the shape")
        known = {each.name for each in self.inner.series}
        for name, values in {**found.record, "lost": found.lost}.items():
            if name != "lost" and name not in known:
                raise UserError(f"target {self.target!r} records {name!r}, which `series` does not name")
            if not _of_members(values, len(x)) or values.ndim != 1:
                raise UserError(f"target {self.target!r}: {name!r} must be a tensor of one number per member")
        return found

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
