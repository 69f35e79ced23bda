"""Fields as networks see them: x = (u − μ) / σ, with mean and deviation of each channel of the train split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["Normalization"]


@dataclass(frozen=True)
class Normalization:
    """Per-channel mean and standard deviation of the train split: x = (u − mean) / std."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Normalization:
        """What the card of a model, or the manifest of a train split, says; whole numbers may stand there."""
        return cls(*(tuple(map(float, values[name])) for name in ("mean", "std")))

    def tensors(self, dims: int) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation as [channel, 1, …] to broadcast over `dims` grid axes."""
        shape = (-1,) + (1,) * dims
        return torch.tensor(self.mean).reshape(shape), torch.tensor(self.std).reshape(shape)
