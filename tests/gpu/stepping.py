"""A rollout step at the published size: the emulator alone, under a noise level's eye, thermalized, and with control.

Networks that have learned next to nothing trigger at random. So what is timed here does not depend on what they see:
`looks` looks and never finds anything, `thermalized` takes everyone from level 10 to 4 at every step.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from gpu.learning import Truth, model_of, truth_of
from gpu.report import Row, judged, measured, not_run
from gpu.running import Check
from thermalize.config import DriftConfig, NoStabilizerConfig, ThermalizerConfig
from thermalize.diffusion import schedule as schedules
from thermalize.diffusion.trained import TrainedDiffusion
from thermalize.rollouts.engine import Rollout, State
from thermalize.runtime.members import member_keys
from thermalize.stabilizers.base import Inputs
from thermalize.stabilizers.build import build
from thermalize.stabilizers.drift import band_energies

__all__ = ["rollout_of", "rows"]

START, STOP = 10, 4
LOST_ABOVE = 10.0
EVALUATIONS = START - STOP
"""Reverse steps of ddpm from one level to the other."""
SYNCHRONIZES = "called a synchronizing CUDA operation"


def rows(check: Check) -> Iterator[Row]:
    truth = truth_of(check, check.size.data, check.size.windows)
    start = truth.normalised()[: check.size.members, -1].to(check.device)
    everyone = {"kind": "thermalizer", "start": START, "stop": STOP, "trigger": "every"}
    top = check.size.diffusion.train_levels - 2
    ways = {
        "raw": NoStabilizerConfig(kind="none"),
        "looks": ThermalizerConfig(kind="thermalizer", start=top, stop=STOP, drift=None),
        "thermalized": ThermalizerConfig(**everyone, drift=None),
        "controlled": ThermalizerConfig(**everyone, drift=DriftConfig()),
    }
    base = 0.0
    for label, config in ways.items():
        run = rollout_of(check, config, truth)
        check.forget()
        seconds = (
            check.seconds(lambda run=run: run.advance(State(start.clone()), check.size.steps), 3) / check.size.steps
        )
        base = base or seconds
        yield measured(f"{label}: a step of {len(start)} members", 1e3 * seconds, "ms")
        yield measured(f"{label}: of a raw step", seconds / base, "times")
        yield check.memory(f"{label}: memory")
        yield _did(check, label, run, start)
        yield _synchronizations(check, label, run, start)


def rollout_of(check: Check, config: object, truth: Truth, models: list[nn.Module] | None = None) -> Rollout:
    """Under the stabilizer that the settings name; models as they are before a training unless there are others."""
    emulator, denoiser = models or [model_of(c, truth) for c in (check.size.emulator, check.size.diffusion)]
    diffusion = TrainedDiffusion(
        denoiser.to(check.device).eval(),  # type: ignore[arg-type]
        schedules.build(check.size.diffusion.schedule),
        {"clean_level_counts": [1], "clean_noise_rms": 1.0},
    )
    stabilizer = build(config, Inputs(diffusion, bands=lambda: band_energies(truth.normalised())))  # type: ignore[arg-type]
    keys = member_keys(0, 0, len(truth.values))
    return Rollout(emulator.to(check.device).eval(), stabilizer, keys, LOST_ABOVE)


def _did(check: Check, label: str, run: Rollout, start: Tensor) -> Row:
    """Everyone is thermalized as often as expected, and every state is finite."""
    state = State(start.clone())
    chunk = run.advance(state, 2)
    expected = 2 * len(start) * (EVALUATIONS if label in ("thermalized", "controlled") else 0)
    found = int(sum(values.sum() for name, values in chunk.record.items() if name == "reverse_steps"))
    finite = bool(torch.isfinite(check.fetch(chunk.x)).all())
    reason = f"{expected} evaluations for 2 steps of {len(start)} members, and finite states"
    return judged(f"{label}: network evaluations for denoising", found == expected and finite, reason, found)


def _synchronizations(check: Check, label: str, run: Rollout, start: Tensor) -> Row:
    """How often a step waits for the GPU."""
    what = f"{label}: times that a step waits for the GPU"
    if not check.cuda:
        return not_run(what, "the device is a CPU")
    state, steps = State(start.clone()), 3
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            run.advance(state, steps)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return measured(what, sum(SYNCHRONIZES in str(each.message) for each in said) / steps)
