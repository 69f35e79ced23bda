"""Rollouts of one emulator on the CPU and on the device, from the same states with the same noise of every member.

A few steps must agree to round-off. Later on they are two samples of one chaotic system, so their statistics may be
apart as far as those of random halves of the members are: of the truth, or of the rollouts on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from gpu.learning import Config, Truth, trainer_of, truth_of
from gpu.networks import exact_float32
from gpu.report import Row, compared, measured
from gpu.running import CPU, Check, difference
from gpu.sizes import Flow
from gpu.stepping import rollout_of
from thermalize.config import (
    DiffusionConfig,
    EmulatorConfig,
    KuramotoSivashinskyConfig,
    NoStabilizerConfig,
    ThermalizerConfig,
    TrainingConfig,
    UNetConfig,
    UnrollConfig,
)
from thermalize.rollouts.engine import State

__all__ = ["rows"]

FEW = 3
EXACT, TF32 = 1e-4, 2e-2
"""Relative differences after a few steps: round-off of float32, and of factors of 10 bits."""
HALVES = 20
SHELLS = 7
"""Of the attractor for a period of 22, which hold its energy."""
FLOW = Flow("KS", KuramotoSivashinskyConfig(kind="ks", length=22.0, points=32), "etdrk4", 0.25, 0)
NETWORK = UNetConfig(width=16, multipliers=(1, 2), kernel_size=5)
WAYS = {
    "raw": NoStabilizerConfig(kind="none"),
    "thermalized": ThermalizerConfig(
        kind="thermalizer", start=5, trigger="every", sampler="ddim", reverse_steps=2, drift=None
    ),
}


def rows(check: Check) -> Iterator[Row]:
    members, steps, updates = check.size.sample
    truth = truth_of(check, FLOW, (members, steps, 400, 4))
    training = TrainingConfig(updates=updates, validate_every=updates, checkpoint_every=updates, precision="float32")
    emulator = EmulatorConfig(
        network=NETWORK, unroll=UnrollConfig(start=1, maximum=2, grow_every=200), training=training
    )
    diffusion = DiffusionConfig(network=NETWORK, train_levels=100, training=training)
    models = [_learned(check, config, truth) for config in (emulator, diffusion)]
    reference = Check(CPU, check.size, check.clock, check.folder)
    for label, config in WAYS.items():

        def both(count: int, config: object = config) -> tuple[Tensor, Tensor]:
            return tuple(where.fetch(_frames(where, config, truth, models, count)) for where in (check, reference))

        with exact_float32():
            yield compared(f"{label}: {FEW} steps, float32", difference(*both(FEW)), EXACT, "round-off")
        if check.cuda:
            reason = "the default of PyTorch"
            yield compared(f"{label}: {FEW} steps, float32 with TF32", difference(*both(FEW)), TF32, reason)
        yield from _statistics(label, *both(steps), truth)


def _frames(check: Check, config: object, truth: Truth, models: list[nn.Module], count: int) -> Tensor:
    """Of a rollout of so many steps from the first states of the truth, [member, step, channel, x], normalised."""
    start = truth.normalised()[:, 0].to(check.device)
    return rollout_of(check, config, truth, models).advance(State(start), count).x


def _learned(check: Check, config: Config, truth: Truth) -> nn.Module:
    trainer = trainer_of(config, truth, check.device, check.folder / "sampling" / type(config).__name__)
    trainer.run()
    return trainer.model.eval()


def _statistics(label: str, found: Tensor, expected: Tensor, truth: Truth) -> Iterator[Row]:
    """Of frames [member, step, channel, x]; members that were lost hold NaN."""
    yield measured(f"{label}: members lost, device and CPU", f"{_lost(found)}, {_lost(expected)}")
    found, expected = _healthy(found), _healthy(expected)
    for what, statistic in STATISTICS.items():
        apart = _halves(expected, statistic)
        true = _halves(truth.normalised().double(), statistic)
        yield measured(f"{label}: {what}, random halves of the truth", true)
        reason = f"the largest distance of {HALVES} pairs of random halves, of the truth or of the CPU's rollouts"
        yield compared(
            f"{label}: {what}, device and CPU", _distance(found, expected, statistic), max(apart, true), reason
        )


def _lost(x: Tensor) -> int:
    return int((~torch.isfinite(x).flatten(1).all(1)).sum())


def _healthy(x: Tensor) -> Tensor:
    return x[torch.isfinite(x).flatten(1).all(1)]


Statistic = Callable[[Tensor], Tensor]


def _distance(a: Tensor, b: Tensor, statistic: Statistic) -> float:
    if not (len(a) and len(b)):
        return float("inf")
    return float((statistic(a) - statistic(b)).square().mean().sqrt())


def _halves(x: Tensor, statistic: Statistic) -> float:
    """The largest distance between random halves of the members."""
    random = np.random.default_rng(0)
    orders = [torch.from_numpy(random.permutation(len(x))) for _ in range(HALVES)]
    middle = len(x) // 2
    return max(_distance(x[order[:middle]], x[order[middle:]], statistic) for order in orders)


def _spectrum(x: Tensor) -> Tensor:
    """Logarithm of the energy of the shells that hold the energy."""
    energy = torch.fft.rfft(x).abs().square().mean((0, 1, 2))[1:]
    return energy[:SHELLS].clamp(min=1e-30).log()


def _quantiles(x: Tensor) -> Tensor:
    """Of all values, in standard deviations."""
    return torch.quantile(x[:, :: max(1, x.shape[1] // 50)].flatten(), torch.linspace(0.05, 0.95, 19, dtype=x.dtype))


STATISTICS: dict[str, Statistic] = {
    "logarithm of the spectrum": _spectrum,
    "distribution of values": _quantiles,
}
