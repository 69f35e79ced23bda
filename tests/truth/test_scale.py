"""Many windows: memory that does not grow with their number, and a store of half a million that can be handled."""

from __future__ import annotations

import importlib.util
import sys
import tracemalloc
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from store_data import KOLMOGOROV, experiment, windowed

from thermalize.store.layout import create
from thermalize.store.manifest import open_store
from thermalize.truth.simulate import Block, integrate, simulate
from thermalize.truth.simulated import Ensemble

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "ensemble_scale.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ensemble_scale", BENCHMARK)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["ensemble_scale"] = module
    spec.loader.exec_module(module)
    return module


def test_memory_does_not_grow_with_the_number_of_windows(tmp_path: Path) -> None:
    peaks, sizes = [], []
    for windows in (8, 64):
        config = experiment(
            system={"kind": "kolmogorov", "points": 64, "viscosity": 0.02},
            dt=0.01,
            frame_interval=0.01,
            window_interval=0.03,
            spin_up=0.1,
            splits=windowed(2, 3, windows),
            shard_frames=12,
        )
        block = Block(config, "train", 0, tmp_path / f"{windows}.zarr.partial", "f")
        block.log.begin(Ensemble(config, "train").layout)
        tracemalloc.start()
        integrate(block)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        sizes.append(sum(path.stat().st_size for path in block.partial.rglob("*") if path.is_file()))
    assert peaks[1] - peaks[0] < (sizes[1] - sizes[0]) / 8


@pytest.mark.slow
def test_no_process_needs_more_memory_for_more_windows(benchmark: ModuleType) -> None:
    rows = benchmark.grown(160, workers=2, shard_frames=10)
    assert [row["windows"] for row in rows] == [160, 640, 2560]
    for process in ("worker", "main"):
        peaks = [row[process] for row in rows]
        assert min(peaks) > 50e6
        assert max(peaks) - peaks[0] < (rows[-1]["bytes"] - rows[0]["bytes"]) / 8, process


def test_half_a_million_windows_are_some_thousand_files(benchmark: ModuleType, tmp_path: Path) -> None:
    ensemble = Ensemble(benchmark.published("etdrk4"), "train")
    layout = ensemble.layout
    assert layout.shape == (500_000, 5, 1, 64, 64)
    assert len(np.unique(layout.members)) == 500_000
    assert ensemble.rows(ensemble.blocks - 1).stop == 500_000
    shards = 500_000 // layout.shard[0]
    assert 1000 <= shards <= 5000
    assert layout.shard[1] == layout.chunk[1] == 5
    create(tmp_path / "train.zarr.partial", layout)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 5e6


def test_windows_are_read_at_random(tmp_path: Path) -> None:
    config = experiment(**{**KOLMOGOROV, "splits": windowed(4, 3, 30), "shard_frames": 15})
    manifest = tmp_path / "train.manifest.json"
    record = simulate(config, "train", manifest, workers=1)
    assert (record.shape[0], record.shards[0], record.chunks[0]) == (120, 10, 1)
    vorticity = open_store(manifest)["vorticity"]
    whole = vorticity.to_numpy()
    for row in np.random.default_rng(0).permutation(120)[:20]:
        np.testing.assert_array_equal(vorticity[int(row)], whole[row])
    assert len(np.unique(whole[:, 0].reshape(120, -1), axis=0)) == 120
