"""Whether thermalized rollouts stay on the measure for as long as one waits, and with an emulator pushed off it.

    python -m benchmarks.stability endurance results/demo --write    100,000 steps: some twenty minutes a stabilizer
    python -m benchmarks.stability bias results/demo --write         every wavenumber up to 3 grows by 2 % per step

Both run the stabilizers of an experiment from its trained models, without its workflow, in blocks of steps of which
only statistics are kept. A block is compared with one half of the test truth: its log-spectral distance over the
energy-containing shells, and W₁ of the field; the floor is the median distance between random halves, of one of which
every member is cut to the length of a block. Intervals are those of a bootstrap over members.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import numpy as np
import psutil
import torch
from scipy.stats import wasserstein_distance
from torch import Tensor

import thermalize
from benchmarks.report import table
from thermalize.config.load import load_experiment
from thermalize.emulators.base import Emulator
from thermalize.metrics.spectra import Shells, energy_containing, log_spectral_distance
from thermalize.rollouts.engine import Rollout, State
from thermalize.runtime.members import member_keys
from thermalize.runtime.progress import track
from thermalize.stabilizers.bands import shells
from thermalize.stages.stabilizing import Parts
from thermalize.store.manifest import open_store
from thermalize.store.results import Results

__all__ = ["Block", "Study", "main", "pushed"]

PAGE = Path(__file__).parents[1] / "docs" / "stability.md"
EVERY, RESAMPLES, DEALS, TAIL = 20, 400, 40, 2.5
MEGABYTE = 1e6
REACHED, GAIN = 3, 1.02


@dataclass(frozen=True)
class Block:
    """Of some steps: mean spectrum [member, channel, shell], values of the field [member, value] and what it cost."""

    spectrum: np.ndarray
    values: np.ndarray
    reverse_steps: float
    rescaled: float
    seconds: float


class Study:
    """An experiment with trained models: its truth, and rollouts of its first emulator in blocks."""

    def __init__(self, folder: Path) -> None:
        self.experiment = load_experiment(folder / "config.yaml")
        self.paths = Results(self.experiment.name, folder.parent)
        self.name = next(iter(self.experiment.emulators))
        self.emulator = thermalize.load_emulator(folder / "emulators" / self.name)
        truth = open_store(self.paths.simulation("test"))
        fields = truth[truth.attrs["variable"]].transpose("member", "time", "channel", ...).values
        self.truth = self.emulator.normalize(torch.from_numpy(fields))
        self.shells = Shells(self.truth.shape[3:], (2 * np.pi,) * (self.truth.ndim - 3))
        self.half = len(self.truth) // 2
        self.reference = self._block(self.truth[: self.half])
        mean = self.reference.spectrum.mean(0)
        self.kept = energy_containing(mean, self.experiment.diagnostics.energy_fraction, self.shells.limit)

    def blocks(self, label: str, steps: int, size: int, emulator: Callable[[Tensor], Tensor]) -> Iterator[Block]:
        """Until the last member is lost; blocks hold those that are still there."""
        members = self.experiment.rollouts.members
        stabilizer = Parts(self.experiment, self.paths, self.name, label, 0).build(torch.device("cpu"))
        keys = member_keys(self.experiment.seed, 0, members)
        run = Rollout(emulator, stabilizer, keys, self.experiment.rollouts.lost_above)
        state = State(self.truth[:members, 0].clone())
        with track(steps, label) as bar:
            while state.step < steps and len(state.alive):
                began = process_time()
                chunk = run.advance(state, size)
                spent = (process_time() - began) / size
                reverse, rescaled = (
                    float(s.float().mean()) for s in (chunk.record["reverse_steps"], chunk.record["rescaled"])
                )
                yield self._block(chunk.x[state.alive], reverse, rescaled, spent)
                bar.update(size)

    def floors(self, size: int) -> list[tuple[float, float]]:
        """Log-spectral distance and W₁ of truth: of blocks of as many steps from one random half, to the other."""
        rng, found = np.random.default_rng(0), []
        for _ in range(DEALS):
            members = rng.permutation(len(self.truth))
            reference = self._block(self.truth[members[: self.half]])
            block = self._block(self.truth[members[self.half : 2 * self.half], -size:])
            found.append((self.spectral(block, reference), self.field(block, reference)))
        return found

    def spectral(self, block: Block, reference: Block | None = None) -> float:
        known = (reference or self.reference).spectrum.mean(0)
        return float(log_spectral_distance(block.spectrum.mean(0), known, self.kept))

    def field(self, block: Block, reference: Block | None = None) -> float:
        return float(wasserstein_distance(block.values.ravel(), (reference or self.reference).values.ravel()))

    def slope(self, blocks: list[Block]) -> tuple[float, float, float]:
        """Change of the log-spectral distance per block, with its interval over members."""
        time, rng = np.arange(len(blocks)), np.random.default_rng(0)

        def fitted(members: np.ndarray) -> float:
            spectra = [block.spectrum[members].mean(0) for block in blocks]
            reference = self.reference.spectrum.mean(0)
            return float(np.polyfit(time, [log_spectral_distance(s, reference, self.kept) for s in spectra], 1)[0])

        count = len(blocks[0].spectrum)
        draws = [fitted(rng.integers(count, size=count)) for _ in range(RESAMPLES)]
        return fitted(np.arange(count)), *np.percentile(draws, (TAIL, 100 - TAIL)).tolist()

    def _block(self, x: Tensor, reverse: float = 0.0, rescaled: float = 0.0, seconds: float = 0.0) -> Block:
        spectrum = self.shells.spectrum(x.numpy()).mean(1)
        values = x[:, ::EVERY].flatten(1)[:, :: max(1, x.shape[2:].numel() // 64)].numpy()
        return Block(spectrum, values, reverse, rescaled, seconds)


def pushed(emulator: Emulator, last: int = REACHED, gain: float = GAIN) -> Callable[[Tensor], Tensor]:
    """The emulator with every wavenumber up to `last` multiplied by `gain` after each step."""

    def step(x: Tensor) -> Tensor:
        grid = x.shape[2:]
        shell = shells(grid)
        factor = torch.where((shell >= 1) & (shell <= last), gain, 1.0)
        axes = tuple(range(2, x.ndim))
        return torch.fft.irfftn(torch.fft.rfftn(emulator(x), dim=axes) * factor, s=grid, dim=axes)

    return step


def endurance(study: Study, steps: int, size: int) -> str:
    rows, floors = [], np.median(study.floors(size), axis=0)
    for label, config in study.experiment.stabilizers.items():
        if config.kind == "none":
            continue
        memory = [psutil.Process().memory_info().rss]
        blocks = []
        for block in study.blocks(label, steps, size, study.emulator):
            blocks.append(block)
            memory.append(psutil.Process().memory_info().rss)
        tenth = max(1, len(blocks) // 10)
        found = [
            [np.mean([measure(block) for block in part]) for part in (blocks[:tenth], blocks[-tenth:])]
            for measure in (study.spectral, study.field)
        ]
        slope = " ".join(f"{1e6 / size * value:+.3f}" for value in study.slope(blocks))
        rows.append(
            [
                label,
                f"{len(blocks[-1].spectrum)}/{study.experiment.rollouts.members}",
                *(f"{first:.4f}, {last:.4f} ({floor:.4f})" for (first, last), floor in zip(found, floors, strict=True)),
                slope,
                f"{memory[len(memory) // 10 + 1] / MEGABYTE:.0f}, {memory[-1] / MEGABYTE:.0f}",
            ]
        )
    head = [
        "stabilizer",
        f"members after {steps:,} steps",
        "log-spectral distance, first and last tenth (floor)",
        "W₁, first and last tenth (floor)",
        "slope of the distance per million steps, with 95 % interval",
        "memory after a tenth and at the end [MB]",
    ]
    return table(head, rows)


def bias(study: Study, steps: int, size: int) -> str:
    rows = []
    floor, _ = np.median(study.floors(size), axis=0)
    for label in study.experiment.stabilizers:
        for name, emulator in (("as trained", study.emulator), ("pushed", pushed(study.emulator))):
            blocks = list(study.blocks(label, steps, size, emulator))
            late = [block for block in blocks[len(blocks) // 2 :] if len(block.spectrum)]
            truth = study.reference.spectrum.mean(0)[..., 1 : REACHED + 1].sum()
            ratio = np.mean([block.spectrum.mean(0)[..., 1 : REACHED + 1].sum() / truth for block in late] or [np.nan])
            distance = np.mean([study.spectral(block) for block in late] or [np.nan])
            work = [f"{np.mean([getattr(b, key) for b in blocks]):.3f}" for key in ("reverse_steps", "rescaled")]
            alive = f"{len(blocks[-1].spectrum)}/{study.experiment.rollouts.members} after {len(blocks) * size:,}"
            found = [f"{ratio:.2f}", f"{distance:.3f} ({floor:.3f})"] if late else ["–", "–"]
            rows.append([label, name, alive, *found, *work])
    head = [
        "stabilizer",
        "emulator",
        "members",
        f"energy up to wavenumber {REACHED}, of the truth's",
        "log-spectral distance (floor)",
        "reverse steps per step",
        "bands set right per step",
    ]
    return table(head, rows)


STUDIES: dict[str, tuple[Callable[[Study, int, int], str], int, int]] = {
    "endurance": (endurance, 100_000, 1000),
    "bias": (bias, 10_000, 500),
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("results", type=Path, help="results folder of an experiment with trained models")
    parser.add_argument("--steps", type=int, help="emulator steps")
    parser.add_argument("--write", action="store_true", help="put the table into docs/stability.md")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    function, steps, size = STUDIES[options.study]
    study = Study(options.results)
    text = function(study, options.steps or steps, size)
    print(text)
    if options.write:
        begin, end = (f"<!-- {options.study} {study.experiment.name}: {word} -->" for word in ("begin", "end"))
        page = PAGE.read_text(encoding="utf-8")
        before, rest = page.split(begin)
        PAGE.write_text(f"{before}{begin}\n\n{text}\n\n{end}{rest.split(end)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
