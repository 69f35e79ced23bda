"""Emulators that were made elsewhere: any map of states [batch, channel, *grid] one frame interval on, or a stepper.

A stepper is an object with a method `advance(x, past, draw)`: `past` holds the `history` frames before x, and `draw()`
gives normal numbers shaped like x, from a stream of each member. It returns the next states, or these and what it
records of `series`. What it is told and asked is in the units that the settings say, as for a map.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from thermalize.config.imported import TAKEN
from thermalize.emulators.base import Emulator
from thermalize.emulators.purity import refuse_changing
from thermalize.models.normalization import Normalization
from thermalize.runtime.errors import UserError
from thermalize.runtime.members import MemberNoise, NoiseSource, Record, member_keys, own_series

__all__ = ["ForeignEmulator"]

LONGEST_HISTORY = 1000


class ForeignEmulator(Emulator):
    """`network` maps physical states, or normalised ones where `units` says so."""

    def __init__(
        self,
        network: Callable[..., Any],
        units: Literal["physical", "normalized"],
        dims: int,
        normalization: Normalization,
        name: str = "the emulator",
    ) -> None:
        """Raises UserError where a stepper says of itself what cannot be; `name` is what it is called there."""
        super().__init__(dims, normalization)
        self.name = name
        self.steps = hasattr(network, "advance")
        self.network = network if isinstance(network, nn.Module) else _Function(network)
        self.units = units
        if self.steps:
            self.history = _whole(network, "history", 0, name, LONGEST_HISTORY)
            self.evaluations = _whole(network, "evaluations", 1, name)
            self.series = own_series(getattr(network, "series", ()), TAKEN, name)

    def predict(self, x: Tensor) -> Tensor:
        if self.steps:
            raise UserError("this emulator draws or remembers; call thermalize.rollout, or its method `advance`")
        return self._mapped(x) if self.units == "normalized" else self.normalize(self._mapped(self.denormalize(x)))

    def step(self, u: Tensor) -> Tensor:
        plain = self.units == "physical" and not self.steps and self.held is None
        return self._mapped(u) if plain else super().step(u)

    def advance(self, x: Tensor, past: Tensor, rows: Tensor, noise: NoiseSource) -> tuple[Tensor, Record]:
        """As of any emulator; UserError where what it answers is none."""
        try:
            found = self._answer(x, past, rows, noise)
        except UserError:
            raise
        except Exception as error:
            words = f"{self.name} fails on states of shape {_words(x)}: {type(error).__name__}: {error}"
            raise UserError(words) from error
        following, record = found if isinstance(found, tuple) and len(found) == 2 else (found, {})
        if not isinstance(following, Tensor) or following.shape != x.shape or following.is_complex():
            shape = _words(following) if isinstance(following, Tensor) else type(following).__name__
            raise UserError(f"{self.name} maps states of shape {_words(x)} to {shape}; it must keep the shape")
        known = {each.name for each in self.series}
        for key, values in (record if isinstance(record, dict) else {"what it records": None}).items():
            if key not in known or not isinstance(values, Tensor) or values.shape != (len(x),):
                raise UserError(f"{self.name} records {key!r}, which must be in `series` and one number per member")
        return (self.normalize(following) if self.steps and self.units == "physical" else following).to(x), record

    def _answer(self, x: Tensor, past: Tensor, rows: Tensor, noise: NoiseSource) -> Any:
        if not self.steps:
            return self.predict(x)
        x, past = x.clone(), past.clone()  # it may work in place
        given = (self.denormalize(x), self.denormalize(past)) if self.units == "physical" else (x, past)
        stepper: Any = self.network.function if isinstance(self.network, _Function) else self.network
        return stepper.advance(*given, lambda: noise.draw(rows, x))

    def _mapped(self, x: Tensor) -> Tensor:
        return self.network(x.clone())  # it may work in place

    @torch.no_grad()
    def check(self, frames: Tensor) -> None:
        """Raises UserError unless it takes normalised true states to finite ones of that shape, each on its own.

        `frames` [state, `history` + 1, channel, *grid] end with the states.
        """
        keys = member_keys(0, 0, len(frames))

        def step(rows: Tensor) -> Tensor:
            following, _ = self.advance(frames[rows, -1], frames[rows, :-1], rows, MemberNoise(keys, 0))
            if not torch.isfinite(following).all():
                words = "maps a state of the held-out truth to one that is not finite; check `units`"
                raise UserError(f"{self.name} {words}")
            return following

        try:
            step(torch.arange(1))
            refuse_changing(self, step, frames[:, -1], self.name)
        except UserError as error:
            raise UserError(str(error) if str(error).startswith(self.name) else f"{self.name}: {error}") from None


class _Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def _whole(stepper: Any, name: str, least: int, whose: str, most: int = 10**6) -> int:
    found = getattr(stepper, name, least)
    if type(found) is not int or not least <= found <= most:
        raise UserError(f"{whose}: `{name}` = {found!r} must be a whole number from {least} to {most}")
    return found


def _words(x: Tensor) -> str:
    return f"[{', '.join(map(str, x.shape))}]"
