"""What a job asks for, from its configuration: GPUs, processes, and memory [MB], which its process takes and its data.

The constants are those of the processes of the demonstration, rounded up: `python -m benchmarks.memory` compares what
is asked for with what was measured. A site may ask for more, `--set-resources train_diffusion:mem_mb=32000`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path

from thermalize.config import Experiment, ImportConfig
from thermalize.config.base import SplitName

__all__ = [
    "ARTIFACT_MB",
    "JOBS",
    "analysis_memory_of",
    "frame_mb",
    "gpus_of",
    "network_memory_of",
    "simulation_gpus_of",
    "simulation_memory_of",
    "simulation_threads_of",
    "store_mb",
    "training_gpus_of",
    "training_memory_of",
]

ARTIFACT_MB = 1500
PROCESS_MB, WORKER_MB, TRAINING_MB, CUDA_MB = 1000, 500, 1500, 3000
STREAMED_MB = 4000
UNKNOWN_GRID = (256, 256)
"""Counted where only the user's files know their grid."""

BANDS_MB = 1500
"""For the states of the train split whose band energies are measured, and their transforms."""

FIELDS_OF_A_SOLVER = 40
"""Fields on the solver's grid that an integration holds: stages, tendencies, their transforms."""

COPIES_OF_A_SHARD = 3
COPIES_OF_A_CHUNK = 6
"""Of the frames of a rollout: those being computed, those being written, and their forms on the way."""

COPIES_OF_A_MEMBER = 10
"""Of all frames of a member in double precision, while it is analysed: states, increments, transforms."""


def gpus_of(experiment: Experiment) -> int:
    """GPUs that a rule with networks asks for: one on `device: cuda`, and on `auto` where this machine has one."""
    return _gpus(experiment.device)


def training_gpus_of(experiment: Experiment, section: str, name: str) -> int:
    """GPUs that training `{section}.{name}` asks for: none where a rule with networks asks for none."""
    training = getattr(getattr(experiment, section)[name], "training", None)
    return gpus_of(experiment) * (training.gpus if training else 1)


def simulation_gpus_of(experiment: Experiment) -> int:
    """GPUs that simulating a split asks for: as for networks, but none where other machines compute."""
    simulation = experiment.simulation
    if isinstance(simulation, ImportConfig) or simulation.dask.elsewhere:
        return 0
    return _gpus(simulation.device)


def simulation_threads_of(experiment: Experiment) -> int:
    """Processes that simulate a split here: one where a GPU or other machines compute."""
    dask = experiment.simulation.dask
    return 1 if dask.elsewhere or simulation_gpus_of(experiment) else dask.workers


def frame_mb(experiment: Experiment) -> float:
    """One stored state in float32."""
    simulation = experiment.simulation
    return 4 * simulation.channel_count * prod(simulation.grid or UNKNOWN_GRID) / 1e6


def store_mb(experiment: Experiment) -> float:
    """All trajectories of an experiment on disk, were they not compressed."""
    splits = experiment.simulation.splits.values()
    rollouts = len(experiment.emulators) * len(experiment.stabilizers) * len(experiment.seeds)
    frames = sum(split.stored_members * split.frames for split in splits)
    frames += rollouts * experiment.rollouts.members * (experiment.rollouts.steps // experiment.rollouts.every + 1)
    return frames * frame_mb(experiment)


def simulation_memory_of(experiment: Experiment, split: SplitName, threads: int) -> int:
    """Of simulating or importing a split in so many processes here."""
    simulation = experiment.simulation
    if isinstance(simulation, ImportConfig):
        return int(WORKER_MB * (1 + threads) + threads * COPIES_OF_A_SHARD * _shard_mb(experiment))
    processes = min(threads, simulation.splits[split].members // simulation.block)
    state = 8 * simulation.channel_count * simulation.system.points ** len(simulation.grid) * simulation.block / 1e6
    work = FIELDS_OF_A_SOLVER * state + COPIES_OF_A_SHARD * _shard_mb(experiment)
    return int(WORKER_MB * (1 + processes) + processes * work + CUDA_MB * simulation_gpus_of(experiment))


def training_memory_of(experiment: Experiment, section: str, name: str) -> int:
    """Of training `{section}.{name}`: twice its data beside the model, or enough to stream them.

    Half of what is granted is for data (`thermalize.training.stream`).
    """
    training = getattr(getattr(experiment, section)[name], "training", None)
    if training is None:
        return network_memory_of(experiment)
    data = STREAMED_MB if training.data == "stream" else min(_data_mb(experiment), STREAMED_MB)
    if training.memory is not None:
        data = 1000 * training.memory
    return int(TRAINING_MB + 2 * data + CUDA_MB * training_gpus_of(experiment, section, name))


def network_memory_of(experiment: Experiment) -> int:
    """Of a job that runs trained networks: rollouts, samples, their cost."""
    chunk = experiment.rollouts.members * experiment.rollouts.chunk * frame_mb(experiment)
    return int(PROCESS_MB + COPIES_OF_A_CHUNK * chunk + CUDA_MB * gpus_of(experiment))


def analysis_memory_of(experiment: Experiment) -> int:
    """Of comparing trajectories with the truth, which reads them member by member."""
    member = 2 * experiment.simulation.splits["test"].frames * frame_mb(experiment)
    return int(PROCESS_MB + WORKER_MB + COPIES_OF_A_MEMBER * member)


def _of_networks(experiment: Experiment, *_: str) -> int:
    return network_memory_of(experiment)


def _of_analysis(experiment: Experiment, *_: str) -> int:
    return analysis_memory_of(experiment)


def _gpu(experiment: Experiment, *_: str) -> int:
    return gpus_of(experiment)


def _shard_mb(experiment: Experiment) -> float:
    """A shard holds no more frames than the windows of a member have together."""
    simulation = experiment.simulation
    longest = max(split.frames * split.stored_members // split.members for split in simulation.splits.values())
    return simulation.block * min(simulation.shard_frames, longest) * frame_mb(experiment)


def _data_mb(experiment: Experiment) -> float:
    splits = (experiment.simulation.splits["train"], experiment.simulation.splits["valid"])
    return sum(split.stored_members * split.frames for split in splits) * frame_mb(experiment)


def _gpus(device: str) -> int:
    here = shutil.which("nvidia-smi") is not None or Path("/dev/nvidiactl").exists()
    return int(device == "cuda" or (device == "auto" and here))


@dataclass(frozen=True)
class Needed:
    """What a job of a step asks for; all functions take an experiment and the wildcards of a result."""

    memory: Callable[..., int]
    """MB; after the wildcards comes the number of processes, for a simulation."""
    minutes: int
    gpus: Callable[..., int] = lambda *_: 0
    alike: bool = True
    """Whether all results of a step need the same, whatever their wildcards."""


JOBS = {
    "simulate": Needed(simulation_memory_of, 120, lambda experiment, _: simulation_gpus_of(experiment), alike=False),
    "emulator": Needed(
        lambda experiment, name: training_memory_of(experiment, "emulators", name),
        720,
        lambda experiment, name: training_gpus_of(experiment, "emulators", name),
        alike=False,
    ),
    "diffusion": Needed(
        lambda experiment, name: training_memory_of(experiment, "diffusion", name),
        1440,
        lambda experiment, name: training_gpus_of(experiment, "diffusion", name),
        alike=False,
    ),
    "sample": Needed(_of_networks, 120, _gpu),
    "rollout": Needed(_of_networks, 720, _gpu),
    "cost": Needed(_of_networks, 60, _gpu),
    "device": Needed(_of_networks, 5, _gpu),
    "reference": Needed(_of_analysis, 60),
    "bands": Needed(lambda *_: PROCESS_MB + BANDS_MB, 30),
    "diagnose": Needed(_of_analysis, 60),
    "ensemble": Needed(_of_analysis, 60),
    "figure": Needed(lambda *_: ARTIFACT_MB, 30),
    "movie": Needed(lambda *_: ARTIFACT_MB, 30),
    "summary": Needed(lambda *_: ARTIFACT_MB, 30),
    "ablation": Needed(lambda *_: ARTIFACT_MB, 30),
}
"""By step."""
