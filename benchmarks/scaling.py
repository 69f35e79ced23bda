"""What experiments of published size cost: arithmetic and traffic of every stage, and hours on GPUs that have names.

    python -m benchmarks.scaling --write    a minute; puts the tables into docs/scaling.md

Networks: PyTorch counts the operations of one evaluation; a backward pass counts twice a forward one. A GPU is taken to
reach the share `EFFICIENCY` of its dense bfloat16 peak. Solvers are bound by memory: the traffic of a step is the
processor time that it takes on one core here, times the rate at which that core copies memory; a GPU is taken to reach
the share `STREAMING` of its bandwidth. Hours are estimates: none was measured on the GPUs they name.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import _processor
from benchmarks.report import table
from thermalize import systems
from thermalize.config import DiffusionConfig, EmulatorConfig, Experiment, SimulationConfig, ThermalizerConfig
from thermalize.config.load import load_experiment
from thermalize.config.systems import SystemConfig
from thermalize.diffusion.denoiser import Denoiser
from thermalize.models import build
from thermalize.models.describe import operations
from thermalize.workflow.resources import frame_mb

__all__ = ["GPUS", "Gpu", "Stage", "main", "stages"]

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "scaling.md"
BEGIN, END = "<!-- scaling: begin -->", "<!-- scaling: end -->"
CONFIGS = ("kolmogorov", "qg-eddy", "qg-jet")
EFFICIENCY, STREAMING = 0.3, 0.5
REVERSE_STEPS = 1.7
"""Reverse steps per emulator step of the published thermalizer on Kolmogorov flow (arXiv 2503.18731)."""


@dataclass(frozen=True)
class Gpu:
    """Dense bfloat16 peak [FLOP/s] and memory bandwidth [B/s] of the maker's data sheet."""

    name: str
    flops: float
    bandwidth: float


GPUS = (
    Gpu("RTX 4090", 165e12, 1.01e12),
    Gpu("A100 80 GB", 312e12, 2.04e12),
    Gpu("H100 SXM", 989e12, 3.35e12),
    Gpu("H200", 989e12, 4.8e12),
)


@dataclass(frozen=True)
class Stage:
    """Arithmetic [FLOP] and traffic [B] of a stage, and what it stores [GB]."""

    name: str
    count: str
    flops: float = 0.0
    traffic: float = 0.0
    stored: float = 0.0

    def hours(self, gpu: Gpu) -> float:
        seconds = self.flops / (EFFICIENCY * gpu.flops) + self.traffic / (STREAMING * gpu.bandwidth)
        return seconds / 3600


def stages(experiment: Experiment) -> Iterator[Stage]:
    """Simulation of the train split, trainings, and one rollout under every stabilizer."""
    simulation = experiment.simulation
    assert isinstance(simulation, SimulationConfig)
    yield _simulation(experiment, simulation)
    for name, emulator in experiment.emulators.items():
        assert isinstance(emulator, EmulatorConfig)
        training = emulator.training
        cost = 3 * training.updates * training.batch_size * unrolled(emulator) * emulator_flops(emulator, simulation)
        count = f"{training.updates:,} updates of {training.batch_size}, {unrolled(emulator):.1f} steps each on average"
        yield Stage(f"train emulator {name}", count, cost)
        for model, diffusion in experiment.diffusion.items():
            training = diffusion.training
            whole, looks = diffusion_flops(diffusion, simulation)
            cost = 3.0 * training.updates * training.batch_size * whole
            yield Stage(
                f"train diffusion model {model}", f"{training.updates:,} updates of {training.batch_size}", cost
            )
            for label, stabilizer in experiment.stabilizers.items():
                one = emulator_flops(emulator, simulation)
                if isinstance(stabilizer, ThermalizerConfig):
                    one += looks / stabilizer.check_every + REVERSE_STEPS * whole
                yield _rollout(experiment, label, one)


def _rollout(experiment: Experiment, label: str, flops: float) -> Stage:
    members, steps = experiment.rollouts.members, experiment.rollouts.steps
    stored = members * steps * frame_mb(experiment) / 1e3
    return Stage(f"rollout {label}", f"{members} members × {steps:,} steps", members * steps * flops, stored=stored)


def _simulation(experiment: Experiment, simulation: SimulationConfig) -> Stage:
    split = simulation.splits["train"]
    window = (split.windows - 1) * simulation.steps_per_window + (split.frames - 1) * simulation.steps_per_frame
    steps = split.members * (round(simulation.spin_up / simulation.dt) + window)
    traffic = steps * step_seconds(simulation.system, simulation.stepper, simulation.dt) * copy_rate()
    stored = split.stored_members * split.frames * frame_mb(experiment) / 1e3
    points = simulation.system.points
    count = f"{split.members} members, {steps / 1e9:.2f} billion steps of `{simulation.stepper}` on {points}²"
    return Stage("simulate train", count, traffic=traffic, stored=stored)


def unrolled(emulator: EmulatorConfig) -> float:
    """Unrolled steps of an update, on average."""
    grown = emulator.unroll.start + np.arange(emulator.training.updates) // emulator.unroll.grow_every
    return float(np.minimum(grown, emulator.unroll.maximum).mean())


def emulator_flops(emulator: EmulatorConfig, simulation: SimulationConfig) -> float:
    channels = simulation.channel_count
    network = build(emulator.network, len(simulation.grid), channels, channels)
    return float(operations(network, channels, simulation.grid))


def diffusion_flops(diffusion: DiffusionConfig, simulation: SimulationConfig) -> tuple[float, float]:
    """Of one evaluation, and of a look at the noise level."""
    with torch.device("meta"):
        model = Denoiser(diffusion, len(simulation.grid), simulation.channel_count)
        x = torch.zeros(1, simulation.channel_count, *simulation.grid)
        counts = []
        for call in (model.network, lambda x: model.head(model.network.encode(x)[-1])):
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                call(x)
            counts.append(float(counter.get_total_flops()))
    return counts[0], counts[1]


@cache
def step_seconds(config: SystemConfig, stepper: str, dt: float, steps: int = 6) -> float:
    """Processor seconds of a solver's step of one member in float32 on one thread here."""
    system = systems.build(config, torch.float32, torch.device("cpu"))
    u_hat = system.to_spectral(system.initial_condition(np.random.default_rng(0))[None])
    advance = systems.stepper(stepper, system, dt)
    spent = []
    for _ in range(steps):
        began = time.process_time()
        u_hat = advance.step(u_hat)
        spent.append(time.process_time() - began)
    return median(spent)


@cache
def copy_rate(megabytes: int = 256) -> float:
    """Bytes that one core reads and writes a second when it copies memory."""
    source = torch.zeros(megabytes << 18)
    target, spent = torch.empty_like(source), []
    for _ in range(7):
        began = time.process_time()
        target.copy_(source)
        spent.append(time.process_time() - began)
    return 2 * source.numel() * source.element_size() / median(spent)


def rows(experiment: Experiment) -> Iterator[list[str]]:
    for stage in stages(experiment):
        cost = f"{stage.flops / 1e18:.2g} EFLOP" if stage.flops else f"{stage.traffic / 1e15:.2g} PB moved"
        stored = f"{stage.stored:.0f}" if stage.stored else ""
        yield [experiment.name, stage.name, stage.count, cost, stored, *(f"{stage.hours(gpu):.1f}" for gpu in GPUS)]


def report() -> str:
    head = ["configuration", "stage", "count", "cost", "stored [GB]", *(f"{gpu.name} [h]" for gpu in GPUS)]
    found = [row for name in CONFIGS for row in rows(load_experiment(ROOT / "configs" / f"{name}.yaml"))]
    measured = ", ".join(
        f"{1e3 * step_seconds(simulation.system, simulation.stepper, simulation.dt):.1f} ms a step of {name}"
        for name in CONFIGS
        if isinstance(simulation := load_experiment(ROOT / "configs" / f"{name}.yaml").simulation, SimulationConfig)
    )
    facts = f"Measured here, on one core of {_processor()}: {measured}; copying at {copy_rate() / 1e9:.1f} GB/s."
    return f"{table(head, found)}\n\n{facts}"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"put the tables into docs/{PAGE.name}")
    write = parser.parse_args(arguments).write
    torch.set_num_threads(1)
    text = report()
    print(text)
    if write:
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
