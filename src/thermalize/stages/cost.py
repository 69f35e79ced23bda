"""What a step costs: every stabilizer of one emulator timed side by side, in turns, in one process.

Times on a shared machine drift, so each repeat times all stabilizers one after another and ratios are taken within a
repeat; medians and quartiles over the repeats are reported. Thermalized members start from where their rollout ended,
or from the truth where one of them was lost; the raw emulator, which has no healthy state of its own, from the truth.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from thermalize.config import Experiment, NoStabilizerConfig
from thermalize.progress import track
from thermalize.rollout import Rollout, State, member_keys
from thermalize.stabilizers.base import Raw, Stabilizer
from thermalize.stabilizers.build import build
from thermalize.stages.diffusion import load_diffusion
from thermalize.stages.emulator import load_emulator
from thermalize.store.atomic import write_text
from thermalize.store.manifest import open_store

__all__ = ["Sources", "measure_cost"]

REPEATS = 7
STEPS, LEAST_STEPS, STEPS_PER_REPEAT = 100, 20, 1000
QUARTILES = (25, 50, 75)
BASELINE = "raw emulator"


@dataclass(frozen=True)
class Sources:
    """Files that a cost measurement reads: models, the truth to start from and the rollouts to continue."""

    emulator: Path
    diffusion: dict[str, Path]
    test: Path
    rollouts: dict[str, Path]


def measure_cost(experiment: Experiment, emulator: str, sources: Sources, output: Path, device: torch.device) -> None:
    """Writes seconds per step of the whole batch and the ratio to the raw emulator, by stabilizer, as JSON."""
    seconds = _time(experiment, sources, device)
    base = np.array(seconds[BASELINE])
    report = {label: _summary(np.array(seconds.get(label, base)), base) for label in experiment.stabilizers}
    note = {
        "members": experiment.rollouts.members,
        "threads": torch.get_num_threads(),
        "device": str(device),
        "emulator": emulator,
        "repeats": REPEATS,
        "steps": _steps(experiment),
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    write_text(output, json.dumps({**report, "_": note}, indent=2) + "\n")


def _time(experiment: Experiment, sources: Sources, device: torch.device) -> dict[str, list[float]]:
    runs = _runs(experiment, sources, device)
    starts = {label: _start(experiment, sources, label, device) for label in runs}
    seconds: dict[str, list[float]] = {label: [] for label in runs}
    steps = _steps(experiment)
    with track(REPEATS, "cost", unit="repeat") as bar:
        for repeat in range(-1, REPEATS):
            for label, run in runs.items():
                elapsed = _elapsed(run, starts[label], steps, device)
                if repeat >= 0:
                    seconds[label].append(elapsed / steps)
            bar.update(repeat >= 0)
    return seconds


def _steps(experiment: Experiment) -> int:
    """Steps per repeat and stabilizer: fewer where there are many stabilizers, so that a repeat stays short."""
    share = max(LEAST_STEPS, STEPS_PER_REPEAT // len(experiment.stabilizers))
    return min(STEPS, share, experiment.rollouts.steps)


def _elapsed(run: Rollout, start: torch.Tensor, steps: int, device: torch.device) -> float:
    state = State(start.clone())
    began = perf_counter()
    run.advance(state, steps)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter() - began


def _runs(experiment: Experiment, sources: Sources, device: torch.device) -> dict[str, Rollout]:
    keys = member_keys(experiment.seed, experiment.seeds[0], experiment.rollouts.members)
    model = load_emulator(sources.emulator, device=device)
    stabilizers: dict[str, Stabilizer] = {BASELINE: Raw()}
    for label, config in experiment.stabilizers.items():
        if not isinstance(config, NoStabilizerConfig):
            assert config.diffusion is not None
            stabilizers[label] = build(config, load_diffusion(sources.diffusion[config.diffusion], device=device))
    return {label: Rollout(model, s, keys, experiment.rollouts.lost_above) for label, s in stabilizers.items()}


def _start(experiment: Experiment, sources: Sources, label: str, device: torch.device) -> torch.Tensor:
    model = load_emulator(sources.emulator)
    u = None
    if label != BASELINE:
        u = _last_frame(sources.rollouts[label])
    if u is None or not np.isfinite(u).all():
        u = _first_frame(sources.test, experiment.rollouts.members)
    return model.normalize(torch.from_numpy(u)).to(device)


def _last_frame(manifest: Path) -> np.ndarray:
    dataset = open_store(manifest, verify=False)
    return dataset[dataset.attrs["variable"]].isel(time=-1).values


def _first_frame(manifest: Path, members: int) -> np.ndarray:
    dataset = open_store(manifest, verify=False)
    return dataset[dataset.attrs["variable"]].isel(time=0, member=slice(members)).values


def _summary(seconds: np.ndarray, base: np.ndarray) -> dict[str, Any]:
    low, median, high = np.percentile(seconds, QUARTILES)
    ratio_low, ratio, ratio_high = np.percentile(seconds / base, QUARTILES)
    return {
        "seconds_per_step": median,
        "low": low,
        "high": high,
        "ratio": ratio,
        "ratio_low": ratio_low,
        "ratio_high": ratio_high,
    }
