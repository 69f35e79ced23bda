"""What costs nothing: projection on the truth's wavenumbers, and a cap on the energy of every mode."""

from __future__ import annotations

import torch

from thermalize.config import CapConfig, ProjectionConfig
from thermalize.emulators.projection import Held, projected
from thermalize.runtime.members import MemberNoise, member_keys
from thermalize.stabilizers.bands import band_energies, shells
from thermalize.stabilizers.base import Inputs, Stabilized
from thermalize.stabilizers.build import build

GRID = (16, 16)
HELD = Held(GRID, (5, 5), 7)


def truth() -> torch.Tensor:
    x = torch.randn((4, 50, 2, *GRID), generator=torch.Generator().manual_seed(1))
    return projected(x, HELD)


def stabilised(config: CapConfig | ProjectionConfig, x: torch.Tensor) -> Stabilized:
    stabilizer = build(config, Inputs(bands=lambda: band_energies(truth(), HELD)))
    rows = torch.arange(len(x))
    return stabilizer(x, 1, rows, MemberNoise(member_keys(0, 0, len(x)), 1), stabilizer.memory(len(x)))


def spectrum(x: torch.Tensor) -> torch.Tensor:
    return torch.fft.rfftn(x.double(), dim=(-2, -1)).abs().square()


def test_projection_keeps_what_the_truth_holds():
    x = torch.randn(3, 2, *GRID)
    found = stabilised(ProjectionConfig(kind="projection"), x)
    torch.testing.assert_close(found.x, projected(x, HELD))
    assert not found.lost.any()


def test_no_mode_above_the_shell_has_more_than_its_share():
    x = 3 * torch.randn(5, 2, *GRID)
    found = stabilised(CapConfig(kind="cap", factor=2.0, above=3), x)
    most, free = 2.0 * band_energies(truth()).modes, shells(GRID) <= 3
    before, after = spectrum(x), spectrum(found.x)
    assert (after[..., ~free] <= 1.0001 * most[..., ~free] + 1e-6).all()
    torch.testing.assert_close(after[..., free], before[..., free], rtol=1e-4, atol=1e-4)
    capped = (before > most) & ~free
    assert found.record["capped"].tolist() == capped.flatten(1).sum(1).tolist()
    below = ~capped & ~free
    torch.testing.assert_close(after[below], before[below], rtol=1e-3, atol=1e-3)


def test_phases_stay_and_a_state_below_the_cap_keeps_its_bits():
    x = truth()[0, :3]
    loose = stabilised(CapConfig(kind="cap", factor=1e6), x)
    assert torch.equal(loose.x, x)
    assert loose.record["capped"].tolist() == [0, 0, 0]
    tight = torch.fft.rfftn(stabilised(CapConfig(kind="cap", factor=0.1, above=0), x).x.double(), dim=(-2, -1))
    before = torch.fft.rfftn(x.double(), dim=(-2, -1))
    seen = tight.abs() > 1e-2
    torch.testing.assert_close((tight / before)[seen].imag, torch.zeros(int(seen.sum())).double(), atol=1e-3, rtol=0)


def test_members_do_not_depend_on_their_batch():
    x = 3 * torch.randn(4, 2, *GRID)
    config = CapConfig(kind="cap")
    torch.testing.assert_close(stabilised(config, x[2:3]).x, stabilised(config, x).x[2:3], rtol=0, atol=1e-5)


def test_the_share_of_true_modes_above_the_cap_is_that_of_the_exponential():
    """e^-c of the modes of a Gaussian field."""
    x = torch.randn((4, 50, 1, *GRID), generator=torch.Generator().manual_seed(2))
    cap = build(CapConfig(kind="cap", factor=2.0, above=0), Inputs(bands=lambda: band_energies(x)))
    states = x.flatten(0, 1)
    found = cap(states, 1, torch.arange(200), MemberNoise(member_keys(0, 0, 200), 1), {})
    share = float(found.record["capped"].double().mean()) / shells(GRID).numel()
    assert abs(share - 0.1353) < 0.02
