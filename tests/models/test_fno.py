"""The Fourier neural operator: its transforms, its layer as known multipliers, other grids."""

from __future__ import annotations

from math import pi

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import SMALL, state, stirred
from torch import Tensor, nn
from torch.nn.functional import pad

from thermalize.config import FNOConfig
from thermalize.models import build
from thermalize.models.fno import SpectralConvolution
from thermalize.models.spectral import analyse, lowest, select, synthesise, table, transformed

TORUS = {1: ("periodic",), 2: ("periodic", "periodic")}


def waves(grid: tuple[int, ...], highest: int, seed: int = 3, shift: tuple[float, ...] = ()) -> Tensor:
    """The same random field with |k_j| ≤ highest on any grid, [1, 1, *grid], moved by `shift` radians."""
    generator, field = torch.Generator().manual_seed(seed), torch.zeros(grid, dtype=torch.float64)
    axes = torch.meshgrid(*(2 * pi * torch.arange(n, dtype=torch.float64) / n for n in grid), indexing="ij")
    moved = [axis - by for axis, by in zip(axes, shift or (0.0,) * len(grid), strict=True)]
    for wave in torch.cartesian_prod(*[torch.arange(-highest, highest + 1)] * len(grid)).reshape(-1, len(grid)):
        amplitude, phase = torch.rand(2, generator=generator, dtype=torch.float64)
        angle = sum(int(k) * axis for k, axis in zip(wave, moved, strict=True))
        field = field + amplitude * torch.cos(angle + 2 * pi * phase)
    return field[None, None]


def wavenumbers(dims: int, modes: int) -> list[Tensor]:
    """k along each axis, in the order of the table of weights."""
    low = torch.arange(modes, dtype=torch.float64)
    full = torch.cat((low, -low[1:].flip(0)))
    return list(torch.meshgrid(*[full] * (dims - 1), low, indexing="ij"))


def multiplier(values: Tensor, dims: int, modes: int) -> SpectralConvolution:
    """One channel, one layer, R(k) = values."""
    layer = SpectralConvolution(TORUS[dims], 1, 1, modes).double()
    with torch.no_grad():
        layer.weight.copy_(torch.view_as_real(values.to(torch.complex128))[None, None])
    return layer


@pytest.mark.parametrize("dims", [1, 2])
def test_layer_moves_a_field_by_any_distance(dims: int) -> None:
    distance = (0.3, 1.1)[:dims]
    angle = sum(k * by for k, by in zip(wavenumbers(dims, 6), distance, strict=True))
    layer = multiplier(torch.polar(torch.ones_like(angle), -angle), dims, 6)
    grid = (16, 20)[:dims]
    torch.testing.assert_close(layer(waves(grid, 5)), waves(grid, 5, shift=distance), rtol=0, atol=1e-12)
    rough = layer.float()(waves(grid, 5).float())
    torch.testing.assert_close(rough, waves(grid, 5, shift=distance).float(), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("dims", "axis"), [(1, 0), (2, 0), (2, 1)])
def test_layer_differentiates(dims: int, axis: int) -> None:
    layer, grid = multiplier(1j * wavenumbers(dims, 6)[axis], dims, 6), (16, 20)[:dims]
    step = [1e-5 * (each == axis) for each in range(dims)]
    ahead = waves(grid, 5, shift=tuple(-each for each in step))
    behind = waves(grid, 5, shift=tuple(step))
    torch.testing.assert_close(layer(waves(grid, 5)), (ahead - behind) / 2e-5, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dims", [1, 2])
def test_layer_drops_what_it_has_no_weights_for(dims: int) -> None:
    layer = multiplier(torch.ones(table(dims, 4)), dims, 4)
    torch.testing.assert_close(layer(waves((16,) * dims, 3)), waves((16,) * dims, 3), rtol=0, atol=1e-12)
    x = torch.cos(4 * 2 * pi * torch.arange(16, dtype=torch.float64) / 16).expand(1, 1, *(16,) * dims)
    assert layer(x).abs().max() < 1e-12


@pytest.mark.parametrize("dims", [1, 2])
def test_channels_are_mixed_wavenumber_by_wavenumber(dims: int) -> None:
    layer, x = stirred(SpectralConvolution(TORUS[dims], 3, 2, 4)), state(2, 3, *(9,) * dims)
    matrices, counts = torch.view_as_complex(layer.weight), (4,) * dims
    seen, made = analyse(x, counts), analyse(layer(x), counts)
    for place in [(0,) * (dims - 1) + (2,), (1,) * dims, (-1,) * (dims - 1) + (3,)]:
        expected = seen[(..., *place)] @ matrices[(..., *place)]
        torch.testing.assert_close(made[(..., *place)], expected, rtol=1e-10, atol=1e-12)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 9))
def test_synthesis_undoes_analysis(rows: int, points: int, modes: int) -> None:
    counts = lowest(modes, (rows, points))
    x = state(2, 3, rows, points)
    low = synthesise(analyse(x, counts), (rows, points))
    torch.testing.assert_close(analyse(low, counts), analyse(x, counts), rtol=0, atol=1e-12)
    torch.testing.assert_close(synthesise(analyse(low, counts), (rows, points)), low, rtol=0, atol=1e-12)
    assert low.square().sum() <= x.square().sum() * (1 + 1e-12)


def test_nyquist_is_never_kept() -> None:
    assert lowest(99, (8, 9)) == (4, 5)
    x = torch.tensor([1.0, -1.0]).repeat(4).reshape(1, 1, 8).double()
    assert not SpectralConvolution(TORUS[1], 1, 1, 99).double()(x).abs().gt(1e-12).any()


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.75, 1.0])
def test_ratio_cuts_at_its_share_of_the_grid(ratio: float) -> None:
    (count,) = lowest(99, (64,), ratio)
    assert count == min(32, int(ratio * 32) + 1)


def test_selection_keeps_both_signs() -> None:
    ky, kx = wavenumbers(2, 6)
    low = select(ky[None], (3, 2), 1)[0]
    assert low[:, 0].tolist() == [0, 1, 2, -2, -1]
    assert select(kx[None], (3, 2), 1)[0, 0].tolist() == [0, 1]


class Linear(nn.Module):
    """The network without its activations."""

    def __init__(self, config: FNOConfig, dims: int) -> None:
        super().__init__()
        self.net = stirred(build(config, dims, 1, 1))
        self.net.project[1] = nn.Identity()
        for block in self.net.blocks:
            block.activation = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


@pytest.mark.parametrize("dims", [1, 2])
def test_same_weights_act_the_same_on_a_finer_grid(dims: int) -> None:
    net, coarse = Linear(SMALL["fno"], dims), (slice(None), slice(None)) + (slice(None, None, 2),) * dims
    fine = net(waves((32,) * dims, 6))
    torch.testing.assert_close(net(waves((16,) * dims, 6)), fine[coarse], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("points", [1, 2, 3, 8])
def test_grids_with_fewer_wavenumbers_than_weights(dims: int, points: int) -> None:
    net = stirred(build(SMALL["fno"].model_copy(update={"modes": 12}), dims, 1, 1))
    assert net(state(1, 1, *(points,) * dims)).shape == (1, 1, *(points,) * dims)


@pytest.mark.parametrize("edge", ["replicate", "zeros"])
def test_transforms_see_the_continued_field(edge: str) -> None:
    x, seen = state(1, 2, 8, 12), []
    result = transformed(x, (edge, "periodic"), 0.5, lambda wide: seen.append(wide) or 2 * wide)
    mode = {"replicate": "replicate", "zeros": "constant"}[edge]
    assert torch.equal(seen[0], pad(x, (0, 0, 2, 2), mode=mode))
    assert torch.equal(result, 2 * x)


def test_transforms_keep_their_precision_under_autocast() -> None:
    layer, x = SpectralConvolution(TORUS[2], 2, 2, 4), state(1, 2, 16, 16).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer(x), layer.forward(x))
        rounded = layer(x.bfloat16())
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), layer(x), rtol=0.02, atol=0.02)
