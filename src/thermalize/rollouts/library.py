"""Thermalization for people who have their own loop: two calls that need neither workflow nor configuration.

    emulator = thermalize.load_emulator("results/demo/emulators/unet")
    denoiser = thermalize.load_diffusion("results/demo/diffusion/unet")
    thermalizer = thermalize.Thermalizer(denoiser, start=3)

    x = thermalizer(emulator(x), generator)                                  # one step of a loop of your own
    run = thermalize.rollout(emulator, x0, steps=1000, stabilizer=thermalizer)   # or ours

All states are normalised, x = (u − mean)/std [batch, channel, *grid], as `emulator.normalize(u)` gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from thermalize.config import ThermalizerConfig
from thermalize.diffusion.trained import TrainedDiffusion
from thermalize.emulators.base import Emulator
from thermalize.rollouts.engine import Rollout, State
from thermalize.runtime.errors import UserError
from thermalize.runtime.members import member_keys
from thermalize.stabilizers.base import Inputs, Stabilizer
from thermalize.stabilizers.build import build
from thermalize.stabilizers.raw import Raw
from thermalize.stabilizers.triggers import NOT_LOOKED_AT

__all__ = ["Thermalizer", "Trajectory", "rollout"]


@dataclass(frozen=True)
class Generated:
    """Draws of a torch generator, in order."""

    generator: torch.Generator | None

    def draw(self, rows: Tensor, like: Tensor) -> Tensor:  # noqa: ARG002
        device = "cpu" if self.generator is None else self.generator.device
        return torch.randn(like.shape, generator=self.generator, dtype=like.dtype, device=device).to(like.device)


class Thermalizer:
    """Denoises the states whose noise level exceeds `start` down to `stop` (Pedersen, Zanna, Bruna, arXiv 2503.18731).

    Args:
        denoiser: as `thermalize.load_diffusion` gives it.
        start: noise level, or "auto" for the one that hardly any true state exceeds.
        stop: noise level, "clean" for none, or "auto".
        sampler: "ddpm", "ddim", "dpm2m" or "mean", with at most `reverse_steps` network evaluations and, of ddim, the
            share `eta` of fresh noise.
        forward_noise: noise a state to its level before denoising it.
        conserve_mean: give a thermalized state the domain mean that it had.

    Raises:
        pydantic.ValidationError: a setting is out of bounds, or does not fit another.
    """

    def __init__(
        self,
        denoiser: TrainedDiffusion,
        start: int | Literal["auto"] = "auto",
        stop: int | Literal["auto", "clean"] = "clean",
        *,
        sampler: Literal["ddpm", "ddim", "dpm2m", "mean"] = "ddpm",
        reverse_steps: int | None = None,
        eta: float | None = None,
        forward_noise: bool = True,
        conserve_mean: bool = True,
    ) -> None:
        config = ThermalizerConfig(
            kind="thermalizer",
            start=start,
            stop=stop,
            sampler=sampler,
            reverse_steps=reverse_steps,
            eta=eta,
            forward_noise=forward_noise,
            conserve_mean=conserve_mean,
            drift=None,
        )
        self.stabilizer = build(config, Inputs(denoiser))

    @torch.inference_mode()
    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """x [batch, channel, *grid] with those states thermalized that need it, by draws of `generator`."""
        return self.stabilizer(x, 0, torch.arange(len(x)), Generated(generator), {}).x


@dataclass(frozen=True)
class Trajectory:
    """x [member, steps + 1, channel, *grid] from the initial condition on, normalised, and what emulator and stabilizer
    recorded by the name of the series, each [member, steps]. `lost_step` [member] is −1 for members that were never
    lost; the states of others are NaN from that step on.
    """

    x: Tensor
    record: Mapping[str, Tensor]
    lost_step: np.ndarray

    @property
    def level(self) -> Tensor:
        """Noise level that was seen [member, steps], −1 where nobody looked."""
        return self.record.get("level", torch.full((len(self.x), self.x.shape[1] - 1), NOT_LOOKED_AT))

    @property
    def reverse_steps(self) -> Tensor:
        """Network evaluations of denoising [member, steps]."""
        return self.record.get("reverse_steps", torch.zeros_like(self.level))


def rollout(
    emulator: Callable[[Tensor], Tensor],
    x0: Tensor,
    steps: int,
    stabilizer: Thermalizer | Stabilizer | None = None,
    *,
    seed: int = 0,
    lost_above: float = 30.0,
    past: Tensor | None = None,
) -> Trajectory:
    """Runs `emulator` (normalised state → next state) from x0 [member, channel, *grid], stabilised after every step.

    Every member draws its noise from a stream of its own, given by `seed`: alone or in a batch, it takes the same path.
    A member that is not finite or exceeds `lost_above` standard deviations is lost, and the others go on without it.
    An emulator that reads earlier frames is given those before x0 as `past` [member, history, channel, *grid].
    All frames are held in memory; the workflow streams them to a store instead.

    Raises:
        UserError: `past` does not hold as many frames as the emulator reads.
    """
    chosen = stabilizer.stabilizer if isinstance(stabilizer, Thermalizer) else stabilizer or Raw()
    state = State(x0.clone()) if past is None else State(x0.clone(), past=past.clone())
    history = emulator.history if isinstance(emulator, Emulator) else 0
    if state.past.shape != (expected := (len(x0), history, *x0.shape[1:])):
        raise UserError(f"this emulator reads {history} earlier frames: give `past` of shape {tuple(expected)}")
    segment = Rollout(emulator, chosen, member_keys(0, seed, len(x0)), lost_above).advance(state, steps)
    x = torch.cat((x0[:, None], segment.x), dim=1)
    return Trajectory(x, segment.record, state.lost_step)
