"""exponax, jax-cfd and pyqg-jax as their documentation runs them: one compiled loop of steps, `jax.vmap` over members.

Each is given our field in its own signs and shifts and gives it back in ours. Single precision means JAX without x64,
except for pyqg-jax, whose single precision needs it. pyqg-jax starts its Adams–Bashforth scheme with an Euler and a
second-order step; it gets the two tendencies before the start instead, because a long run forgets them.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import Any

import equinox
import exponax
import jax
import jax.numpy as jnp
import numpy as np
from jax_cfd.base.grids import Grid
from jax_cfd.spectral.equations import ForcedNavierStokes2D
from jax_cfd.spectral.time_stepping import crank_nicolson_rk4
from pyqg_jax.qg_model import QGModel
from pyqg_jax.state import Precision
from pyqg_jax.steppers import AB3State, AB3Stepper, SteppedModel

from benchmarks.cases import Case
from benchmarks.ours import precisely, rate

__all__ = ["PEERS", "Exponax", "JaxCfd", "PyqgJax"]

Fields = np.ndarray
_LOOPS: dict[tuple[Any, ...], Any] = {}


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


class Exponax:
    """exponax: exponential Runge–Kutta of order 2 or 4; the reference is its order 4."""

    package, fewest_steps = "exponax", 1

    def __init__(self, order: int) -> None:
        self.order, self.name = order, f"exponax ETDRK{order}"

    def start(self, case: Case, fields: Fields, dt: float, dtype: str) -> Run:
        there, back = (_as_is, _as_is) if case.config.kind == "ks" else (_to_exponax, _from_exponax)
        axes, shape = tuple(range(2, fields.ndim)), fields.shape[2:]
        with jax.enable_x64(dtype == "float64"):
            # numbers and coefficients are arguments of the loop, so that another dt needs no compilation
            how, rest = equinox.partition(self._stepper(case, dt), equinox.is_inexact_array_like)
            state = jnp.fft.rfftn(jnp.asarray(there(fields), dtype=dtype), axes=axes)
        loop = self._loop(case.name, dtype, rest)
        return Run(loop, state, how, lambda u: back(jnp.fft.irfftn(u, s=shape, axes=axes)), dtype == "float64")

    def _loop(self, name: str, dtype: str, rest: Any) -> Any:
        key = (self.order, name, dtype)
        if key not in _LOOPS:
            _LOOPS[key] = compiled(lambda u_hat, how: equinox.combine(how, rest).step_fourier(u_hat))
        return _LOOPS[key]

    def _stepper(self, case: Case, dt: float) -> Any:
        config, rest = case.config, {"order": self.order, "num_circle_points": 64}
        if config.kind == "ks":
            return exponax.stepper.KuramotoSivashinskyConservative(1, config.length, config.points, dt, **rest)
        return exponax.stepper.KolmogorovFlowVorticity(
            2, 2 * pi, config.points, dt, diffusivity=config.viscosity, drag=-config.drag, **rest
        )

    def reference(self, case: Case, field: Fields, steps: int) -> Fields:
        there, back = (_as_is, _as_is) if case.config.kind == "ks" else (_to_exponax, _from_exponax)
        axes = tuple(range(1, field.ndim))
        with jax.enable_x64(True):
            # a step of order 0 is the linear part alone, so that the rest is the nonlinear one
            scheme = self._stepper(case, 1.0)._integrator
            terms, linear = scheme._nonlinear_fun, np.log(np.asarray(scheme._exp_term).real)
            u_hat = np.fft.rfftn(there(field[None])[0], axes=axes)
            end = integrated(linear, terms, u_hat, case.window, steps)
            return np.asarray(back(np.fft.irfftn(end, s=field.shape[1:], axes=axes)[None])[0])


def _as_is(fields: Any) -> Any:
    return fields


def _to_exponax(fields: Fields) -> Fields:
    """ω(x, y) = −ω'(x, y + π/4), first axis x."""
    return -np.roll(fields.swapaxes(-1, -2), fields.shape[-1] // 8, axis=-1)


def _from_exponax(fields: Any) -> Any:
    return -jnp.roll(fields, -fields.shape[-1] // 8, axis=-1).swapaxes(-1, -2)


class JaxCfd:
    """jax-cfd's spectral solver: Crank–Nicolson with Carpenter and Kennedy's Runge–Kutta, order 2 overall."""

    package, name, fewest_steps = "jax-cfd", "jax-cfd CN-RK4", 1

    def _equation(self, case: Case) -> Any:
        points = case.points
        grid = Grid((points, points), domain=((0, 2 * pi), (0, 2 * pi)))
        return ForcedNavierStokes2D(case.config.viscosity, grid, smooth=True)

    def start(self, case: Case, fields: Fields, dt: float, dtype: str) -> Run:
        with jax.enable_x64(dtype == "float64"):
            state = jnp.fft.rfft2(jnp.asarray(fields[:, 0].swapaxes(-1, -2), dtype=dtype))
            key = (self.name, case.name, dtype)
            if key not in _LOOPS:
                equation = self._equation(case)
                _LOOPS[key] = compiled(lambda u_hat, dt: crank_nicolson_rk4(equation, dt)(u_hat))
        loop = _LOOPS[key]
        return Run(loop, state, dt, lambda u: jnp.fft.irfft2(u).swapaxes(-1, -2)[:, None], dtype == "float64")

    def reference(self, case: Case, field: Fields, steps: int) -> Fields:
        with jax.enable_x64(True):
            equation = self._equation(case)
            terms = jax.jit(equation.explicit_terms)
            u_hat = np.fft.rfft2(field[0].T)
            end = precisely(np.asarray(equation.linear_term), terms, u_hat, case.window, steps)
        return np.fft.irfft2(end).T[None]


class PyqgJax:
    """pyqg-jax: Adams–Bashforth of order 3 for all terms; `filterfac` 0 leaves the multiplication by the filter in."""

    package, name, fewest_steps = "pyqg-jax", "pyqg-jax AB3", 1

    def __init__(self, filtered: bool = False) -> None:
        self.filtered = filtered

    def _model(self, case: Case, dtype: str) -> QGModel:
        config, precision = case.config, Precision.DOUBLE if dtype == "float64" else Precision.SINGLE
        return QGModel(
            nx=config.points, L=config.length, rek=config.bottom_drag, beta=config.beta, delta=config.layer_ratio,
            rd=config.deformation_radius, H1=config.upper_thickness, U1=config.upper_velocity,
            U2=config.lower_velocity, filterfac=23.6 if self.filtered else 0.0, precision=precision,
        )  # fmt: skip

    def start(self, case: Case, fields: Fields, dt: float, dtype: str) -> Run:
        with jax.enable_x64(True):
            model = self._model(case, dtype)
            stepped = SteppedModel(model, AB3Stepper(dt))
            blank = model.create_initial_state(jax.random.key(0))
            state = jax.vmap(lambda q, past: _with_past(stepped, blank, q, past))(
                jnp.asarray(fields, dtype=dtype), jnp.asarray(self._past(case, fields, dt))
            )
            key = (self.name, case.name, dtype, self.filtered)
            if key not in _LOOPS:
                _LOOPS[key] = compiled(lambda one, dt: SteppedModel(model, AB3Stepper(dt)).step_model(one))
        return Run(_LOOPS[key], state, dt, jax.vmap(lambda one: one.state.q), True)

    def _terms(self, case: Case) -> Callable[[Fields], Any]:
        model = self._model(case, "float64")
        blank = model.create_initial_state(jax.random.key(0))
        return jax.jit(lambda q_hat: model.get_updates(blank.update(qh=q_hat)).qh)

    def _past(self, case: Case, fields: Fields, dt: float) -> Fields:
        """Spectral tendencies one and two steps before the start, [member, 2, layer, l, k]."""
        terms, past = self._terms(case), []
        for q_hat in np.fft.rfft2(fields):
            before = [precisely(np.zeros_like(q_hat), terms, q_hat, -step * dt, 2) for step in (1, 2)]
            past.append([np.asarray(terms(state)) for state in before])
        return np.array(past)

    def reference(self, case: Case, field: Fields, steps: int) -> Fields:
        with jax.enable_x64(True):
            q_hat = np.fft.rfft2(field)
            end = precisely(np.zeros_like(q_hat), self._terms(case), q_hat, case.window, steps)
        return np.fft.irfft2(end)


def _with_past(stepped: SteppedModel, blank: Any, q: Any, past: Any) -> AB3State:
    """State of the stepper after its start, with the field q and the tendencies of the last two steps."""
    state = blank.update(q=q)
    past = past.astype(state.qh.dtype)
    begun = stepped.initialize_stepper_state(state)
    updates = (blank.update(qh=past[0]), blank.update(qh=past[1]))
    return AB3State(state=state, t=begun.t, tc=begun.tc, _ablevel=jnp.uint8(2), _updates=updates)


PEERS: dict[str, tuple[Any, ...]] = {
    "kolmogorov": (Exponax(2), Exponax(4), JaxCfd()),
    "qg": (PyqgJax(),),
    "ks": (Exponax(2), Exponax(4)),
}
