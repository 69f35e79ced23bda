"""Residual emulator of one frame interval and its unrolled loss.

    x_{t+1} = x_t + F(x_t),      x = (u − mean) / std

    loss = Σ_m ‖F(x̂_m) − (x_{m+1} − x_m)‖² / N,   x̂_0 = x_0,   x̂_{m+1} = x̂_m + F(x̂_m) + σξ

Where the equation conserves the domain mean, ⟨F⟩ = 0 is built in: a drift of the mean is invisible to a noise level.
The target is the *true* residual, gradients flow through the unrolled states, and noise σξ enters from the second
unrolled step on (Pedersen, Zanna, Bruna, arXiv 2503.18731 and its reference implementation).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from thermalize.config import EmulatorConfig, UnrollConfig
from thermalize.models.unet import UNet
from thermalize.training.data import EpochOrder, Normalization, Trajectories

__all__ = ["EmulatorObjective", "ResidualEmulator", "unroll_length"]

VALIDATION_WINDOWS = 256
VALIDATION_ROLLOUT = 20


class ResidualEmulator(nn.Module):
    """x → x + F(x) in normalised units; `step` does the same in physical units."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: EmulatorConfig, dims: int, channels: int, normalization: Normalization) -> None:
        super().__init__()
        self.network = UNet(dims, channels, channels, config.network)
        self.conserve_mean = config.conserve_mean
        mean, std = normalization.tensors(dims)
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def residual(self, x: Tensor) -> Tensor:
        """F(x) of the normalised state [batch, channel, *grid]."""
        increment = self.network(x)
        return increment - increment.mean(tuple(range(2, x.ndim)), keepdim=True) if self.conserve_mean else increment

    def forward(self, x: Tensor) -> Tensor:
        return x + self.residual(x)

    def step(self, u: Tensor) -> Tensor:
        """The state [batch, channel, *grid] one frame interval later, in physical units."""
        return self.forward(self.normalize(u)) * self.std + self.mean

    def normalize(self, u: Tensor) -> Tensor:
        """x = (u − mean) / std of physical states [..., channel, *grid]."""
        return (u - self.mean.to(u.device)) / self.std.to(u.device)


def unroll_length(config: UnrollConfig, update: int) -> int:
    """`start` unrolled steps, one more every `grow_every` updates, up to `maximum`."""
    return min(config.maximum, config.start + update // config.grow_every)


class EmulatorObjective:
    """Unrolled loss on train windows; one-step and rollout error on held-out members."""

    def __init__(self, config: EmulatorConfig, train: Trajectories, valid: Trajectories, seed: int) -> None:
        self.config, self.train, self.valid, self.seed = config, train, valid, seed

    def loss(self, model: nn.Module, update: int, generator: torch.Generator) -> Tensor:
        """Mean over the unrolled steps, so that its size does not jump when the unroll grows."""
        length = unroll_length(self.config.unroll, update)
        order = EpochOrder(self.train.count(length + 1), self.config.training.batch_size, self.seed)
        window = self.train.windows(order.batch(update), length + 1)
        state, total = window[:, 0], torch.zeros((), device=window.device)
        for m in range(length):
            following = model(state).float()
            total = total + ((following - state) - (window[:, m + 1] - window[:, m])).square().mean()
            state = following
            if self.config.noise:
                state = state + self.config.noise * torch.randn(state.shape, generator=generator).to(state)
        return total / length

    def validate(self, model: nn.Module) -> dict[str, float]:
        pairs = self.valid.spread(VALIDATION_WINDOWS, 2)
        one_step = (model(pairs[:, 0]) - pairs[:, 1]).square().mean()
        longest = min(VALIDATION_ROLLOUT + 1, self.valid.values.shape[1])
        window = self.valid.spread(VALIDATION_WINDOWS // 8, longest)
        state = window[:, 0]
        for _ in range(longest - 1):
            state = model(state)
        return {
            "valid_loss": float(one_step),
            "valid_rollout_error": float((state - window[:, -1]).square().mean().sqrt()),
        }

    def describe(self, update: int) -> dict[str, float]:
        return {"unroll": unroll_length(self.config.unroll, update)}
