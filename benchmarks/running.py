"""Our ensemble under way."""

from __future__ import annotations

import numpy as np
import torch

from thermalize.systems import System, stepper

__all__ = ["Run"]


class Run:
    """Members of one system that step together.

    Args:
        solver: the system.
        scheme: name of the time stepper.
        fields: states, [member, channel, (y,) x].
        dt: step.
    """

    def __init__(self, solver: System, scheme: str, fields: np.ndarray, dt: float) -> None:
        self.solver = solver
        self._advance = stepper(scheme, solver, dt)
        self._state = solver.to_spectral(torch.from_numpy(fields).to(solver.dtype))

    @torch.no_grad()
    def advance(self, steps: int) -> None:
        for _ in range(steps):
            self._state = self._advance.step(self._state)
            if self.solver.filter is not None:
                self._state = self._state * self.solver.filter

    def fields(self) -> np.ndarray:
        """The states in float64."""
        return self.solver.to_physical(self._state).double().numpy()
