"""What a step costs: every stabilizer of one emulator timed side by side, in turns, in one process.

Times on a shared machine drift, so each repeat times all stabilizers one after another. Ratios are taken within a
repeat, of the processor's time, which other work moves least, or of the clock's on a GPU; medians and quartiles over
the repeats are reported. Thermalized members start from where their rollout ended, or from the truth where one of them
was lost; the raw emulator, which has no healthy state of its own, from the truth.
"""

from __future__ import annotations

import json
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch

from thermalize.config import Experiment, NoStabilizerConfig
from thermalize.emulators.base import Emulator
from thermalize.emulators.load import load_emulator
from thermalize.rollouts.engine import Rollout, State
from thermalize.runtime.members import member_keys
from thermalize.runtime.progress import track
from thermalize.stabilizers.base import Stabilizer
from thermalize.stabilizers.raw import Raw
from thermalize.stages.stabilizing import Parts
from thermalize.store import sealed
from thermalize.store.manifest import open_store
from thermalize.store.results import Results

__all__ = ["measure_cost"]

REPEATS = 7
STEPS, LEAST_STEPS, STEPS_PER_REPEAT = 100, 20, 3000
QUARTILES = (25, 50, 75)
BASELINE = "raw emulator"
WALL, PROCESSOR = 0, 1
Times = tuple[float, float]


def measure_cost(experiment: Experiment, emulator: str, paths: Results, device: torch.device) -> None:
    """Writes seconds per step of the whole batch and the ratio to the raw emulator, by stabilizer, as JSON."""
    seconds = {label: np.array(found).T for label, found in _time(experiment, emulator, paths, device).items()}
    base, compared = seconds[BASELINE], WALL if device.type == "cuda" else PROCESSOR
    report = {label: _summary(seconds.get(label, base), base, compared) for label in experiment.stabilizers}
    note = {
        "members": experiment.rollouts.members,
        "threads": torch.get_num_threads(),
        "device": str(device),
        "emulator": emulator,
        "repeats": REPEATS,
        "steps": _steps(experiment),
    }
    sealed.write(paths.cost(emulator), (json.dumps({**report, "_": note}, indent=2) + "\n").encode())


def _time(experiment: Experiment, emulator: str, paths: Results, device: torch.device) -> dict[str, list[Times]]:
    """Of the clock and of the processor, per step and repeat."""
    model = load_emulator(paths.emulator(emulator), device=device, trust_code=experiment.emulators[emulator])
    runs = _runs(experiment, emulator, model, paths, device)
    starts = {label: _start(experiment, emulator, model, paths, label) for label in runs}
    seconds: dict[str, list[Times]] = {label: [] for label in runs}
    steps = _steps(experiment)
    with track(REPEATS, "cost", unit="repeat") as bar:
        for repeat in range(-1, REPEATS):
            for label, run in runs.items():
                elapsed = _elapsed(run, starts[label], steps, device)
                if repeat >= 0:
                    seconds[label].append((elapsed[WALL] / steps, elapsed[PROCESSOR] / steps))
            bar.update(repeat >= 0)
    return seconds


def _steps(experiment: Experiment) -> int:
    """Steps per repeat and stabilizer: fewer where there are many stabilizers, so that a repeat stays short."""
    share = max(LEAST_STEPS, STEPS_PER_REPEAT // len(experiment.stabilizers))
    return min(STEPS, share, experiment.rollouts.steps)


def _elapsed(run: Rollout, start: torch.Tensor, steps: int, device: torch.device) -> Times:
    """Seconds of the clock and of the processor for `steps` steps from the last of the frames `start`.

    They are [member, history + 1, channel, *grid].
    """
    state = State(start[:, -1].clone(), past=start[:, :-1].clone())
    began = perf_counter(), process_time()
    run.advance(state, steps)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter() - began[WALL], process_time() - began[PROCESSOR]


def _runs(
    experiment: Experiment, emulator: str, model: Emulator, paths: Results, device: torch.device
) -> dict[str, Rollout]:
    seed = experiment.seeds[0]
    keys = member_keys(experiment.seed, seed, experiment.rollouts.members)
    stabilizers: dict[str, Stabilizer] = {BASELINE: Raw()}
    for label, config in experiment.stabilizers.items():
        if not isinstance(config, NoStabilizerConfig):
            stabilizers[label] = Parts(experiment, paths, emulator, label, seed).build(device)
    return {label: Rollout(model, s, keys, experiment.rollouts.lost_above) for label, s in stabilizers.items()}


def _start(experiment: Experiment, emulator: str, model: Emulator, paths: Results, label: str) -> torch.Tensor:
    u = None
    if label != BASELINE:
        manifest = paths.rollout(emulator, label, experiment.seeds[0])
        u = _frames(experiment, manifest, slice(-1 - model.history, None))
    if u is None or not np.isfinite(u).all():
        u = _frames(experiment, paths.simulation("test"), slice(model.history + 1))
    return model.normalize(torch.from_numpy(u).to(model.mean.device))


def _frames(experiment: Experiment, manifest: Path, time: slice) -> np.ndarray:
    """Some frames [member, frame, channel, *grid] of the first members."""
    dataset = open_store(manifest, storage=experiment.storage)
    field = dataset[dataset.attrs["variable"]].transpose("member", "time", "channel", ...)
    return field.isel(time=time, member=slice(experiment.rollouts.members)).to_numpy()


def _summary(seconds: np.ndarray, base: np.ndarray, compared: int) -> dict[str, Any]:
    """Of the times (clock and processor, repeat), and of the ratios of one of the two."""
    low, median, high = np.percentile(seconds[WALL], QUARTILES)
    ratio_low, ratio, ratio_high = np.percentile(seconds[compared] / base[compared], QUARTILES)
    return {
        "seconds_per_step": median,
        "processor_seconds_per_step": float(np.median(seconds[PROCESSOR])),
        "low": low,
        "high": high,
        "ratio": ratio,
        "ratio_low": ratio_low,
        "ratio_high": ratio_high,
    }
