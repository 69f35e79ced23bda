"""Energy and enstrophy of every kind of variable: closed forms, the systems' own inversions, and Parseval."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from thermalize import systems
from thermalize.config import KolmogorovConfig, QuasiGeostrophicConfig
from thermalize.metrics.invariants import Invariants, invariants, layers, standardised, velocity, vorticity
from thermalize.metrics.spectra import Shells

TURN = 2 * np.pi
SQUARE = Shells((16, 16), (TURN, TURN))
OCEAN = QuasiGeostrophicConfig(kind="qg", preset="eddy", points=32)
SIDE, RADIUS, RATIO = OCEAN.length, OCEAN.deformation_radius, OCEAN.layer_ratio
UPPER, LOWER = RATIO / (1 + RATIO), 1 / (1 + RATIO)
shapes = st.tuples(st.integers(4, 24), st.integers(4, 24))
sides = st.floats(0.3, 30.0)


def grid(n: int, length: float = TURN) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.meshgrid(*[length * np.arange(n) / n] * 2, indexing="ij")
    return y, x


def two_layers(n: int, radius: float = RADIUS) -> Invariants:
    return layers(Shells((n, n), (SIDE, SIDE)), RATIO, radius)


def resolved(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Random fields without the modes that the 2/3 rule removes."""
    n = shape[-1]
    u_hat = np.fft.fft2(rng.normal(size=shape))
    kept = np.abs(np.fft.fftfreq(n, 1 / n)) <= (n - 1) // 3
    return np.fft.ifft2(u_hat * (kept[:, None] & kept)).real


@pytest.mark.parametrize("shape", [(31,), (32,), (12, 18), (15, 9)])
def test_velocity(shape):
    """sin(2x) + cos(3y + 0.2): each mode of wavenumber k holds ½ in ⟨u²⟩ and k²/2 in ⟨|∇u|²⟩."""
    axes = np.meshgrid(*[TURN * np.arange(n) / n for n in shape], indexing="ij")
    u = np.stack([np.sin(2 * axes[-1]) + np.cos(3 * axes[0] + 0.2), 0.1 + 0 * axes[0]])
    found = velocity(Shells(shape, tuple(TURN for _ in shape)), 2).measure(u)
    assert found.energy == pytest.approx(0.5 * (1 + 0.01), rel=1e-12)
    assert found.enstrophy == pytest.approx(0.5 * (4 + 9) / 2, rel=1e-12)
    assert found.spectrum.sum(-1) == pytest.approx([1, 0.01])


def test_laminar_kolmogorov_flow():
    """u = U sin 4y has ω = −4U cos 4y, E = U²/4 and Z = 4U², in the shell of wavenumber 4."""
    speed = 1 / (16 * 0.01 + 0.1)
    omega = -4 * speed * np.cos(4 * grid(16)[0])[None]
    of = vorticity(SQUARE)
    found = of.measure(omega)
    assert found.energy == pytest.approx(speed**2 / 4, rel=1e-12)
    assert found.enstrophy == pytest.approx(4 * speed**2, rel=1e-12)
    spectrum = of.spectra(omega)[1][0]
    assert spectrum[4] == pytest.approx(speed**2 / 4, rel=1e-12)
    assert np.delete(spectrum, 4) == pytest.approx(0, abs=1e-15)


def test_energy_of_vorticity_is_that_of_the_velocity_of_the_solver():
    flow = systems.build(KolmogorovConfig(kind="kolmogorov", points=32, viscosity=0.01))
    omega = resolved(np.random.default_rng(0), 5, 1, 32, 32)
    speed = flow.velocity(flow.to_spectral(torch.from_numpy(omega))).numpy()
    of = vorticity(Shells((32, 32), (TURN, TURN)))
    expected = 0.5 * (speed**2).sum(1).mean((-1, -2))
    np.testing.assert_allclose(of.measure(omega).energy, expected, rtol=1e-12)
    np.testing.assert_allclose(of.spectra(omega)[1].sum((-1, -2)), expected, rtol=1e-12)
    np.testing.assert_allclose(of.measure(omega).enstrophy, 0.5 * (omega**2).mean((-1, -2, -3)), rtol=1e-12)


@settings(deadline=None, max_examples=40)
@given(shape=shapes, lengths=st.tuples(sides, sides), seed=st.integers(0, 10**6))
def test_parseval_of_vorticity(shape, lengths, seed):
    """Against the stream function on the full set of complex modes, Σ k² |ψ̂|², for odd and even grids."""
    omega = np.random.default_rng(seed).normal(1.0, 2.0, (3, 1, *shape))
    axes = [np.fft.fftfreq(n, 1 / n) * TURN / length for n, length in zip(shape, lengths, strict=True)]
    k2 = axes[0][:, None] ** 2 + axes[1] ** 2
    k2[0, 0] = np.inf
    omega_hat = np.fft.fft2(omega, norm="forward")
    of = vorticity(Shells(shape, lengths))
    found = of.measure(omega)
    expected = 0.5 * (np.abs(omega_hat) ** 2 / k2).sum((-1, -2, -3))
    np.testing.assert_allclose(found.energy, expected, rtol=1e-10)
    np.testing.assert_allclose(of.spectra(omega)[1].sum((-1, -2)), expected, rtol=1e-10)
    np.testing.assert_allclose(found.enstrophy, 0.5 * (omega**2).mean((-1, -2, -3)), rtol=1e-12)
    np.testing.assert_array_equal(of.spectra(omega)[0], found.spectrum)


def wave(n: int) -> tuple[float, np.ndarray]:
    """K² and cos(3X − 2Y)."""
    y, x = grid(n, SIDE)
    return 13 * (TURN / SIDE) ** 2, np.cos(TURN / SIDE * (3 * x - 2 * y))


def test_barotropic_wave():
    """ψ₁ = ψ₂ = A cos has q = −K²ψ, kinetic energy K²A²/4 in either layer and no available potential energy."""
    k2, cos = wave(16)
    amplitude = 30.0
    found = two_layers(16).measure(np.stack([-k2 * amplitude * cos] * 2))
    assert found.energy == pytest.approx(k2 * amplitude**2 / 4, rel=1e-12)
    assert found.enstrophy == pytest.approx((k2 * amplitude) ** 2 / 4, rel=1e-12)


def test_baroclinic_wave():
    """ψ₁ : ψ₂ = 1 : −δ has q = −(K² + r_d⁻²) ψ; kinetic and available potential energy in closed form."""
    k2, cos = wave(16)
    psi = 30.0 * np.array([1.0, -RATIO])
    q = -(k2 + RADIUS**-2) * psi[:, None, None] * cos
    of = two_layers(16)
    kinetic = k2 * psi**2 / 4
    potential = 0.5 * RADIUS**-2 * UPPER * LOWER * (psi[0] - psi[1]) ** 2 / 2
    assert of.measure(q).energy == pytest.approx(UPPER * kinetic[0] + LOWER * kinetic[1] + potential, rel=1e-12)
    assert of.spectra(q)[1][:, 4] == pytest.approx(kinetic, rel=1e-12)  # √13 rounds to 4


def test_energy_of_two_layers_is_that_of_the_inversion_of_the_solver():
    """−½ Σ (H_i/H) ⟨ψ_i q_i⟩, and the same from the velocities and ½ r_d⁻² (H₁H₂/H²) ⟨(ψ₁ − ψ₂)²⟩."""
    ocean = systems.build(OCEAN)
    q = 1e-6 * resolved(np.random.default_rng(1), 5, 2, 32, 32) * np.array([8.0, 1.0])[:, None, None]
    psi_hat = ocean.streamfunction(ocean.to_spectral(torch.from_numpy(q)))
    psi, speed = ocean.to_physical(psi_hat).numpy(), ocean.velocity(psi_hat).numpy()
    q -= q.mean((-1, -2), keepdims=True)  # the inversion leaves out the mean
    share = np.array([UPPER, LOWER])
    kinetic = 0.5 * (speed**2).sum(1).mean((-1, -2))
    potential = 0.5 * RADIUS**-2 * UPPER * LOWER * ((psi[:, 0] - psi[:, 1]) ** 2).mean((-1, -2))
    of = two_layers(32)
    found = of.measure(q)
    np.testing.assert_allclose(found.energy, -0.5 * (psi * q).mean((-1, -2)) @ share, rtol=1e-11)
    np.testing.assert_allclose(found.energy, kinetic @ share + potential, rtol=1e-11)
    np.testing.assert_allclose(found.enstrophy, 0.5 * (q**2).mean((-1, -2)) @ share, rtol=1e-12)
    np.testing.assert_allclose(of.spectra(q)[1].sum(-1), kinetic, rtol=1e-11)


def test_kinetic_energy_of_a_state_that_another_solver_measured():
    """The reference state of the eddy regime: pyqg finds a kinetic energy of 4.864087290e-3 m² s⁻²."""
    y, x = (TURN * each / SIDE for each in grid(64, SIDE))
    upper = 1e-5 * (np.sin(4 * x + y) + np.cos(3 * y - x) + 0.5 * np.cos(6 * x))
    lower = 1e-6 * (np.cos(2 * x - 3 * y) + np.sin(5 * x + 2 * y))
    kinetic = two_layers(64).spectra(np.stack([upper, lower]))[1].sum(-1)
    assert UPPER * kinetic[0] + LOWER * kinetic[1] == pytest.approx(4.864087290e-3, rel=1e-9)


@settings(deadline=None, max_examples=40)
@given(
    shape=shapes,
    lengths=st.tuples(sides, sides),
    ratio=st.floats(0.05, 5.0),
    radius=st.floats(0.05, 20.0),
    seed=st.integers(0, 10**6),
)
def test_two_layers_hold_barotropic_and_baroclinic_energy(shape, lengths, ratio, radius, seed):
    """E = ½ Σ |q̂_bt|²/K² + ½ (H₁H₂/H²) Σ |q̂_bc|²/(K² + r_d⁻²), q_bt = Σ (H_i/H) q_i, q_bc = q₁ − q₂."""
    q = np.random.default_rng(seed).normal(size=(2, 2, *shape))
    upper, lower = ratio / (1 + ratio), 1 / (1 + ratio)
    shells = Shells(shape, lengths)
    of = layers(shells, ratio, radius)
    barotropic, difference = upper * q[:, :1] + lower * q[:, 1:], q[:, :1] - q[:, 1:]
    k2 = shells.k_squared
    inverse = np.where(k2 > 0, 1 / (k2 + radius**-2), 0.0)[None]
    power = np.abs(shells.modes(difference)) ** 2
    expected = vorticity(shells).measure(barotropic).energy + 0.5 * upper * lower * shells.total(power, inverse)
    found = of.measure(q)
    np.testing.assert_allclose(found.energy, expected, rtol=1e-9)
    np.testing.assert_allclose(found.enstrophy, 0.5 * (q**2).mean((-1, -2)) @ [upper, lower], rtol=1e-12)


def test_any_other_variable_is_standardised():
    """Temperature in kelvin and humidity: offset and unit of neither matter, and either counts one half."""
    rng = np.random.default_rng(2)
    shells = Shells((12, 18), (1.0, 2.0))
    u = rng.normal(size=(400, 2, 12, 18))
    mean, std = np.array([300.0, 0.01]), np.array([5.0, 1e-3])
    scaled = mean[:, None, None] + std[:, None, None] * u
    found, plain = standardised(shells, mean, std).measure(scaled), velocity(shells, 2).measure(u)
    np.testing.assert_allclose(found.energy, plain.energy, rtol=1e-10)
    np.testing.assert_allclose(found.enstrophy, plain.enstrophy, rtol=1e-10)
    assert found.energy.mean() == pytest.approx(1.0, rel=0.01)


@pytest.mark.parametrize(
    ("variable", "shells", "channels", "energy"),
    [
        ("velocity", Shells((8,), (1.0,)), 1, "energy ½⟨u²⟩"),
        ("vorticity", SQUARE, 1, "kinetic energy ½⟨|u|²⟩"),
        ("vorticity", Shells((8,), (1.0,)), 1, "variance ½⟨u²⟩ of standardised channels"),
        ("potential_vorticity", SQUARE, 2, "total energy −½ Σ (Hᵢ/H)⟨ψᵢqᵢ⟩"),
        ("potential_vorticity", SQUARE, 3, "variance ½⟨u²⟩ of standardised channels"),
        ("temperature", SQUARE, 1, "variance ½⟨u²⟩ of standardised channels"),
    ],
)
def test_the_variable_decides(variable, shells, channels, energy):
    system = OCEAN.model_dump(mode="json")
    moments = np.zeros(channels), np.ones(channels)
    assert invariants(variable, system, shells, *moments).energy.definition == energy


def test_layers_of_unknown_thickness_are_any_other_variable():
    found = invariants("potential_vorticity", {"kind": "imported"}, SQUARE, np.zeros(2), np.ones(2))
    assert (found.energy.name, found.enstrophy.name) == ("variance", "gradient")


def test_a_state_that_is_not_finite_has_no_energy():
    u = np.random.default_rng(0).normal(size=(4, 2, 16, 16))
    u[1, 0, 3, 3], u[2, 1, 5, 5] = np.nan, np.inf
    for of in (velocity(SQUARE, 2), two_layers(16), vorticity(SQUARE, 2)):
        found = of.measure(u)
        for values in (found.energy, found.enstrophy):
            np.testing.assert_array_equal(np.isfinite(values), [True, False, False, True])
