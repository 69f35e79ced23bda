"""Mean and standard deviation per channel of data that comes in pieces and is merged in a fixed order.

Of two samples with counts n_a, n_b, means μ_a, μ_b and sums of squared deviations S_a, S_b the union has, with
δ = μ_b − μ_a,

    n = n_a + n_b,   μ = μ_a + δ n_b / n,   S = S_a + S_b + δ² n_a n_b / n

so that nothing is lost to cancellation when the mean is large against the deviation.

References:
    Chan, Golub & LeVeque, Am. Stat. 37 (1983) 242.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Moments"]


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared deviations of each channel, in double precision; empty to begin with."""

    count: int = 0
    mean: np.ndarray | float = 0.0
    squares: np.ndarray | float = 0.0

    @classmethod
    def of(cls, values: np.ndarray) -> Moments:
        """Of values [sample, channel, …]."""
        axes = (0, *range(2, values.ndim))
        x = values.astype(np.float64)
        mean = x.mean(axes, keepdims=True)
        return cls(x.size // x.shape[1], mean.ravel(), np.square(x - mean).sum(axes))

    def merge(self, other: Moments) -> Moments:
        """Of both samples together."""
        if not self.count:
            return other
        count = self.count + other.count
        shift = other.mean - self.mean
        return Moments(
            count,
            self.mean + shift * (other.count / count),
            self.squares + other.squares + shift**2 * (self.count * other.count / count),
        )

    def statistics(self) -> dict[str, list[float]]:
        """{"mean": [channel], "std": [channel]}, the population standard deviation."""
        std = np.sqrt(np.asarray(self.squares) / self.count)
        return {"mean": np.ravel(self.mean).tolist(), "std": np.ravel(std).tolist()}

    def to_json(self) -> dict[str, Any]:
        return {"count": self.count, "mean": np.ravel(self.mean).tolist(), "squares": np.ravel(self.squares).tolist()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Moments:
        """What `to_json` gave; a ValueError, KeyError or TypeError where it cannot have."""
        count, mean, squares = values["count"], np.asarray(values["mean"]), np.asarray(values["squares"])
        if type(count) is not int or count < 1 or not mean.dtype == squares.dtype == np.float64:
            raise ValueError("no moments of a sample")
        if mean.shape != squares.shape or mean.ndim != 1 or not np.isfinite([mean, squares]).all() or squares.min() < 0:
            raise ValueError("no moments of a sample")
        return cls(count, mean, squares)
