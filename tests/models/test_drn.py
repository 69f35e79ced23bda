"""Convolutions beyond every kind of edge, and the dilated network made of them."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import state, stirred
from torch.nn.functional import conv1d, conv2d, pad

from thermalize.config import DilatedResNetConfig
from thermalize.models import build, describe
from thermalize.models.convolution import continued, convolution
from thermalize.models.describe import receptive_field

EDGES = ("periodic", "replicate", "zeros")
MODES = {"periodic": "circular", "replicate": "replicate", "zeros": "constant"}
PAPER = DilatedResNetConfig(kind="drn", width=32, blocks=6)


@pytest.mark.parametrize("edges", [*product(EDGES, EDGES)])
@pytest.mark.parametrize("dilation", [1, 2])
def test_convolution_is_that_of_the_continued_field(edges: tuple[str, str], dilation: int) -> None:
    layer, x, reach = stirred(convolution(edges, 2, 3, 5, dilation)), state(2, 2, 7, 9), 2 * dilation
    weight, bias = layer.parameters()
    wide = pad(x, (reach, reach, 0, 0), mode=MODES[edges[1]])
    wide = pad(wide, (0, 0, reach, reach), mode=MODES[edges[0]])
    torch.testing.assert_close(layer(x), conv2d(wide, weight, bias, dilation=dilation), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("edge", EDGES)
def test_convolution_in_one_dimension(edge: str) -> None:
    layer, x = stirred(convolution((edge,), 2, 3, 3)), state(2, 2, 9)
    expected = conv1d(pad(x, (1, 1), mode=MODES[edge]), *layer.parameters())
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)


def test_fields_continue_in_their_own_way_along_each_axis() -> None:
    x = torch.arange(6.0).reshape(1, 1, 2, 3)
    wide = continued(x, ("replicate", "periodic"), (1, 2))[0, 0]
    assert wide[0].tolist() == wide[1].tolist() == [1, 2, 0, 1, 2, 0, 1]
    assert wide[2].tolist() == wide[3].tolist() == [4, 5, 3, 4, 5, 3, 4]


def reach(config: DilatedResNetConfig) -> int:
    return (config.kernel_size - 1) * (2 + config.blocks * sum(config.dilations)) + 1


@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=3).map(lambda middle: (1, *middle)),
    st.integers(1, 3),
    st.sampled_from([3, 5]),
)
def test_receptive_field_is_the_sum_of_dilations(dilations: tuple[int, ...], blocks: int, kernel: int) -> None:
    config = DilatedResNetConfig(kind="drn", width=2, dilations=dilations, blocks=blocks, kernel_size=kernel)
    net = stirred(build(config, 1, 1, 1))
    assert receptive_field(net, 1, (160,))["x"] == min(160, reach(config))


def test_receptive_field_of_the_published_network() -> None:
    config = DilatedResNetConfig(kind="drn", width=48)
    assert describe(build(config, 1, 1, 1), 1, (256,))["receptive_field"] == {"x": 181}
    assert reach(config) == 181
    walls = build(config.model_copy(update={"boundary": "replicate"}), 1, 1, 1)
    assert describe(walls, 1, (256,))["receptive_field"] == {"x": 181}


def test_size_of_the_thermalizers_network() -> None:
    """Six blocks of seven convolutions, 32 × 32 × 3 × 3 weights each: 0.39 million."""
    net = build(PAPER, 2, 1, 1)
    inner = sum(each.numel() for each in net.blocks.parameters())
    assert inner == 6 * 7 * (32 * 32 * 9 + 32) == 388_416


def test_initial_weights_carry_a_signal_through_a_block() -> None:
    torch.manual_seed(0)
    block = build(PAPER, 2, 1, 1).blocks[0]
    h = torch.randn(1, 32, 32, 32)
    for layer in block.layers[:-1]:
        h = layer(block.activation(h))
    assert 0.2 < float(h.detach().std()) < 2
