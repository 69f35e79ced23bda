"""Files as an ocean model writes them, and configurations that import them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from thermalize.config import Experiment

POINTS, LEVELS, FRAMES, STEP = 8, 2, 60, 0.5
DIMS = {"time": "ocean_time", "y": "yh", "x": "xh", "channel": "zl"}


def waves(
    frames: int = FRAMES, points: int = POINTS, levels: int = LEVELS, seed: int = 0, modes: int = 12
) -> np.ndarray:
    """[time, level, y, x]: waves of random direction, speed and phase on a doubly periodic plane, long ones strong."""
    rng = np.random.default_rng(seed)
    axis = 2 * np.pi * np.arange(points) / points
    time = np.arange(frames)[:, None, None]
    levelled = []
    for _ in range(levels):
        total = np.zeros((frames, points, points))
        for _ in range(modes):
            k_x, k_y = rng.integers(-points // 2 + 1, points // 2, 2)
            size = rng.standard_normal() / (1 + k_x**2 + k_y**2)
            phase, speed = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.5)
            total += size * np.sin(k_x * axis + k_y * axis[:, None] - speed * time + phase)
        levelled.append(total)
    return np.stack(levelled, axis=1)


def ocean(values: np.ndarray | None = None, first: int = 0, step: float = STEP, spacing: float = 1e4) -> xr.Dataset:
    """Potential vorticity of two layers, as an ocean model names things; frame `first` is that of `first` steps."""
    values = waves() if values is None else values
    axis = spacing * (0.5 + np.arange(values.shape[-1]))
    metres = {"units": "m"}
    return xr.Dataset(
        {"q": (tuple(DIMS[each] for each in ("time", "channel", "y", "x")), values, {"units": "s-1"})},
        {
            "ocean_time": (
                "ocean_time",
                step * (first + np.arange(len(values))),
                {"units": "days since 2000-01-01", "calendar": "noleap"},
            ),
            "zl": ("zl", np.arange(values.shape[1]) + 0.5),
            "yh": ("yh", axis, metres),
            "xh": ("xh", axis, metres),
        },
    )


def write(dataset: xr.Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zarr":
        dataset.to_zarr(path, zarr_format=2, consolidated=False)
    else:
        dataset.to_netcdf(path, engine="netcdf4")
    return path


def splits(train: tuple[int, int], valid: tuple[int, int], test: tuple[int, int]) -> dict[str, dict[str, int]]:
    """Members and frames of every split."""
    named = {"train": train, "valid": valid, "test": test}
    return {name: {"members": members, "frames": frames} for name, (members, frames) in named.items()}


def section(source: Any, **changes: Any) -> dict[str, Any]:
    """The section `simulation` for the file of `ocean`: windows of ten or five frames, gaps of two."""
    values: dict[str, Any] = {
        "import": str(source) if isinstance(source, Path) else source,
        "dims": DIMS,
        "variable": "q",
        "units": "s-1",
        "frame_interval": STEP,
        "time_units": "days",
        "split": "time",
        "gap": 1.0,
        "splits": splits((3, 10), (1, 10), (2, 5)),
        "shard_frames": 4,
        "dask": {"workers": 1},
    }
    merged = {**values, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def settings(simulation: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": "mine",
        "simulation": dict(simulation),
        "emulators": {"unet": {"network": {"multipliers": [1, 2]}, "training": {"updates": 1}}},
        "rollouts": {"members": 1, "steps": 2, "stabilizers": {"raw": {"kind": "none"}}},
    }


def experiment(source: Any, **changes: Any) -> Experiment:
    return Experiment.model_validate(settings(section(source, **changes)))
