"""Our systems against other codes, term by term and step by step: exponax, jax-cfd, pyqg-jax.

Equal states and equal masks give equal tendencies to round-off. exponax keeps the indices below N/3, so that its mask
is ours where N is divisible by three; jax-cfd's is lopsided by one index, so its common modes are compared; pyqg-jax
has none, as we with `dealias: false`. The packages are those of requirements-peers.lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from math import pi
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from flows import adams_bashforth, kolmogorov, noise, qg, starts
from torch import Tensor

from thermalize.config import KuramotoSivashinskyConfig
from thermalize.systems import System, Timing, build, frames
from thermalize.systems.qg import QuasiGeostrophic

if TYPE_CHECKING:
    from verification import Verify

pytest_plugins = ["verification"]
pytestmark = pytest.mark.peers

EXPONAX, JAX_CFD, PYQG_JAX = "exponax 0.2.0", "jax-cfd 0.2.1", "pyqg-jax 0.8.1"
LENGTH, POINTS = 22.0, 48
presets = pytest.mark.parametrize("preset", ["eddy", "jet"])


@pytest.fixture(autouse=True)
def double_precision() -> None:
    import jax

    jax.config.update("jax_enable_x64", True)


def difference(ours: Tensor | np.ndarray, theirs: Any) -> float:
    """Largest difference over the largest value."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


# Kuramoto–Sivashinsky


def ks() -> System:
    return build(KuramotoSivashinskyConfig(kind="ks", length=LENGTH, points=POINTS))


def ks_state(system: System) -> Tensor:
    """Retained modes of white noise, [1, x]."""
    white = torch.from_numpy(np.random.default_rng(0).standard_normal((1, POINTS)))
    u_hat = system.to_spectral(white)
    u_hat[..., POINTS // 3 :] = 0
    return system.to_physical(u_hat)


def ks_of_exponax(dt: float) -> Any:
    from exponax.stepper import KuramotoSivashinskyConservative

    return KuramotoSivashinskyConservative(1, LENGTH, POINTS, dt, order=4, num_circle_points=64)


def test_ks_terms_of_exponax(verify: Verify) -> None:
    system, peer = ks(), ks_of_exponax(0.1)
    u_hat = system.to_spectral(ks_state(system))
    theirs = peer._integrator._nonlinear_fun(u_hat.numpy())
    verify("peers", "KS, 𝓝 of white noise, N = 48", difference(system.nonlinear(u_hat), theirs), 0, 1e-13, EXPONAX)
    symbol = torch.exp(0.1 * system.linear)
    linear = difference(symbol, np.asarray(peer._integrator._exp_term)[0])
    verify("peers", "KS, e^{hσ}, h = 0.1, N = 48", linear, 0, 1e-12, EXPONAX)


@pytest.mark.parametrize(("time", "tolerance"), [(1, 1e-13), (20, 5e-12), (50, 2e-11)])
def test_ks_trajectory_of_exponax(time: int, tolerance: float, verify: Verify) -> None:
    system, steps = ks(), 10 * time
    u0 = system.initial_condition(np.random.default_rng(0))
    ours = list(frames(system, u0[None], Timing(0.1, steps, 2)))[1][0]
    theirs = after_steps(ks_of_exponax(0.1), u0.numpy(), steps)
    verify("peers", f"KS, ETDRK4, dt = 0.1, t = {time}", difference(ours, theirs), 0, tolerance, EXPONAX)


def after_steps(peer: Any, u0: np.ndarray, steps: int) -> Any:
    import jax

    return jax.lax.fori_loop(0, steps, lambda _, u: peer(u), jax.numpy.asarray(u0))


def test_ks_tendency_of_jax_cfd(verify: Verify) -> None:
    from jax_cfd.base import grids
    from jax_cfd.spectral.equations import KuramotoSivashinsky

    system = ks()
    peer = KuramotoSivashinsky(grids.Grid((POINTS,), domain=((0, LENGTH),)))
    u_hat, kept = system.to_spectral(ks_state(system))[0], POINTS // 3
    ours = (system.linear * u_hat + system.nonlinear(u_hat))[:kept]
    theirs = (peer.explicit_terms(u_hat.numpy()) + peer.implicit_terms(u_hat.numpy()))[:kept]
    verify("peers", "KS, tendency of white noise, N = 48", difference(ours, theirs), 0, 1e-12, JAX_CFD)


# Kolmogorov flow


def to_exponax(omega: Tensor) -> np.ndarray:
    """exponax has axes x, y, the opposite sign of ω and a force that is displaced by π/4."""
    return -np.roll(omega[0].numpy(), omega.shape[-1] // 8, axis=0).T[None]


def from_exponax(omega: Any) -> np.ndarray:
    field = -np.asarray(omega)[0].T
    return np.roll(field, -field.shape[0] // 8, axis=0)[None]


def kolmogorov_of_exponax(dt: float, viscosity: float) -> Any:
    from exponax.stepper import KolmogorovFlowVorticity

    return KolmogorovFlowVorticity(
        2, 2 * pi, POINTS, dt, diffusivity=viscosity, drag=-0.1, order=4, num_circle_points=64
    )


def test_kolmogorov_advection_of_exponax(verify: Verify) -> None:
    from exponax import fft, ifft

    system, peer = kolmogorov(0.01, POINTS), kolmogorov_of_exponax(0.01, 0.01)
    omega = system.to_physical(system.plane.retained * system.to_spectral(noise(system, 0)))[0]
    theirs = ifft(peer._integrator._nonlinear_fun(fft(to_exponax(omega))), num_points=POINTS)
    ours = system.to_physical(system.nonlinear(system.to_spectral(omega)))
    what = "Kolmogorov flow, 𝓝 of white noise, N = 48"
    verify("peers", what, difference(ours, from_exponax(theirs)), 0, 1e-12, EXPONAX)


def test_kolmogorov_trajectory_of_exponax(verify: Verify) -> None:
    system, steps = kolmogorov(0.01, POINTS, initial_speed=0.7), 200
    u0 = starts(system, 1)[0]
    ours = list(frames(system, u0[None], Timing(0.01, steps, 2)))[1][0]
    theirs = from_exponax(after_steps(kolmogorov_of_exponax(0.01, 0.01), to_exponax(u0), steps))
    verify("peers", "Kolmogorov flow, ETDRK4, dt = 0.01, t = 2", difference(ours, theirs), 0, 2e-12, EXPONAX)


@pytest.mark.parametrize("viscosity", [0.01, 2e-4])
def test_kolmogorov_tendency_of_jax_cfd(viscosity: float, verify: Verify) -> None:
    """Its arrays are [x, y] with the real transform along y; compared are the modes |k|, |l| ≤ 20 that both keep."""
    from jax_cfd.base import grids
    from jax_cfd.spectral.equations import ForcedNavierStokes2D

    system = kolmogorov(viscosity, 64)
    grid = grids.Grid((64, 64), domain=((0, 2 * pi), (0, 2 * pi)))
    peer = ForcedNavierStokes2D(viscosity, grid, smooth=True)
    omega = system.to_physical(system.plane.retained * system.to_spectral(noise(system, 1)))[0]
    omega_hat = np.fft.rfft2(omega[0].numpy().T)
    found = np.asarray(peer.explicit_terms(omega_hat) + peer.implicit_terms(omega_hat))
    ours = np.fft.rfft2(system.tendency(omega)[0].numpy().T)
    rows = np.r_[0:21, -20:0]
    what = f"Kolmogorov flow, tendency of white noise, ν = {viscosity:g}, N = 64"
    verify("peers", what, difference(ours[rows, :21], found[rows, :21]), 0, 1e-12, JAX_CFD)


# Two-layer quasi-geostrophy


def qg_of_pyqg(system: QuasiGeostrophic) -> Any:
    """The model of pyqg-jax with the parameters of ours."""
    from pyqg_jax.qg_model import QGModel
    from pyqg_jax.state import Precision

    config = system.config
    return QGModel(
        nx=config.points,
        L=config.length,
        rek=config.bottom_drag,
        beta=config.beta,
        rd=config.deformation_radius,
        delta=config.layer_ratio,
        H1=config.upper_thickness,
        U1=config.upper_velocity,
        U2=config.lower_velocity,
        precision=Precision.DOUBLE,
    )


def state_of(model: Any, q: Tensor) -> Any:
    import jax

    return model.create_initial_state(jax.random.key(0)).update(q=q.numpy())


def qg_state(system: QuasiGeostrophic) -> Tensor:
    """Smooth fields of the size of the turbulence in both layers, [2, y, x]."""
    upper, lower = starts(system, 2, seed=3)[:, 0]
    return torch.stack([8 * upper, lower])


@presets
def test_qg_tendency_and_inversion_of_pyqg(preset: str, verify: Verify) -> None:
    system = qg(preset, 64, dealias=False)
    model, q = qg_of_pyqg(system), qg_state(system)
    full = model.get_full_state(state_of(model, q))
    psi = system.to_physical(system.streamfunction(system.to_spectral(q)))
    verify("peers", f"QG {preset}, ψ of smooth q", difference(psi, full.p), 0, 1e-12, PYQG_JAX)
    verify("peers", f"QG {preset}, tendency of smooth q", difference(system.tendency(q), full.dqdt), 0, 1e-12, PYQG_JAX)
    assert system.filter is not None
    assert difference(system.filter.real, model.filtr) < 1e-12


def test_qg_smagorinsky_of_pyqg(verify: Verify) -> None:
    """Below the Nyquist indices, where a first derivative is zero for us and not for pyqg; its filter removes them."""
    from pyqg_jax.parameterizations import smagorinsky

    system = qg("eddy", 64, dealias=False, smagorinsky=0.1)
    plain, q = qg_of_pyqg(system), qg_state(system)
    model, state = smagorinsky.apply_parameterization(plain, constant=0.1), state_of(plain, q)
    with_stress = np.asarray(model.get_updates(model.initialize_param_state(state)).model_state.qh)
    theirs = with_stress - np.asarray(plain.get_updates(state).qh)
    ours = system.subgrid(system.streamfunction(system.to_spectral(q)))
    rows = np.r_[0:32, -31:0]
    what = "QG, tendency of Smagorinsky's stress, C = 0.1"
    verify("peers", what, difference(ours[:, rows, :32], theirs[:, rows, :32]), 0, 1e-10, PYQG_JAX)


@presets
def test_qg_trajectory_of_pyqg(preset: str, verify: Verify) -> None:
    """Both with AB3 from an Euler step and the filter."""
    system, steps = qg(preset, 64, dealias=False), 500
    model, q = qg_of_pyqg(system), qg_state(system)
    theirs = after_updates(model, state_of(model, q), 3600.0, steps)
    states: Iterator[Tensor] = adams_bashforth(system, system.to_spectral(q), 3600.0)
    ours = system.to_physical(next(islice(states, steps - 1, None)))
    verify("peers", f"QG {preset}, AB3, dt = 3600 s, {steps} steps", difference(ours, theirs), 0, 1e-12, PYQG_JAX)


def after_updates(model: Any, state: Any, dt: float, steps: int) -> Any:
    import jax
    from pyqg_jax.steppers import AB3Stepper, SteppedModel

    stepped = SteppedModel(model, AB3Stepper(dt))
    start = stepped.initialize_stepper_state(state)
    return jax.lax.fori_loop(0, steps, lambda _, s: stepped.step_model(s), start).state.q


def test_qg_barotropic_state_of_pyqg(verify: Verify) -> None:
    """Two layers alike are its one-layer model."""
    from pyqg_jax.bt_model import BTModel
    from pyqg_jax.state import Precision

    still = {"beta": 2.0, "bottom_drag": 0.0, "upper_velocity": 0.0}
    system = qg(None, 64, dealias=False, length=2 * pi, deformation_radius=1.0, layer_ratio=1.0, **still)
    model = BTModel(nx=64, L=2 * pi, beta=2.0, rek=0.0, rd=None, H=1.0, precision=Precision.DOUBLE)
    q = 1e6 * starts(system, 1)[0, :1].expand(2, -1, -1)
    theirs = model.get_full_state(state_of(model, q[:1])).dqdt
    ours = system.tendency(q)
    verify("peers", "QG, barotropic tendency, β = 2", difference(ours[:1], theirs), 0, 1e-12, PYQG_JAX)
