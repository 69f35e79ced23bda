"""Small stores and experiments for the tests of storage and simulation."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from thermalize.config import Experiment
from thermalize.rollouts.series import RECORDED, described
from thermalize.stabilizers import drift, thermalizer
from thermalize.store.blocks import BlockLog
from thermalize.store.home import Home
from thermalize.store.layout import Files, Layout, create, write
from thermalize.store.location import Place
from thermalize.store.manifest import Manifest, partial_path, seal


def windowed(members: int, frames: int, windows: int) -> dict[str, dict[str, int]]:
    """Splits of so many windows of so many frames; `test` always has one of them."""
    split = {"members": members, "frames": frames}
    return {"train": {**split, "windows": windows}, "valid": {**split, "windows": windows}, "test": split}


# 32 × 32 points, three windows of three frames per member
KOLMOGOROV: dict[str, Any] = {
    "system": {"kind": "kolmogorov", "points": 32, "stored_points": 16, "viscosity": 0.02},
    "dt": 0.02,
    "frame_interval": 0.04,
    "spin_up": 0.2,
    "window_interval": 0.2,
    "splits": windowed(4, 3, 3),
}
QG: dict[str, Any] = {
    "system": {"kind": "qg", "preset": "jet", "points": 32, "stored_points": 16},
    "dt": 14400.0,
    "frame_interval": 28800.0,
    "spin_up": 144000.0,
    "window_interval": 144000.0,
    "splits": windowed(4, 3, 3),
}
MEMBERS, FRAMES, POINTS = 4, 10, 6
SERIES = {"level": ("int16", "noise level", "1"), "displacement": ("float32", "change", "1")}


def layout(**changes: Any) -> Layout:
    """4 members, 10 frames, 6 points in shards of 2 members and 4 frames, the last of which is cut at the end."""
    values: dict[str, Any] = {
        "variable": "velocity",
        "long_name": "a velocity",
        "units": "m s-1",
        "channels": ("u",),
        "axes": {"x": np.linspace(0, 5, POINTS)},
        "axis_units": "m",
        "members": 7 + np.arange(MEMBERS),
        "time": 0.5 * np.arange(FRAMES),
        "time_units": "s",
        "shard": (2, 4),
        "chunk": (1, 2),
        "attributes": {"equation": "u_t = 0", "seed": 3},
    }
    return Layout(**{**values, **changes})


def field(seed: int = 0, form: Layout | None = None) -> np.ndarray:
    """Numbers to store, [member, time, channel, …]."""
    return np.random.default_rng(seed).standard_normal((form or layout()).shape).astype(np.float32)


def fill(path: Place, values: np.ndarray, form: Layout | None = None) -> Files:
    """Create a store at `path` and write all its shards."""
    form = form or layout()
    create(path, form)
    return write(path, form, form.variable, slice(None), slice(None), values)


def stored(
    manifest: Path,
    values: np.ndarray,
    form: Layout | None = None,
    fingerprint: str = "f",
    final: Place | None = None,
    home: Home | None = None,
    **described: dict[str, Any],
) -> Manifest:
    """Make a finished store with its manifest."""
    form, log = form or layout(), BlockLog(partial_path(manifest), fingerprint, final)
    log.begin(form)
    return seal(log, form, manifest, fill(log.place, values, form), home=home, **described)


def tree(folder: Path) -> dict[str, str]:
    """Digest of every file below `folder`, but for locks."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".lock")
    return {path.relative_to(folder).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files}


def settings(**simulation: Any) -> dict[str, Any]:
    """A complete configuration whose splits have 6 members of 25 frames in blocks of 2 and shards of 10 frames."""
    base = {
        "system": {"kind": "ks", "length": 22.0, "points": 32},
        "dt": 0.25,
        "frame_interval": 1.0,
        "spin_up": 5.0,
        "block": 2,
        "shard_frames": 10,
        "splits": {name: {"members": 6, "frames": 25} for name in ("train", "valid", "test")},
    }
    return {
        "name": "small",
        "seed": 5,
        "simulation": {**base, **simulation},
        "emulators": {"unet": {"training": {"updates": 1}}},
        "rollouts": {"members": 1, "steps": 2, "stabilizers": {"raw": {"kind": "none"}}},
    }


def experiment(**simulation: Any) -> Experiment:
    return Experiment.model_validate(settings(**simulation))


def recorded_by(*names: str) -> dict[str, str]:
    """The attribute of a rollout that records these series of the package."""
    ours = (*thermalizer.SERIES, *drift.SERIES)
    return {RECORDED: described(each for each in ours if each.name in names)}
