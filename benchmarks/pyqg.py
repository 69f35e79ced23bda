"""pyqg-jax, as its documentation runs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from pyqg_jax.qg_model import QGModel
from pyqg_jax.state import Precision
from pyqg_jax.steppers import AB3State, AB3Stepper, SteppedModel
from torch import Tensor

from benchmarks.cases import Case
from benchmarks.injax import LOOPS, Fields, Run, compiled, in_torch, tensor
from benchmarks.ours import precisely

__all__ = ["PyqgJax"]


class PyqgJax:
    """pyqg-jax: Adams–Bashforth of order 3 for all terms.

    A filter of strength 0 leaves the multiplication by it in. By itself the scheme would start with an Euler and a
    second-order step, which a long run forgets; it gets the tendencies of the two steps before the start instead.
    """

    package, name, fewest_steps = "pyqg-jax", "pyqg-jax AB3", 1

    def _model(self, case: Case, dtype: str) -> QGModel:
        config, precision = case.config, Precision.DOUBLE if dtype == "float64" else Precision.SINGLE
        return QGModel(
            nx=config.points, L=config.length, rek=config.bottom_drag, beta=config.beta, delta=config.layer_ratio,
            rd=config.deformation_radius, H1=config.upper_thickness, U1=config.upper_velocity,
            U2=config.lower_velocity, filterfac=0.0, precision=precision,
        )  # fmt: skip

    def start(self, case: Case, fields: Fields, dt: float, dtype: str) -> Run:
        with jax.enable_x64(True):
            model = self._model(case, dtype)
            stepped, blank = SteppedModel(model, AB3Stepper(dt)), model.create_initial_state(jax.random.key(0))
            past = jnp.asarray(self._past(case, fields, dt))
            begin = jax.vmap(lambda q, updates: _with_past(stepped, blank, q, updates))
            state = begin(jnp.asarray(fields, dtype=dtype), past)
            key = (self.name, case.name, dtype)
            if key not in LOOPS:
                LOOPS[key] = compiled(lambda one, dt: SteppedModel(model, AB3Stepper(dt)).step_model(one))
        return Run(LOOPS[key], state, dt, jax.vmap(lambda one: one.state.q), True)

    def _terms(self, case: Case) -> Callable[[Tensor], Tensor]:
        model = self._model(case, "float64")
        blank = model.create_initial_state(jax.random.key(0))
        return in_torch(lambda q_hat: model.get_updates(blank.update(qh=q_hat)).qh)

    def _past(self, case: Case, fields: Fields, dt: float) -> Fields:
        """Spectral tendencies one and two steps before the start, [member, 2, layer, l, k]."""
        terms, past = self._terms(case), []
        for q_hat in tensor(np.fft.rfft2(fields)):
            before = [precisely(torch.zeros_like(q_hat), terms, q_hat, -step * dt, 4) for step in (1, 2)]
            past.append(torch.stack([terms(state) for state in before]))
        return torch.stack(past).numpy()

    def reference(self, case: Case, field: Fields, steps: int) -> Fields:
        with jax.enable_x64(True):
            q_hat = tensor(np.fft.rfft2(field))
            end = precisely(torch.zeros_like(q_hat), self._terms(case), q_hat, case.window, steps)
        return np.fft.irfft2(end.numpy())


def _with_past(stepped: SteppedModel, blank: Any, q: Any, past: Any) -> AB3State:
    """State of the stepper after its start, with the field q and the tendencies of the last two steps."""
    state = blank.update(q=q)
    past = past.astype(state.qh.dtype)
    begun = stepped.initialize_stepper_state(state)
    updates = (blank.update(qh=past[0]), blank.update(qh=past[1]))
    return AB3State(state=state, t=begun.t, tc=begun.tc, _ablevel=jnp.uint8(2), _updates=updates)
