"""What the way of the data to the model costs: held in memory, and streamed with memory for an eighth of them.

    python -m benchmarks.data_path                 some ten minutes; prints the tables
    python -m benchmarks.data_path --write         and puts them into docs/datapath.md

A small U-Net learns a step between fields on 64² from batches of 32 pairs. The same updates are made with pairs from
(a) one normalised tensor that is indexed at random, (b) `Trajectories` and (c) `Streamed`, in turn. Then the data are
read once through without a model: the bytes of the files, the array shard by shard, and an epoch of batches. The fields
are white noise, which zstd cannot make smaller; turbulence hardly gets smaller either.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import zarr
from torch import Tensor

from benchmarks.machine import _processor
from benchmarks.report import table
from benchmarks.timing import Cost, interleaved
from thermalize.config import UNetConfig
from thermalize.models.normalization import Normalization
from thermalize.models.unet import UNet
from thermalize.store.layout import Layout, create, inner_chunk, write
from thermalize.training.data import Trajectories
from thermalize.training.stream import Streamed, open_windows

__all__ = ["Case", "batching", "made", "main", "reading", "training"]

PAGE = Path(__file__).parents[1] / "docs" / "datapath.md"
BEGIN, END = "<!-- measured -->\n", "<!-- end -->"
NORMALIZATION = Normalization((0.0,), (1.0,))
SHARE = 8
LENGTH = 2
Batches = Callable[[int], Tensor]


@dataclass(frozen=True)
class Case:
    """Members, frames, points along a side; members and frames of a shard; samples of a batch."""

    members: int = 64
    frames: int = 400
    points: int = 64
    shard: tuple[int, int] = (2, 200)
    size: int = 32

    @property
    def bytes(self) -> int:
        return 4 * self.members * self.frames * self.points**2


QUICK = Case(16, 40, 32, (2, 5), 8)


def made(path: Path, case: Case) -> Path:
    """A store of white noise."""
    axis = np.arange(case.points, dtype=float)
    form = Layout(
        variable="vorticity",
        long_name="vorticity",
        units="1",
        channels=("vorticity",),
        axes={"y": axis, "x": axis},
        axis_units="1",
        members=np.arange(case.members),
        time=np.arange(case.frames, dtype=float),
        time_units="1",
        shard=case.shard,
        chunk=inner_chunk(case.shard, 4 * case.points**2),
    )
    create(path, form)
    for number, (_, (member, time)) in enumerate(form.shards(form.variable)):
        shape = (member.stop - member.start, time.stop - time.start, *form.shape[2:])
        noise = np.random.default_rng(number).standard_normal(shape, np.float32)
        write(path, form, form.variable, member, time, noise)
    return path


def training(store: Path, case: Case, updates: int, rounds: int) -> dict[str, Cost]:
    """Seconds per update with each kind of data."""
    learner = _Learner()
    kinds = {name: partial(_updates, batches, learner, count(), updates) for name, batches in _kinds(store, case)}
    return interleaved({name: (function, updates) for name, function in kinds.items()}, rounds)


def batching(store: Path, case: Case, updates: int, rounds: int) -> dict[str, Cost]:
    """Seconds per batch without a model."""
    kinds = {name: partial(_updates, batches, len, count(), updates) for name, batches in _kinds(store, case)}
    return interleaved({name: (function, updates) for name, function in kinds.items()}, rounds)


def reading(store: Path, case: Case, rounds: int) -> dict[str, Cost]:
    """Seconds per megabyte of data, read once through."""
    stream, numbers = _streamed(store, case), count()
    updates = stream.count(LENGTH) // case.size

    def files() -> None:
        for path in _files(store):
            path.read_bytes()

    def array() -> None:
        values = _array(store)
        members, frames = values.shards[:2]
        for member in range(0, values.shape[0], members):
            for time in range(0, values.shape[1], frames):
                assert values[member : member + members, time : time + frames] is not None

    def epoch() -> None:
        _updates(lambda update: stream.batch(update, case.size, LENGTH, 0), len, numbers, updates)

    work = {"bytes of the files": files, "the array, shard by shard": array, "an epoch of batches": epoch}
    units = case.bytes // 10**6 or 1
    return interleaved({name: (partial(_cold, store, function), units) for name, function in work.items()}, rounds)


class _Learner:
    """A step of a training of `configs/`' kind, smaller."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.network = UNet(2, 1, 1, UNetConfig(width=16))
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=1e-4)

    def __call__(self, pairs: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        (self.network(pairs[:, 0]) - (pairs[:, 1] - pairs[:, 0])).square().mean().backward()
        self.optimizer.step()


def _kinds(store: Path, case: Case) -> list[tuple[str, Batches]]:
    """What gives the pairs [sample, 2, channel, y, x] of an update."""
    held, stream = open_windows(store, "vorticity", NORMALIZATION, mode="memory"), _streamed(store, case)
    assert isinstance(held, Trajectories)
    frames, rng = held.values.flatten(0, 1), np.random.default_rng(0)

    def indexed(update: int) -> Tensor:  # noqa: ARG001
        first = torch.from_numpy(rng.integers(len(frames) - 1, size=case.size))
        return frames[torch.stack([first, first + 1], dim=1)]

    return [
        ("one tensor, indexed", indexed),
        ("`memory`", lambda update: held.batch(update, case.size, LENGTH, 0)),
        ("`stream`", lambda update: stream.batch(update, case.size, LENGTH, 0)),
    ]


def _streamed(store: Path, case: Case) -> Streamed:
    return Streamed(_array(store), NORMALIZATION, budget_bytes=case.bytes // SHARE)


def _updates(batches: Batches, use: Callable[[Tensor], object], numbers: Any, updates: int) -> None:
    for _ in range(updates):
        use(batches(next(numbers)))


def _cold(store: Path, function: Callable[[], None]) -> None:
    """The same, after the system was asked to forget the files."""
    for path in _files(store):
        descriptor = os.open(path, os.O_RDONLY)
        if hasattr(os, "posix_fadvise"):
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
    function()


def _array(store: Path) -> zarr.Array[Any]:
    return zarr.open_array(store, path="vorticity", mode="r")


def _files(store: Path) -> list[Path]:
    return sorted(path for path in (store / "vorticity" / "c").rglob("*") if path.is_file())


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    case = QUICK if arguments.quick else Case()
    with TemporaryDirectory(dir=arguments.folder) as folder:
        store = made(Path(folder) / "data.zarr", case)
        alone = batching(store, case, 2 * arguments.updates, arguments.rounds)
        trained = training(store, case, arguments.updates, arguments.rounds)
        parts = [_training_table(trained, alone), _reading_table(reading(store, case, arguments.rounds)), _note(case)]
    text = "\n\n".join(parts) + "\n"
    print(text)
    if arguments.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}{text}{END}{rest.partition(END)[2]}", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--updates", type=int, default=40, help="updates per round; groups last about as long")
    parser.add_argument("--rounds", type=int, default=5, help="rounds whose median counts")
    parser.add_argument("--threads", type=int, default=1, help="threads of the model")
    parser.add_argument("--folder", help="where the store is written, and deleted")
    parser.add_argument("--quick", action="store_true", help="small data, to see that it runs")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/datapath.md")
    return parser.parse_args()


def _training_table(trained: dict[str, Cost], alone: dict[str, Cost]) -> str:
    base, *_ = trained.values()
    rows = []
    for name, cost in trained.items():
        clock = [f"{1e3 * alone[name].wall:.2f}", f"{1e3 * cost.wall:.1f}", _more(cost.wall, base.wall)]
        rows.append([name, *clock, f"{1e3 * cost.processor:.1f}", _more(cost.processor, base.processor)])
    head = ["pairs from", "ms per batch alone", "ms per update", "more", "processor ms per update", "more"]
    return table(head, rows)


def _more(cost: float, base: float) -> str:
    return "–" if cost == base else f"{100 * (cost / base - 1):+.1f} %"


def _reading_table(found: dict[str, Cost]) -> str:
    base, *_ = found.values()
    rows = [[name, f"{1 / cost.wall:.0f}", f"{base.wall / cost.wall:.2f}"] for name, cost in found.items()]
    return table(["read once through, cold", "MB/s", "of the files' rate"], rows)


def _note(case: Case) -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "zarr", "numpy"))
    return (
        f"{case.members} members of {case.frames} frames on {case.points}² in float32, {case.bytes / 1e6:.0f} MB, in "
        f"shards of {case.shard[0]} members and {case.shard[1]} frames; batches of {case.size} pairs; memory for "
        f"streaming {case.bytes / SHARE / 1e6:.3g} MB. {_processor()}, {cores} cores, threads of the model: "
        f"{torch.get_num_threads()}, Python {platform.python_version()}, {versions}."
    )


if __name__ == "__main__":
    main()
