"""What a residual emulator is trained on: its own unrolled predictions.

    loss = Σ_m ‖F(x̂_m) − r_m‖² / N,   x̂_0 = x_0 + σ₀ξ,   x̂_{m+1} = x̂_m + F(x̂_m) + σξ

With the target *increment*, r_m = x_{m+1} − x_m is the true one whatever the state (Pedersen, Zanna, Bruna, arXiv
2503.18731 and its reference implementation); with *state*, r_m = x_{m+1} − x̂_m is what is missing, so that the emulator
learns to undo noise and errors (Sanchez-Gonzalez et al., arXiv 2002.09405). Gradients flow through the unrolled states,
or, with the pushforward trick (Brandstetter, Worrall, Welling, arXiv 2202.03376), through the last step alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from thermalize.config import EmulatorConfig, UnrollConfig
from thermalize.emulators.validation import HeldOut
from thermalize.training.data import Windows

__all__ = ["EmulatorObjective", "build", "unroll_length"]


def unroll_length(config: UnrollConfig, update: int) -> int:
    """`start` unrolled steps, one more every `grow_every` updates, up to `maximum`."""
    return min(config.maximum, config.start + update // config.grow_every)


class EmulatorObjective:
    """Unrolled loss on train windows; one-step and rollout error on held-out members."""

    monitor = "valid_rollout_error"

    def __init__(self, config: EmulatorConfig, train: Windows, valid: Windows, seed: int) -> None:
        self.config, self.train, self.seed = config, train, seed
        self.held_out = HeldOut(valid)

    def batch(self, update: int, generator: torch.Generator, share: slice) -> tuple[Tensor, ...]:
        """Windows [sample, unroll + 1, channel, *grid] and, where noise is wanted, as many unit draws as steps."""
        length, size = self._length(update), self.config.training.batch_size
        windows = self.train.batch(update, size, length + 1, self.seed, share)
        if not (self.config.noise or self.config.input_noise):
            return (windows,)
        draws = torch.randn((size, length, *windows.shape[2:]), generator=generator)[share]
        return windows, draws[: len(windows)].to(windows)

    def loss(self, model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        """Mean over samples and unrolled steps, so that its size does not jump when the unroll grows."""
        windows, length = batch[0], batch[0].shape[1] - 1
        state, errors = windows[:, 0], []
        for m in range(length):
            start = self._perturbed(state, batch, m)
            with torch.set_grad_enabled(torch.is_grad_enabled() and self._counts(m, length)):
                state = model(start).float()
            if self._counts(m, length):
                errors.append((state - start - self._increment(windows, start, m)).square().mean())
        return torch.stack(errors).mean()

    def validate(self, model: nn.Module) -> dict[str, float]:
        return self.held_out.errors(model)

    def describe(self, update: int) -> dict[str, float]:
        return {"unroll": self._length(update)}

    def origins(self, update: int) -> list[tuple[int, int]]:
        """Member and first frame of every sample of an update."""
        return self.train.origins(update, self.config.training.batch_size, self._length(update) + 1, self.seed)

    def _length(self, update: int) -> int:
        return unroll_length(self.config.unroll, update)

    def _counts(self, m: int, length: int) -> bool:
        return m == length - 1 or not self.config.pushforward

    def _perturbed(self, state: Tensor, batch: tuple[Tensor, ...], m: int) -> Tensor:
        scale = self.config.noise if m else self.config.input_noise
        return state + scale * batch[1][:, m] if scale else state

    def _increment(self, windows: Tensor, start: Tensor, m: int) -> Tensor:
        return windows[:, m + 1] - (windows[:, m] if self.config.target == "increment" else start)


def build(config: EmulatorConfig, train: Windows, valid: Windows, seed: int) -> EmulatorObjective:
    """The objective of these settings."""
    return EmulatorObjective(config, train, valid, seed)
