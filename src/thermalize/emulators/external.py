"""Emulators that were trained elsewhere: any map of states [batch, channel, *grid] one frame interval on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from thermalize.emulators.base import Emulator
from thermalize.emulators.purity import refuse_changing
from thermalize.models.normalization import Normalization
from thermalize.runtime.errors import UserError

__all__ = ["ForeignEmulator"]


class ForeignEmulator(Emulator):
    """`network` maps physical states, or normalised ones where `units` says so."""

    def __init__(
        self,
        network: Callable[[Tensor], Tensor],
        units: Literal["physical", "normalized"],
        dims: int,
        normalization: Normalization,
    ) -> None:
        super().__init__(dims, normalization)
        self.network = network if isinstance(network, nn.Module) else _Function(network)
        self.units = units

    def forward(self, x: Tensor) -> Tensor:
        return self._mapped(x) if self.units == "normalized" else self.normalize(self._mapped(self.denormalize(x)))

    def step(self, u: Tensor) -> Tensor:
        return self._mapped(u) if self.units == "physical" else super().step(u)

    def _mapped(self, x: Tensor) -> Tensor:
        return self.network(x.clone())  # it may work in place

    @torch.no_grad()
    def check(self, x: Tensor, name: str) -> None:
        """Raises UserError unless it maps normalised true states x to finite ones of that shape, each on its own."""
        self._check_one(x[:1], name)
        try:
            refuse_changing(self, x, name)
        except UserError as error:
            raise UserError(str(error) if str(error).startswith(name) else f"{name}: {error}") from None
        except Exception as error:
            raise _failing(x, name, error) from error

    def _check_one(self, x: Tensor, name: str) -> None:
        try:
            following = self(x)
        except UserError as error:
            raise UserError(f"{name}: {error}") from None
        except Exception as error:
            raise _failing(x, name, error) from error
        if not isinstance(following, Tensor) or following.shape != x.shape:
            found = _words(following) if isinstance(following, Tensor) else type(following).__name__
            raise UserError(f"{name} maps states of shape {_words(x)} to {found}; it must keep the shape")
        if not torch.isfinite(following).all():
            raise UserError(f"{name} maps a state of the held-out truth to one that is not finite; check `units`")


class _Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def _failing(x: Tensor, name: str, error: Exception) -> UserError:
    return UserError(f"{name} fails on states of shape {_words(x)}: {type(error).__name__}: {error}")


def _words(x: Tensor) -> str:
    return f"[{', '.join(map(str, x.shape))}]"
