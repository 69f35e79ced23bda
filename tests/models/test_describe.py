"""What networks cost and see, against hand counts and networks whose reach is known."""

from __future__ import annotations

from math import log2

import pytest
import torch
from networks import SMALL, stirred
from torch import Tensor, nn

from thermalize.config import DiffusionConfig, FNOConfig, TrainingConfig, UNetConfig
from thermalize.diffusion.denoiser import Denoiser
from thermalize.models import build, describe
from thermalize.models.describe import operations, receptive_field, shift
from thermalize.models.fno import SpectralConvolution
from thermalize.models.unet import Attention


def test_a_network_of_two_convolutions() -> None:
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular"), nn.GELU(), nn.Conv2d(4, 1, 5, padding=2)
    )
    found = describe(net, 2, (16, 20))
    assert found["parameters"] == (2 * 4 * 9 + 4) + (4 * 25 + 1)
    assert found["flops"] == 2 * 320 * (2 * 4 * 9 + 4 * 25)
    assert found["receptive_field"] == {"y": 7, "x": 7}
    assert found["shift"] == {"y": None, "x": None}


def test_a_network_that_halves_and_doubles() -> None:
    net = nn.Sequential(
        nn.Conv1d(1, 1, 2, stride=2),
        nn.Conv1d(1, 1, 3, padding=1, padding_mode="circular"),
        nn.Upsample(scale_factor=2, mode="nearest"),
    )
    assert describe(net, 1, (24,))["receptive_field"] == {"x": 6}
    assert describe(net, 1, (24,))["shift"] == {"x": 2}


def test_reach_is_an_arc_on_the_torus_and_counts_holes() -> None:
    net = nn.Conv1d(1, 1, 3, padding=4, dilation=4, padding_mode="circular")
    assert describe(net, 1, (24,))["receptive_field"] == {"x": 9}
    assert describe(net, 1, (5,))["receptive_field"] == {"x": 3}  # points 0, 4 and 1 of 5: they are neighbours


@pytest.mark.parametrize("points", [1, 6, 8])
def test_a_network_that_mixes_everything(points: int) -> None:
    class Mean(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean(-1, keepdim=True).expand_as(x)

    found = describe(Mean(), 1, (points,))
    assert found["receptive_field"] == {"x": points}
    assert found["shift"] == {"x": 1 if points > 1 else None}


def test_operations_of_a_spectral_layer() -> None:
    """Per axis a transform there and back, 8 operations per complex multiply-add."""
    layer = SpectralConvolution(("periodic",), 3, 5, 4)
    assert operations(layer, 3, (16,)) == 2.5 * 16 * log2(16) * (3 + 5) + 8 * 4 * 3 * 5
    plane = SpectralConvolution(("periodic", "periodic"), 3, 5, 4)
    real, columns = 2.5 * 16 * 32 * log2(32), 5 * 4 * 16 * log2(16)
    assert operations(plane, 3, (16, 32)) == (real + columns) * (3 + 5) + 8 * 4 * 7 * 3 * 5


def test_operations_of_attention() -> None:
    attention = Attention(1, 64, UNetConfig(attention=True))
    assert operations(attention, 64, (16,)) == 2 * 16 * 64 * (3 * 64 + 64) + 2 * 2 * 16 * 16 * 64


def test_operations_where_shapes_are_not_enough() -> None:
    class Asks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Conv1d(1, 1, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x) if float(x.detach().sum()) < 1 else x

    assert operations(Asks(), 1, (10,)) == 20


@pytest.mark.parametrize(("kind", "step"), [("unet", 4), ("unet-attention", 4), ("drn", 1), ("fno", 1)])
def test_shifts_of_the_networks(kind: str, step: int) -> None:
    net = build(SMALL[kind], 2, 1, 1)
    assert describe(net, 1, (16, 24))["shift"] == {"y": step, "x": step}


@pytest.mark.parametrize("kind", ["unet", "drn", "fno", "stable_fno"])
def test_narrow_copy_has_the_geometry_of_the_network(kind: str) -> None:
    config = SMALL[kind].model_copy(update={"width": 8})
    net = stirred(build(config, 1, 2, 2))
    found = describe(net, 2, (96,))
    assert found["receptive_field"] == receptive_field(net, 2, (96,))
    assert found["shift"] == shift(net, 2, (96,))


def test_describing_changes_nothing() -> None:
    torch.manual_seed(0)
    net = build(SMALL["stable_fno"], 1, 1, 1)
    weights = {name: each.clone() for name, each in net.state_dict().items()}
    random = torch.get_rng_state()
    assert describe(net, 1, (16,)) == describe(net, 1, (16,))
    assert net.training
    assert all(torch.equal(each, weights[name]) for name, each in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)


def test_channel_without_and_with_walls() -> None:
    config = FNOConfig(kind="fno", width=4, modes=4, boundary={"y": "zeros", "x": "periodic"})
    assert describe(build(config, 2, 1, 1), 1, (12, 12))["shift"] == {"y": None, "x": 1}


def test_reading_a_level_costs_the_encoder_alone() -> None:
    model = Denoiser(DiffusionConfig(network=SMALL["drn"], training=TrainingConfig(updates=1)), 1, 1)

    class Level(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: Tensor) -> Tensor:
            return self.model.level(x)

    class Whole(Level):
        def forward(self, x: Tensor) -> Tensor:
            return self.model(x)[0]

    assert operations(Level(), 1, (32,)) < 0.6 * operations(Whole(), 1, (32,))
