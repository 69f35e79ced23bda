"""Small networks on top of the features of another."""

from __future__ import annotations

from torch import Tensor, cat, nn

__all__ = ["LevelHead"]


class LevelHead(nn.Module):
    """Logits of the noise level from bottleneck features: pooled over the grid, so invariant to shifts.

    [batch, features, *grid] → [batch, levels]
    """

    def __init__(self, features: int, levels: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2 * features, 2 * features), nn.GELU(), nn.Linear(2 * features, levels))

    def forward(self, features: Tensor) -> Tensor:
        flat = features.flatten(2)
        mean, variance = flat.mean(-1), flat.var(-1, correction=0)
        return self.net(cat((mean, (variance + 1e-12).log()), dim=1))
