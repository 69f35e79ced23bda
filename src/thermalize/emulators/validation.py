"""Errors of any emulator on held-out trajectories, by which trainings are judged and emulators compared.

one step    ‖F(x_t) − x_{t+1}‖² / N                     rollout    (‖F^n(x_t) − x_{t+n}‖² / N)^½,  n = 20
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from thermalize.emulators.base import advance, shifted
from thermalize.runtime.members import MemberNoise, member_keys
from thermalize.training.data import Windows

__all__ = ["HeldOut"]

WINDOWS = 256
ROLLOUT = 20


class HeldOut:
    """Windows spread over held-out members; an emulator that draws random numbers has the same draws every time."""

    def __init__(self, valid: Windows, history: int = 0) -> None:
        """`history`: frames before the present one that a step reads."""
        self.history = history
        self.pairs = valid.spread(WINDOWS, history + 2)
        self.windows = valid.spread(WINDOWS // 8, min(history + ROLLOUT + 1, valid.frames))

    def errors(self, model: Callable[..., Any]) -> dict[str, float]:
        """Mean square error of one step, and root mean square error after the rollout."""
        one_step = (self._rolled(model, self.pairs) - self.pairs[:, -1]).square().mean()
        rolled = (self._rolled(model, self.windows) - self.windows[:, -1]).square().mean().sqrt()
        return {"valid_loss": float(one_step), "valid_rollout_error": float(rolled)}

    def _rolled(self, model: Callable[..., Any], windows: Tensor) -> Tensor:
        """The last states [window, channel, *grid] of windows [window, frame, channel, *grid], predicted."""
        past, x = windows[:, : self.history], windows[:, self.history]
        keys, rows = member_keys(0, 0, len(windows)), torch.arange(len(windows))
        for step in range(windows.shape[1] - self.history - 1):
            following, _ = advance(model, x, past, rows, MemberNoise(keys, step))
            past, x = shifted(past, x), following
        return x
