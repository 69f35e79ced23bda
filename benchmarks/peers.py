"""exponax and jax-cfd as their documentation runs them: one compiled loop of steps, `jax.vmap` over members.

Each is given our field in its own signs and shifts and gives it back in ours. Single precision means JAX without x64,
except for pyqg-jax, whose single precision needs it.
"""

from __future__ import annotations

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

from benchmarks.cases import Case
from benchmarks.injax import LOOPS, Fields, Run, compiled, in_torch, tensor
from benchmarks.ours import extrapolated, precisely
from benchmarks.pyqg import PyqgJax

__all__ = ["PEERS", "Exponax", "JaxCfd", "PyqgJax"]


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
        if key not in LOOPS:
            LOOPS[key] = compiled(lambda u_hat, how: equinox.combine(how, rest).step_fourier(u_hat))
        return LOOPS[key]

    def _stepper(self, case: Case, dt: float) -> Any:
        config, rest = case.config, {"order": self.order, "num_circle_points": 64}
        if config.kind == "ks":
            return exponax.stepper.KuramotoSivashinskyConservative(1, config.length, config.points, dt, **rest)
        return exponax.stepper.KolmogorovFlowVorticity(
            2, 2 * pi, config.points, dt, diffusivity=config.viscosity, drag=-config.drag, **rest
        )

    def reference(self, case: Case, field: Fields, steps: int) -> Fields:
        def after(number: int) -> Fields:
            run = Exponax(4).start(case, field[None], case.window / number, "float64")
            run.advance(number)
            return run.fields()[0]

        return extrapolated(after, steps)


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
            if key not in LOOPS:
                equation = self._equation(case)
                LOOPS[key] = compiled(lambda u_hat, dt: crank_nicolson_rk4(equation, dt)(u_hat))
        loop = LOOPS[key]
        return Run(loop, state, dt, lambda u: jnp.fft.irfft2(u).swapaxes(-1, -2)[:, None], dtype == "float64")

    def reference(self, case: Case, field: Fields, steps: int) -> Fields:
        with jax.enable_x64(True):
            equation = self._equation(case)
            terms, linear = in_torch(equation.explicit_terms), tensor(equation.linear_term)
            end = precisely(linear, terms, tensor(np.fft.rfft2(field[0].T)), case.window, steps)
        return np.fft.irfft2(end.numpy()).T[None]


PEERS: dict[str, tuple[Any, ...]] = {
    "kolmogorov": (Exponax(2), Exponax(4), JaxCfd()),
    "qg": (PyqgJax(),),
    "ks": (Exponax(2), Exponax(4)),
}
