"""What the level head and the denoiser do to held-out truth, and the thresholds that follow.

* reliability: predicted against true noise level on noised held-out states;
* false triggers: the distribution of the predicted level on clean held-out states. `start: auto` is the lowest level
  that at most a share α of them exceeds;
* displacement: one denoising jump from level s to clean moves a clean held-out state by √(1−ᾱ_s)/√ᾱ_s · rms ε̂.
  `stop: auto` is the highest level from which that stays below the finest noise of the schedule, √(1−ᾱ_0), or clean
  if there is none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from thermalize.diffusion.denoiser import Denoiser
from thermalize.diffusion.schedule import CLEAN, Schedule

__all__ = ["auto_start", "auto_stop", "calibrate"]

LEVELS_SHOWN = 40
LOWEST_SHOWN = 16  # every one of the levels at which thermalization works
BAND = (0.05, 0.95)
BATCH = 256


@torch.inference_mode()
def calibrate(model: Denoiser, schedule: Schedule, truth: Tensor, levels: int, seed: int) -> dict[str, Any]:
    """Calibration of `model` on clean held-out states `truth` [state, channel, *grid] for the model's card."""
    generator = torch.Generator().manual_seed(seed)
    clean = torch.cat([model.level(x) for x in truth.split(BATCH)]).cpu()
    epsilon = torch.cat([model.noise(x, torch.zeros(len(x), dtype=torch.long)) for x in truth.split(BATCH)])
    coarse = np.linspace(0, levels - 1, min(levels, LEVELS_SHOWN)).round().astype(int)
    shown = np.union1d(np.arange(min(levels, LOWEST_SHOWN)), coarse)
    predicted = [_predicted(model, schedule, truth, int(level), generator) for level in shown]
    return {
        "level": shown.tolist(),
        "predicted_mean": [float(p.mean()) for p in predicted],
        "predicted_low": [float(np.quantile(p, BAND[0])) for p in predicted],
        "predicted_high": [float(np.quantile(p, BAND[1])) for p in predicted],
        "band": list(BAND),
        "noise_std": [float(schedule.noise(int(level))) for level in shown],
        "states": len(truth),
        "clean_level_counts": np.bincount(clean.numpy(), minlength=levels).tolist(),
        "clean_noise_rms": float(epsilon.square().mean().sqrt()),
    }


def auto_start(calibration: dict[str, Any], rate: float) -> int:
    """Lowest level that at most a share `rate` of clean held-out states exceeds."""
    counts = np.asarray(calibration["clean_level_counts"], dtype=float)
    exceeding = 1 - np.cumsum(counts) / counts.sum()
    return int(np.flatnonzero(exceeding <= rate + 1e-12)[0])


def auto_stop(calibration: dict[str, Any], schedule: Schedule, start: int) -> int:
    """Highest level below `start` whose denoising moves clean states by less than the finest noise of the schedule."""
    levels = torch.arange(start)
    moved = float(calibration["clean_noise_rms"]) * schedule.noise(levels) / schedule.signal(levels)
    unseen = torch.nonzero(moved <= schedule.noise(0)).flatten()
    return int(unseen[-1]) if len(unseen) else CLEAN


def _predicted(
    model: Denoiser, schedule: Schedule, truth: Tensor, level: int, generator: torch.Generator
) -> np.ndarray:
    states = truth[:: max(1, len(truth) // BATCH)][:BATCH]
    xi = torch.randn(states.shape, generator=generator).to(states)
    return model.level(schedule.diffuse(states, torch.full((len(states),), level), xi)).cpu().numpy()
