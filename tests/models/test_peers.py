"""Our Fourier layers against neuraloperator's, with the same weights."""

from __future__ import annotations

import pytest
import torch
from networks import state

from thermalize.models.fno import SpectralConvolution

pytestmark = pytest.mark.peers


@pytest.fixture
def peer() -> type:
    return pytest.importorskip("neuralop.layers.spectral_convolution").SpectralConv


@pytest.mark.parametrize("modes", [1, 4, 6])
@pytest.mark.parametrize("grid", [(15,), (16,), (16, 20), (16, 19)])
@pytest.mark.filterwarnings("ignore")  # neuraloperator's own, on being imported
def test_spectral_convolution(peer: type, modes: int, grid: tuple[int, ...]) -> None:
    """It counts 2·modes − 1 wavenumbers of both signs along y and 2·modes − 2 along x, centred along y.

    Odd numbers of rows are left out: 2.0.0 undoes the centring by the same shift again, which is wrong for them.
    """
    dims = len(grid)
    ours = SpectralConvolution(("periodic",) * dims, 3, 5, modes)
    theirs = peer(3, 5, (2 * modes - 1,) * (dims - 1) + (2 * modes - 2,), bias=False)
    weight = torch.view_as_complex(ours.weight.detach())
    theirs.weight.tensor.data.copy_(torch.fft.fftshift(weight, dim=2) if dims == 2 else weight)
    x = state(2, 3, *grid).float()
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
