"""A Fourier neural operator that enlarges no difference, and the linear maps that it is made of.

Pointwise linear maps of channels that enlarge nothing: W / max(1, ‖W‖₂) in place of W.

In training ‖W‖₂ is the estimate lᵀW r of three power iterations per forward pass, whose vector l is kept; where
training pushes W against the bound it is 1 to 3 % too small (2 to 7 % with one iteration). ``eval()`` measures it
exactly, so that evaluation is deterministic and the bound holds. Unlike spectral normalisation (Miyato et al., arXiv
1802.05957), which divides by ‖W‖₂, small maps stay small.

Fourier neural operator whose layers are bounded, 1-D or 2-D.

    h ← √(W/C) A x [+ P],    h ← (1 − σ(γ)) B(D s(E h)) + σ(γ) h for every layer,    F = A′ h / √(W/C′)

    B h = M ψ(h),    (ψ h)^(k) = σ(m_k) e^{iφ_k} ĥ(k) channel by channel for |k_j| ≤ ratio · n_j/2, zero beyond

A, D, E, M, A′ mix the channels of one grid point and never enlarge (`clamped`), |σ(m)| < 1, s is SiLU, and each layer
is a convex combination. The slope of s is at most 1.0999, hence ‖F(x) − F(y)‖ ≤ 1.1^layers √(C′/C) ‖x − y‖ for C
channels in and C′ out. The cut holds in training and evaluation alike. P, functions of position with as many
wavenumbers, is left out unless asked for: without it every shift on a torus commutes with F. Starts as the zero map.

After the stabilised neural operators of McCabe et al., arXiv 2306.10619.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, conv2d, normalize, silu

from thermalize.config.networks import Edge, StableFNOConfig
from thermalize.models.base import Network, run, zero
from thermalize.models.spectral import analyse, lowest, precise, select, synthesise, table, transformed

__all__ = ["BoundedFilter", "ClampedMix", "StableFNO", "StableLayer", "mixed"]

ITERATIONS, WARM_UP = 3, 10
APPLY = {1: conv1d, 2: conv2d}


class ClampedMix(nn.Module):
    """[batch, inputs, *grid] → [batch, outputs, *grid]; starts with all singular values one."""

    left: Tensor
    norm: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.orthogonal_(torch.empty(outputs, inputs)))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("left", normalize(torch.randn(outputs), dim=0))
        self.register_buffer("norm", torch.ones(()))
        for _ in range(WARM_UP):
            self._estimate()

    def matrix(self) -> Tensor:
        """W / max(1, ‖W‖₂), [outputs, inputs]; in training each call moves the estimate of ‖W‖₂ on."""
        with torch.autocast(self.weight.device.type, enabled=False):
            return self.weight / (self._estimate() if self.training else self.norm).clamp(min=1)

    def forward(self, h: Tensor) -> Tensor:
        return mixed(h, self.matrix(), self.bias)

    def train(self, mode: bool = True) -> ClampedMix:
        super().train(mode)
        if not mode:
            exact = torch.linalg.matrix_norm(self.weight.detach().cpu().double(), 2)
            self.norm.copy_(exact)
        return self

    def _estimate(self) -> Tensor:
        weight, left = self.weight.detach(), self.left.clone()
        for _ in range(ITERATIONS):
            right = normalize(weight.T @ left, dim=0)
            image = weight @ right
            size = image.norm()
            left = torch.where(size > 0, image / size, left)  # of W = 0 any vector is as good as another
        self.left.copy_(left)
        return left @ (self.weight @ right)


def mixed(h: Tensor, matrix: Tensor, bias: Tensor | None = None) -> Tensor:
    """The channels of every grid point under `matrix`."""
    dims = h.ndim - 2
    return APPLY[dims](h, matrix[(..., *(None,) * dims)], bias)


INITIAL_MODULUS = 3.0  # σ(3) = 0.95


class BoundedFilter(nn.Module):
    """ψ: [batch, width, *grid] → the same shape, one multiplier of modulus below one per channel and wavenumber."""

    def __init__(self, edges: tuple[Edge, ...], width: int, modes: int, ratio: float, padding: float = 0.0) -> None:
        super().__init__()
        self.edges, self.modes, self.ratio, self.padding = edges, modes, ratio, padding
        shape = (width, *table(len(edges), modes))
        self.modulus = nn.Parameter(torch.full(shape, INITIAL_MODULUS))
        self.phase = nn.Parameter(torch.zeros(shape))

    def forward(self, h: Tensor) -> Tensor:
        return transformed(h, self.edges, self.padding, self._multiply)

    def _multiply(self, h: Tensor) -> Tensor:
        grid = tuple(h.shape[2:])
        counts = lowest(self.modes, grid, self.ratio)
        multipliers = torch.polar(self.modulus.sigmoid(), self.phase)
        return synthesise(analyse(h, counts) * select(multipliers, counts, 1), grid)


class StableLayer(nn.Module):
    """(1 − σ(γ)) M ψ(D s(E h)) + σ(γ) h: [batch, width, *grid] → the same shape."""

    def __init__(self, edges: tuple[Edge, ...], config: StableFNOConfig) -> None:
        super().__init__()
        width, inner = config.width, config.width * config.expansion
        self.expand, self.contract, self.mix = (
            ClampedMix(width, inner),
            ClampedMix(inner, width),
            ClampedMix(width, width),
        )
        self.filter = BoundedFilter(edges, width, config.modes, config.ratio, config.padding)
        self.gate = nn.Parameter(torch.zeros(()))

    def matrices(self) -> tuple[Tensor, Tensor, Tensor]:
        """E, D, M: apart from `forward`, which a checkpointed training repeats."""
        return self.expand.matrix(), self.contract.matrix(), self.mix.matrix()

    def forward(self, h: Tensor, *matrices: Tensor) -> Tensor:
        expand, contract, mix = matrices
        inner = mixed(silu(mixed(h, expand, self.expand.bias)), contract, self.contract.bias)
        share = self.gate.sigmoid()
        return (1 - share) * mixed(self.filter(inner), mix, self.mix.bias) + share * h


class StableFNO(Network):
    """The first half of the layers encodes, the second decodes."""

    def __init__(self, dims: int, inputs: int, outputs: int, config: StableFNOConfig) -> None:
        super().__init__(dims, inputs, outputs, config)
        self.lift = ClampedMix(inputs, config.width)
        self.blocks = nn.ModuleList(StableLayer(config.edges(dims), config) for _ in range(config.blocks))
        self.project = zero(ClampedMix(config.width, outputs))
        if config.position:
            self.position = nn.Parameter(torch.zeros(config.width, *table(dims, config.modes), 2))
        self.features, self.middle = config.width, (config.blocks + 1) // 2

    def encode(self, x: Tensor) -> list[Tensor]:
        h = self.lift(x) * (self.config.width / self.inputs) ** 0.5
        if self.config.position:
            h = h + self._position(tuple(x.shape[2:])).to(h.dtype)
        return [self._through(slice(self.middle), h)]

    def decode(self, features: list[Tensor]) -> Tensor:
        h = self._through(slice(self.middle, None), features[-1])
        return self.project(h) / (self.config.width / self.outputs) ** 0.5

    def _through(self, part: slice, h: Tensor) -> Tensor:
        for block in self.blocks[part]:
            assert isinstance(block, StableLayer)
            h = run(block, h, *block.matrices(), checkpointing=self.config.checkpointing)
        return h

    def _position(self, grid: tuple[int, ...]) -> Tensor:
        """P [width, *grid]."""
        counts = lowest(self.config.modes, grid, self.config.ratio)
        return synthesise(select(torch.view_as_complex(precise(self.position)), counts, 1), grid)
