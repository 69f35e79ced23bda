"""What every network offers: a map of fields in two parts, so that a noise level can be read after the first.

F(x) = decode(encode(x)),      level = head(encode(x)[-1])
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

__all__ = ["Network", "run", "zero"]


class Network(nn.Module, ABC):
    """[batch, inputs, *grid] → [batch, outputs, *grid].

    Attributes:
        features: channels of the last feature map, which a level head sees.
        config: the configuration it was built from; with `dims`, `inputs` and `outputs` it makes another of its kind.
    """

    features: int

    def __init__(self, dims: int, inputs: int, outputs: int, config: Any) -> None:
        super().__init__()
        self.dims, self.inputs, self.outputs, self.config = dims, inputs, outputs, config

    @abstractmethod
    def encode(self, x: Tensor) -> list[Tensor]:
        """[batch, inputs, *grid] → feature maps; the last one is [batch, features, *coarse grid]."""

    @abstractmethod
    def decode(self, features: list[Tensor]) -> Tensor:
        """Feature maps → [batch, outputs, *grid]."""

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def through(self, blocks: Iterable[nn.Module], h: Tensor) -> Tensor:
        """One block after the other."""
        for block in blocks:
            h = run(block, h, checkpointing=self.config.checkpointing)
        return h


def run(part: nn.Module, *inputs: Tensor, checkpointing: bool) -> Tensor:
    """part(*inputs); with checkpointing a training keeps the inputs alone and computes the rest again for gradients."""
    if checkpointing and part.training and torch.is_grad_enabled():
        result: Tensor = checkpoint(part, *inputs, use_reentrant=False)
        return result
    return part(*inputs)


def zero(part: nn.Module) -> nn.Module:
    """The same part with all weights zero: what it feeds starts without it."""
    for parameter in part.parameters():
        nn.init.zeros_(parameter)
    return part
