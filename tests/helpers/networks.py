"""What the tests of networks share: one small network of every kind, random weights, random states."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

from thermalize.config import DilatedResNetConfig, FNOConfig, NetworkConfig, StableFNOConfig, UNetConfig

__all__ = ["SMALL", "state", "stirred"]

M = TypeVar("M", bound=nn.Module)

SMALL: dict[str, NetworkConfig] = {
    "unet": UNetConfig(width=6, multipliers=(1, 2, 4), kernel_size=3),
    "unet-attention": UNetConfig(width=6, multipliers=(1, 2, 4), kernel_size=3, norm="group", attention=True),
    "drn": DilatedResNetConfig(kind="drn", width=6, blocks=2, dilations=(1, 2, 4, 1)),
    "fno": FNOConfig(kind="fno", width=6, modes=5, blocks=3),
    "stable_fno": StableFNOConfig(kind="stable_fno", width=6, modes=5, blocks=3),
}


def stirred(module: M, scale: float = 0.2, seed: int = 1) -> M:
    """Random weights everywhere, also where training starts from zero; double precision, evaluation."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    return module.double().eval()


def state(*shape: int, seed: int = 2) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
