"""Ensembles of many short windows: what they cost, and that memory does not grow with their number.

    python benchmarks/ensemble_scale.py                 minutes on two cores; prints the tables
    python benchmarks/ensemble_scale.py --write         and puts them into docs/scale.md

Kolmogorov flow on 64² is simulated three times, each with four times as many windows of five frames as the time before,
in blocks of the same size. Each simulation runs in a fresh interpreter; peaks of memory are the system's own (`VmHWM`
in /proc, so this needs Linux). From the measured rates, and the processor time of a step on 512², follows what 500,000
such windows need.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

import thermalize.truth.simulate
from thermalize import systems
from thermalize.config import Experiment, SimulationConfig
from thermalize.store.manifest import open_store, read_manifest, store_path
from thermalize.truth.simulate import simulate
from thermalize.truth.simulated import Ensemble

__all__ = ["case", "grown", "main", "measured", "published"]

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
FACTORS = (1, 4, 16)
MEMBERS, BLOCK, FRAMES = 16, 8, 5
SECONDS_BETWEEN_LOOKS = 0.1


def case(windows: int, factor: int, workers: int, shard_frames: int = 200) -> Experiment:
    """`windows` × `factor` windows of 64² points: as many times more of members as of windows per member."""
    more = round(factor**0.5)
    split = {"members": MEMBERS * more, "frames": FRAMES, "windows": windows // MEMBERS * more}
    return _experiment(
        {"kind": "kolmogorov", "points": 64, "viscosity": 0.005, "initial_speed": 1.0},
        split,
        dt=0.0035,
        frame_interval=0.0035,
        spin_up=0.35,
        window_interval=5 * 0.0035,
        shard_frames=shard_frames,
        dask={"workers": workers},
    )


def published(stepper: str) -> Experiment:
    """500,000 windows of five frames 0.005 apart, one every 1.5 time units, on 512² and stored on 64²."""
    return _experiment(
        {"kind": "kolmogorov", "points": 512, "stored_points": 64, "viscosity": 0.0002, "initial_speed": 2.0},
        {"members": 1000, "frames": FRAMES, "windows": 500},
        stepper=stepper,
        dt={"etdrk4": 0.001, "etdab3": 0.0005}[stepper],
        frame_interval=0.005,
        spin_up=10.0,
        window_interval=1.5,
    )


def _experiment(system: dict[str, Any], split: dict[str, int], **simulation: Any) -> Experiment:
    one = {"members": simulation.get("block", BLOCK), "frames": 2}
    settings = {"stepper": "etdab3", "precision": "float32", "block": BLOCK, **simulation}
    return Experiment.model_validate(
        {
            "name": "scale",
            "simulation": {**settings, "system": system, "splits": {"train": split, "valid": one, "test": one}},
            "emulators": {"none": {"training": {"updates": 1}}},
            "rollouts": {"members": 1, "steps": 1, "stabilizers": {"raw": {"kind": "none"}}},
        }
    )


def measured(experiment: Experiment, folder: Path) -> dict[str, float]:
    """Simulate and read: times in seconds, sizes in bytes, and the peaks of memory of this process and its workers."""
    manifest, sealing = folder / "train.manifest.json", _Clock()
    with sealing.around(thermalize.truth.simulate, "seal"), _Memory() as memory:
        begin = time.perf_counter()
        simulate(experiment, "train", manifest)
        seconds = time.perf_counter() - begin
    record = read_manifest(manifest)
    files = [path.stat().st_size for path in store_path(manifest).rglob("*") if path.is_file()]
    return {
        "windows": record.shape[0],
        "bytes": float(sum(files)),
        "files": len(files),
        "manifest": manifest.stat().st_size,
        "simulating": seconds - sealing.seconds,
        "sealing": sealing.seconds,
        "reading": _reading(manifest),
        "main": memory.main,
        "worker": memory.worker,
    }


def _reading(manifest: Path, count: int = 200) -> float:
    """Seconds to read one window at a random place, as a training does that does not hold all data in memory."""
    dataset = open_store(manifest)
    values = dataset[dataset.attrs["variable"]]
    rows = np.random.default_rng(0).integers(values.sizes["member"], size=count)
    begin = time.perf_counter()
    for row in rows:
        assert np.isfinite(values[int(row)].to_numpy()).all()
    return (time.perf_counter() - begin) / count


class _Clock:
    """Time spent in a function of a module."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def around(self, module: Any, name: str) -> Iterator[None]:
        function = getattr(module, name)

        def timed(*arguments: Any, **options: Any) -> Any:
            begin = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self.seconds += time.perf_counter() - begin

        setattr(module, name, timed)
        try:
            yield
        finally:
            setattr(module, name, function)


class _Memory:
    """Peaks of resident memory in bytes, of this process and of the largest of its children."""

    def __init__(self) -> None:
        self.main = self.worker = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.main = _peak(os.getpid())

    def _watch(self) -> None:
        while not self._stop.wait(SECONDS_BETWEEN_LOOKS):
            self.worker = max([self.worker, *map(_peak, _children())])


def _children() -> list[int]:
    tasks = Path("/proc/self/task").glob("*/children")
    return [int(word) for path in tasks for word in path.read_text().split()]


def _peak(process: int) -> int:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    found = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")]
    return 1024 * found[0] if found else 0


def grown(windows: int, workers: int, shard_frames: int = 200) -> list[dict[str, float]]:
    """What `measured` gives for every factor, each in an interpreter of its own."""
    cases = (case(windows, factor, workers, shard_frames) for factor in FACTORS)
    return [_apart("--case", each.model_dump_json(by_alias=True)) for each in cases]


def _apart(option: str, given: str) -> dict[str, float]:
    run = [sys.executable, __file__, option]
    found: dict[str, float] = json.loads(
        subprocess.run(run, input=given, stdout=subprocess.PIPE, text=True, check=True).stdout
    )
    return found


def stepping(stepper: str, steps: int = 8) -> dict[str, float]:
    """A block of members on 512²: processor seconds of a step of one member on one thread, and the peak of memory."""
    torch.set_num_threads(1)
    simulation = published(stepper).simulation
    assert isinstance(simulation, SimulationConfig)
    system = systems.build(simulation.system, torch.float32, torch.device("cpu"))
    rngs = map(np.random.default_rng, range(simulation.block))
    u_hat = system.to_spectral(torch.stack([system.initial_condition(rng) for rng in rngs]))
    advance = systems.stepper(stepper, system, simulation.dt)
    for _ in range(4):
        u_hat = advance.step(u_hat)
    begin = time.process_time()
    for _ in range(steps):
        u_hat = advance.step(u_hat)
    return {"seconds": (time.process_time() - begin) / steps / simulation.block, "memory": _peak(os.getpid())}


def main() -> None:
    arguments = _arguments()
    if arguments.case:
        with TemporaryDirectory(dir=arguments.folder) as folder:
            print(json.dumps(measured(Experiment.model_validate_json(sys.stdin.read()), Path(folder))))
        return
    if arguments.stepping:
        print(json.dumps(stepping(sys.stdin.read())))
        return
    os.nice(10)
    rows = grown(arguments.windows, arguments.workers)
    text = f"{_growth_table(rows, arguments.workers)}\n\n{_volume_table(rows[-1], arguments.workers)}\n"
    print(text)
    if arguments.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition("<!-- measured -->\n")
        _, end, after = rest.partition("<!-- end -->")
        PAGE.write_text(f"{before}<!-- measured -->\n{text}{end}{after}", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--windows", type=int, default=640, help="windows of the smallest simulation, a multiple of 16")
    parser.add_argument("--workers", type=int, default=2, help="worker processes")
    parser.add_argument("--folder", help="where the stores are written, and deleted")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/scale.md")
    for internal in ("--case", "--stepping"):
        parser.add_argument(internal, action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _growth_table(rows: list[dict[str, float]], workers: int) -> str:
    columns: dict[str, Callable[[dict[str, float]], str]] = {
        "windows": lambda row: f"{row['windows']:,.0f}",
        "data": lambda row: _size(row["bytes"]),
        "files": lambda row: f"{row['files']:.0f}",
        "peak per worker": lambda row: _size(row["worker"]),
        "peak of the main process": lambda row: _size(row["main"]),
        "windows/s": lambda row: f"{row['windows'] / row['simulating']:.0f}",
        "written": lambda row: f"{row['bytes'] / row['simulating'] / 1e6:.0f} MB/s",
        "sealed": lambda row: f"{row['bytes'] / row['sealing'] / 1e6:.0f} MB/s",
        "a window read": lambda row: f"{1e3 * row['reading']:.1f} ms",
    }
    lines = [list(columns), *([cell(row) for cell in columns.values()] for row in rows)]
    table = [f"| {' | '.join(line)} |" for line in lines]
    table.insert(1, "|" + "---:|" * len(columns))
    note = f"Kolmogorov flow on 64², {FRAMES} frames per window, blocks of {BLOCK} members, {workers} workers."
    return "\n".join([*table, "", note])


def _volume_table(row: dict[str, float], workers: int) -> str:
    """What the published volume needs, from the rates measured on the largest case."""
    size, each = _stored(row)
    storing = workers * row["simulating"] / row["windows"] * 500_000 / 3600
    lines = {
        "disk": _size(size),
        "shards": f"{size / each:,.0f} files of {_size(each)}",
        "manifest": _size(row["manifest"] / row["files"] * size / each),
        "sealing": f"{size * row['sealing'] / row['bytes']:.0f} s of one process",
        "frames, writing, reading back": f"less than {storing:.1f} core hours",
    }
    for stepper in ("etdrk4", "etdab3"):
        experiment, cost = published(stepper), _apart("--stepping", stepper)
        steps = 1000 * Ensemble(experiment, "train").steps
        words = f"{steps:,} steps of {1e3 * cost['seconds']:.0f} ms, {_size(cost['memory'])} per worker"
        lines[f"integration on 512² with `{stepper}`"] = f"{steps * cost['seconds'] / 3600:,.0f} core hours: {words}"
    return "\n".join(
        ["| 500,000 windows | |", "|---|---|", *(f"| {name} | {value} |" for name, value in lines.items())]
    )


def _stored(row: dict[str, float]) -> tuple[float, float]:
    """Bytes of the published volume and of a shard of it, at the compression that was measured."""
    layout = Ensemble(published("etdrk4"), "train").layout
    each = row["bytes"] / row["windows"]
    return each * layout.shape[0], each * layout.shard[0]


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


if __name__ == "__main__":
    main()
