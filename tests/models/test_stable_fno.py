"""The bounded Fourier neural operator: mixes that clamp, multipliers below one, the bound of the whole."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import SMALL, state, stirred
from torch import Tensor
from torch.autograd.functional import jvp, vjp

from thermalize.config import StableFNOConfig
from thermalize.models import build
from thermalize.models.spectral import analyse
from thermalize.models.stable_fno import BoundedFilter, ClampedMix, StableFNO, StableLayer

TORUS = {1: ("periodic",), 2: ("periodic", "periodic")}
SLOPE = 1.0999


def norm(x: Tensor) -> float:
    return float(x.detach().square().sum().sqrt())


def largest(weight: Tensor) -> float:
    return float(torch.linalg.svdvals(weight.detach().double())[0])


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 6), (6, 1), (8, 32), (32, 8), (16, 16)])
@pytest.mark.parametrize("scale", [0.01, 0.2, 3.0])
def test_mixes_clamp_and_never_enlarge(inputs: int, outputs: int, scale: float) -> None:
    mix = stirred(ClampedMix(inputs, outputs), scale)
    expected = min(1.0, largest(mix.weight))
    assert largest(mix.matrix()) == pytest.approx(expected, rel=1e-6)


def test_power_iteration_finds_the_norm_within_one_per_cent() -> None:
    torch.manual_seed(0)
    mix = stirred(ClampedMix(32, 128), 0.3).train()
    for _ in range(100):
        matrix = mix.matrix()
    assert largest(matrix) == pytest.approx(1.0, rel=0.01)


def test_power_iteration_follows_a_training_that_pushes_against_the_bound() -> None:
    torch.manual_seed(0)
    mix = ClampedMix(16, 24).train()
    target = 6 * torch.randn(24, 16) / 4
    optimizer = torch.optim.Adam(mix.parameters(), lr=1e-3)
    for _ in range(300):
        x = torch.randn(8, 16, 1)
        loss = (mix(x) - target @ x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert largest(mix.weight) > 1.1
    assert 1 - 1e-6 < largest(mix.matrix()) < 1.05
    mix.eval()
    assert largest(mix.matrix()) == pytest.approx(1.0, rel=1e-6)


def test_evaluation_is_deterministic_and_training_moves_the_vector_alone() -> None:
    mix, x = stirred(ClampedMix(8, 12)), state(1, 8, 5)
    assert torch.equal(mix(x), mix(x))
    mix.train()
    before = mix.left.clone(), mix.weight.detach().clone()
    mix(x)
    assert not torch.equal(mix.left, before[0])
    assert torch.equal(mix.weight, before[1])


def test_several_forward_passes_share_one_backward_pass() -> None:
    """As an unrolled emulator does; the buffers change in between."""
    net, x = stirred(build(SMALL["stable_fno"], 1, 1, 1)).train(), state(2, 1, 16)
    net(net(x)).square().sum().backward()
    assert all(torch.isfinite(each.grad).all() for each in net.parameters())


def test_zero_weights_do_not_trap_the_power_iteration() -> None:
    mix = ClampedMix(4, 3)
    torch.nn.init.zeros_(mix.weight)
    assert not mix.matrix().any()
    torch.nn.init.constant_(mix.weight, 2.0)
    for _ in range(20):
        matrix = mix.matrix()
    assert largest(matrix) == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("points", [15, 16])
@pytest.mark.parametrize("edge", ["periodic", "zeros"])
@given(seed=st.integers(0, 10**6))
def test_filter_and_mix_do_not_enlarge(dims: int, points: int, edge: str, seed: int) -> None:
    part, mix = stirred(BoundedFilter((edge,) * dims, 4, 9, 1.0), 3.0, seed), stirred(ClampedMix(4, 4), 2.0, seed)
    torch.nn.init.zeros_(mix.bias)
    h = state(1, 4, *(points,) * dims, seed=seed)
    assert norm(mix(part(h))) <= (1 + 1e-12) * norm(h)


@pytest.mark.parametrize("ratio", [0.5, 0.75])
@pytest.mark.parametrize("training", [True, False])
def test_nothing_passes_the_cut(ratio: float, training: bool) -> None:
    part = stirred(BoundedFilter(TORUS[2], 3, 99, ratio)).train(training)
    spectrum = torch.fft.rfft2(part(state(2, 3, 16, 16)), norm="ortho").abs()
    ky, kx = torch.fft.fftfreq(16, 1 / 16).abs(), torch.arange(9)
    beyond = (ky[:, None] > ratio * 8) | (kx[None] > ratio * 8)
    assert spectrum[..., beyond].max() < 1e-14
    assert spectrum[..., ~beyond].min() > 1e-8


@pytest.mark.parametrize("dims", [1, 2])
def test_one_layer_is_a_known_map_of_modes(dims: int) -> None:
    """x_k → ψ_k x_k, hence ψ_kⁿ after n steps."""
    part, x = stirred(BoundedFilter(TORUS[dims], 2, 6, 1.0)), state(1, 2, *(11,) * dims)
    psi = torch.polar(part.modulus.sigmoid(), part.phase)
    y = x
    for _ in range(5):
        y = part(y)
    counts = (6,) * dims
    expected, found = analyse(x, counts) * psi**5, analyse(y, counts)
    torch.testing.assert_close(found[..., 1:], expected[..., 1:], rtol=1e-10, atol=1e-12)
    assert (psi.abs() < 1).all()


def bound(net: StableFNO, x: Tensor, iterations: int = 15) -> float:
    """‖∂F/∂x‖₂ at x by power iteration."""
    v = torch.randn_like(x)
    for _ in range(iterations):
        pushed = jvp(net, x, v / v.norm())[1]
        v = vjp(net, x, pushed)[1]
    return float(v.norm().sqrt())


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("scale", [0.3, 3.0])
@pytest.mark.parametrize("outputs", [2, 3])
def test_whole_network_is_bounded(dims: int, scale: float, outputs: int) -> None:
    config = StableFNOConfig(kind="stable_fno", width=8, modes=9, blocks=4, ratio=1.0)
    net = stirred(build(config, dims, 2, outputs), scale)
    for amplitude in (0.1, 10.0):
        assert bound(net, amplitude * state(1, 2, *(16,) * dims)) <= SLOPE**4 * (outputs / 2) ** 0.5


def test_bound_is_not_loose() -> None:
    """Identity mixes and open gates: what remains is the slope of SiLU in every layer."""
    config = StableFNOConfig(kind="stable_fno", width=2, modes=9, blocks=4, ratio=1.0, expansion=1)
    net = stirred(build(config, 1, 2, 2))
    for module in net.modules():
        if isinstance(module, ClampedMix):
            torch.nn.init.eye_(module.weight)
            torch.nn.init.zeros_(module.bias)
        if isinstance(module, StableLayer):
            torch.nn.init.constant_(module.gate, -30.0)
        if isinstance(module, BoundedFilter):
            torch.nn.init.constant_(module.modulus, 30.0)
            torch.nn.init.zeros_(module.phase)
    assert 1.05 < bound(net.eval(), torch.full((1, 2, 15), 2.4, dtype=torch.float64)) <= SLOPE**4


@pytest.mark.parametrize("dims", [1, 2])
def test_positions_are_left_out_unless_asked_for(dims: int) -> None:
    config = StableFNOConfig(kind="stable_fno", width=6, modes=5, blocks=3, position=True)
    net, x = build(config, dims, 1, 1), state(1, 1, *(16,) * dims)
    assert not net.position.any()
    net = stirred(net)
    y, moved = net(x), net(x.roll(1, 2))
    assert (moved - y.roll(1, 2)).abs().max() > 1e-3 * y.abs().max()
    fine = net._position((32,) * dims)[(slice(None), *(slice(None, None, 2),) * dims)]
    torch.testing.assert_close(fine, net._position((16,) * dims), rtol=1e-12, atol=1e-12)
    other = build(config.model_copy(update={"position": False}), dims, 1, 1)
    assert "position" not in other.state_dict()


def test_gates_are_convex() -> None:
    layer = stirred(StableLayer(TORUS[1], SMALL["stable_fno"]))
    h, matrices = state(1, 6, 16), layer.matrices()
    torch.nn.init.constant_(layer.gate, 40.0)
    torch.testing.assert_close(layer(h, *matrices), h, rtol=1e-12, atol=1e-12)
    torch.nn.init.constant_(layer.gate, -40.0)
    branch = layer(h, *matrices)
    torch.nn.init.zeros_(layer.gate)
    torch.testing.assert_close(layer(h, *matrices), (branch + h) / 2, rtol=1e-12, atol=1e-12)
