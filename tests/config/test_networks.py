"""The configuration of networks: grids and boundaries that fit, and what is said where they do not."""

from __future__ import annotations

import jsonschema
import pytest
from networks import SMALL
from pydantic import TypeAdapter, ValidationError

from thermalize.config import DilatedResNetConfig, NetworkConfig, UNetConfig
from thermalize.config.base import Strict
from thermalize.config.messages import sentences
from thermalize.models import build


class Section(Strict):
    network: NetworkConfig


def refusal(**network: object) -> str:
    with pytest.raises(ValidationError) as caught:
        Section(network=network)
    (sentence,) = sentences(caught.value, Section)
    return sentence


def test_a_network_without_a_kind_is_a_unet() -> None:
    assert Section(network={"width": 3}).network == UNetConfig(width=3)


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        ({"kind": "mlp"}, "network.kind: 'mlp' is unknown; known: unet, drn, fno, stable_fno, import"),
        ({"kind": "drn", "kernel_size": 4}, "network.kernel_size = 4 is even; try 5"),
        ({"kind": "unet", "multipliers": [1, 0]}, "network.multipliers[1]: 0 is out of bounds; it must be above 0"),
        ({"kind": "fno", "boundary": "no"}, "network.boundary: 'no' is not periodic, replicate, zeros or a section"),
        ({"kind": "unet", "boundary": {"z": "zeros"}}, "network.boundary.z: this key is unknown; known: y, x"),
        (
            {"kind": "fno", "boundary": {"y": "wall"}},
            "network.boundary.y: 'wall' is unknown; known: periodic, replicate, zeros",
        ),
        (
            {"kind": "stable_fno", "boundary": {"y": "replicate"}},
            "network.boundary = 'replicate' enlarges fields and voids the bound of stable_fno; try 'zeros'",
        ),
        ({"kind": "stable_fno", "ratio": 1.5}, "network.ratio: 1.5 is out of bounds; it must be at most 1"),
        (
            {"kind": "import", "target": "mine"},
            "network.target = 'mine' names nothing to call; write package.module:factory",
        ),
        (
            {"kind": "import", "target": "mine:make", "options": {"dims": 1}},
            "network.options holds 'dims', which the factory is given anyway; leave it out",
        ),
    ],
)  # fmt: skip
def test_refusals(network: dict[str, object], sentence: str) -> None:
    assert refusal(**network) == sentence


def test_one_word_or_one_per_axis() -> None:
    assert UNetConfig(boundary="zeros").edges(2) == ("zeros", "zeros")
    channel = UNetConfig(boundary={"y": "replicate"})
    assert channel.edges(2) == ("replicate", "periodic")
    assert channel.boundary_fault(2) is None
    assert channel.boundary_fault(1, "emulators.a.network") == (
        "emulators.a.network.boundary.y = 'replicate' has no axis: the grid has only x; leave y out"
    )
    assert UNetConfig(boundary={"x": "zeros"}).boundary_fault(1) is None
    assert UNetConfig(boundary="zeros").boundary_fault(1) is None
    assert UNetConfig.model_validate(channel.model_dump()) == channel


@pytest.mark.parametrize(
    ("config", "grid", "sentence"),
    [
        (
            UNetConfig(),
            (30,),
            "network halves the grid 2 times, but the 30 points along x are not divisible by 4; use 28 or 32 "
            "points, or fewer multipliers",
        ),
        (UNetConfig(), (4,), "network needs at least 8 grid points per axis, but one has points = 4"),
        (
            DilatedResNetConfig(kind="drn"),
            (64, 6),
            "network needs at least 8 grid points per axis, but one has points = 6",
        ),
    ],
)
def test_grids_that_do_not_fit(config: NetworkConfig, grid: tuple[int, ...], sentence: str) -> None:
    assert config.grid_fault(grid) == sentence
    with pytest.raises(RuntimeError):
        build(config, len(grid), 1, 1)(_zeros(grid))


@pytest.mark.parametrize("config", SMALL.values(), ids=SMALL)
@pytest.mark.parametrize("dims", [1, 2])
def test_smallest_grid_fits(config: NetworkConfig, dims: int) -> None:
    grid = (config.least,) * dims
    assert config.grid_fault(grid) is None
    assert build(config, dims, 1, 1)(_zeros(grid)).shape == (1, 1, *grid)


def _zeros(grid: tuple[int, ...]) -> object:
    import torch

    return torch.zeros(1, 1, *grid)


@pytest.mark.parametrize(
    ("network", "fits"),
    [
        ({"kind": "unet", "boundary": {"y": "zeros"}}, True),
        ({"kind": "drn", "boundary": "replicate"}, True),
        ({"kind": "drn", "boundary": "wall"}, False),
        ({"kind": "fno", "ratio": 0.5}, False),
        ({"kind": "import", "target": "a:b", "options": {"depth": 3}}, True),
    ],
)
def test_schema_says_the_same(network: dict[str, object], fits: bool) -> None:
    schema = TypeAdapter(NetworkConfig).json_schema()
    assert jsonschema.Draft202012Validator(schema).is_valid(network) is fits
