"""The subspace of the truth: found in its states, and what emulators are projected on."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from thermalize.config import EmulatorConfig, UNetConfig
from thermalize.emulators.base import advance
from thermalize.emulators.external import ForeignEmulator
from thermalize.emulators.projection import Held, held_wavenumbers, mask, projected
from thermalize.emulators.residual import build
from thermalize.models.normalization import Normalization
from thermalize.runtime.errors import UserError

PLAIN = Normalization((0.0,), (1.0,))


def limited(grid: tuple[int, ...], along: tuple[int, ...], shell: int, states: int = 8) -> torch.Tensor:
    """Random fields with these wavenumbers alone, in single precision as they are stored."""
    axes = tuple(range(-len(grid), 0))
    x = torch.randn((states, 1, *grid), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    spectrum = torch.fft.rfftn(x, dim=axes) * mask(Held(grid, along, shell))
    x = torch.fft.irfftn(spectrum, s=grid, dim=axes)
    return (x / x.std()).float()


@settings(max_examples=20, deadline=None)
@given(st.integers(8, 65), st.data())
def test_the_largest_wavenumber_of_a_line_is_found(points: int, data: st.DataObject):
    limit = data.draw(st.integers(1, points // 2 - 1))
    assert held_wavenumbers(limited((points,), (limit,), limit), PLAIN) == Held((points,), (limit,), limit)


@pytest.mark.parametrize(
    ("grid", "along", "shell"),
    [((16, 16), (5, 5), 8), ((16, 24), (5, 8), 6), ((15, 16), (7, 7), 7), ((16, 16), (7, 7), 10)],
)
def test_boxes_and_circles_of_a_plane_are_found(grid: tuple[int, ...], along: tuple[int, ...], shell: int):
    found = held_wavenumbers(limited(grid, along, shell), PLAIN)
    assert found is not None
    assert torch.equal(mask(found), mask(Held(grid, along, shell)))


def test_rounding_is_none_of_it_whatever_the_units():
    """The mean may be large: its rounding is in every mode."""
    normalization = Normalization((1000.0,), (3.0,))
    u = limited((64,), (20,), 20) * 3.0 + 1000.0
    x = (u - 1000.0) / 3.0
    assert held_wavenumbers(x, normalization) == Held((64,), (20,), 20)


def test_where_the_grid_holds_nothing_else_there_is_nothing_to_project_on():
    assert held_wavenumbers(torch.randn(8, 1, 32), PLAIN) is None
    assert held_wavenumbers(torch.zeros(8, 1, 32), PLAIN) is None
    x = torch.randn(2, 1, 32)
    assert projected(x, None) is x


def test_what_is_held_stays_and_the_rest_goes():
    x, noise = limited((32, 32), (10, 10), 12), torch.randn((8, 1, 32, 32), generator=torch.Generator().manual_seed(1))
    held = held_wavenumbers(x, PLAIN)
    assert held is not None
    torch.testing.assert_close(projected(x, held), x, atol=5e-6, rtol=0)
    once = projected(x + noise, held)
    torch.testing.assert_close(projected(once, held), once, atol=5e-6, rtol=0)
    spectrum = torch.fft.rfftn(once.double(), dim=(-2, -1)).abs()
    assert float(spectrum[..., ~mask(held)].max()) < 1e-3
    torch.testing.assert_close(projected((x + noise)[3:4], held), once[3:4], atol=2e-6, rtol=0)


def test_states_of_another_grid_are_refused():
    with pytest.raises(UserError, match="projects states on a grid of"):
        projected(torch.zeros(1, 1, 16), Held((32,), (10,), 10))


def test_a_card_says_it_to_the_last_number():
    held = Held((32, 16), (10, 5), 11)
    assert Held.of(held.card()) == held
    assert Held.of(None) is None


@pytest.mark.parametrize("units", ["physical", "normalized"])
def test_every_kind_of_emulator_is_projected(units: str):
    held = Held((32,), (10,), 10)
    config = EmulatorConfig.model_validate(
        {"network": {"width": 4, "multipliers": [1]}, "training": {"updates": 1}, "project": "auto"}
    )
    assert isinstance(config.network, UNetConfig)
    foreign = ForeignEmulator(lambda x: x, units, 1, Normalization((1.0,), (2.0,)))  # type: ignore[arg-type]
    x = torch.randn(3, 1, 32)
    for emulator in (build(config, 1, 1, PLAIN), foreign):
        loose = emulator(x)
        emulator.held = held
        torch.testing.assert_close(emulator(x), projected(loose, held))
        assert not torch.allclose(emulator(x), loose)
        torch.testing.assert_close(advance(emulator, x, x[:, :0], torch.arange(3), None)[0], emulator(x))  # type: ignore[arg-type]
        u = emulator.denormalize(x)
        torch.testing.assert_close(emulator.step(u), emulator.denormalize(emulator(x)))


class Stepper:
    history = 1

    def advance(self, x: torch.Tensor, past: torch.Tensor, _: object) -> torch.Tensor:
        return x + past[:, 0]


def test_a_stepper_is_projected():
    emulator, x = ForeignEmulator(Stepper(), "normalized", 1, PLAIN), torch.randn(3, 1, 32)  # type: ignore[arg-type]
    emulator.held = Held((32,), (10,), 10)
    found, _ = advance(emulator, x, x[:, None], torch.arange(3), None)  # type: ignore[arg-type]
    torch.testing.assert_close(found, projected(2 * x, emulator.held))
