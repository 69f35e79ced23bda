"""Gaussian stand-ins for truth and rollouts, of one channel and of two layers, and the experiment they are of."""

from __future__ import annotations

import json

import numpy as np
import xarray as xr
from store_data import recorded_by

from thermalize.config import Experiment

POINTS, LENGTH, MEMBERS, FRAMES, STEPS = 32, 20.0, 6, 120, 200
LABELS = {"emulator": "unet", "stabilizer": "none", "seed": 3}


def experiment(**diagnostics) -> Experiment:
    splits = {split: {"members": MEMBERS, "frames": FRAMES} for split in ("train", "valid", "test")}
    return Experiment.model_validate(
        {
            "name": "small",
            "simulation": {
                "system": {"kind": "ks", "length": LENGTH, "points": POINTS},
                "dt": 0.1,
                "frame_interval": 0.5,
                "block": 2,
                "splits": splits,
            },
            "emulators": {"unet": {"training": {"updates": 1}}},
            "rollouts": {"members": MEMBERS, "steps": STEPS, "stabilizers": {"none": {"kind": "none"}}},
            "diagnostics": {"resamples": 60, "max_lag": 20, "spectrum_window": 25, "pdf_bins": 30, **diagnostics},
        }
    )


def flow(seed: int, members: int, frames: int, channels: int = 1, grid: tuple[int, ...] = (POINTS,)) -> np.ndarray:
    """A Gaussian stand-in for turbulence: AR(1) in time, a steep spectrum up to the dealiasing limit in space."""
    rng = np.random.default_rng(seed)
    k = np.sqrt(sum(n**2 for n in np.meshgrid(*[np.fft.fftfreq(n, 1 / n) for n in grid], indexing="ij")))
    amplitude = np.exp(-0.4 * k) * ((k > 0) & (k <= (min(grid) - 1) // 3))
    axes = tuple(range(-len(grid), 0))
    u = rng.normal(size=(members, frames, channels, *grid))
    u = np.fft.ifftn(np.fft.fftn(u, axes=axes) * amplitude, axes=axes).real
    for t in range(1, frames):
        u[:, t] = 0.8 * u[:, t - 1] + 0.6 * u[:, t]
    return (u / u.std()).astype(np.float32)


def trajectory(u: np.ndarray, variable: str = "velocity", **system) -> xr.Dataset:
    names = ("y", "x")[5 - u.ndim :]
    axes = {name: (name, np.arange(n) * LENGTH / n, {"units": "1"}) for name, n in zip(names, u.shape[3:], strict=True)}
    time = 0.5 * np.arange(u.shape[1])
    field = (("member", "time", "channel", *names), u, {"units": "1", "long_name": variable})
    coordinates = {"member": np.arange(len(u)), "time": time, **axes}
    return xr.Dataset({variable: field}, coordinates, {"variable": variable, "system": json.dumps(system)})


def rolled(u: np.ndarray, reverse: int = 0, variable: str = "velocity") -> xr.Dataset:
    health = {"level": np.full(u.shape[:2], -1 if reverse == 0 else 2), "reverse_steps": np.full(u.shape[:2], reverse)}
    health["rescaled"] = np.zeros(u.shape[:2])
    series = {name: (("member", "time"), v.astype(np.int16)) for name, v in health.items()}
    return trajectory(u, variable).assign(series).assign_attrs(recorded_by(*health))


def started(members: int = MEMBERS, lost: list[int] | None = None) -> dict[str, list]:
    return {
        "initial_member": list(range(members)),
        "initial_frame": [0] * members,
        "lost_step": lost or [-1] * members,
        "lost_cause": [""] * members,
    }


def ocean(u: np.ndarray) -> np.ndarray:
    """Two layers of potential vorticity in s⁻¹, the lower a thousand times weaker, on a plane of 1000 km."""
    return u * np.array([1e-5, 1e-8], np.float32)[:, None, None]


def oceanic(u: np.ndarray, rollout: bool = False) -> xr.Dataset:
    """A trajectory of two layers with the parameters, coordinates and units of a simulated one."""
    name, layers = "potential_vorticity", {"layer_ratio": 0.25, "deformation_radius": 15e3}
    data = rolled(u, variable=name) if rollout else trajectory(u, name, **layers)
    data[name].attrs["units"] = "s-1"
    axes = {axis: (axis, 1e6 / u.shape[-1] * np.arange(u.shape[-1]), {"units": "m"}) for axis in ("y", "x")}
    return data.assign_coords(channel=["upper", "lower"], **axes)
