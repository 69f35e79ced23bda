"""Ensembles whose scores are known: Gaussian forecasts and the stores of a truth with its rollouts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import norm

from thermalize.config import Experiment


def gaussian_crps(mu: float, sigma: float, y: np.ndarray) -> np.ndarray:
    """CRPS of N(μ, σ²) against y (Gneiting and Raftery 2007): σ [z (2Φ(z) − 1) + 2φ(z) − 1/√π], z = (y − μ)/σ."""
    z = (y - mu) / sigma
    return sigma * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))


def experiment(**changes: Any) -> Experiment:
    """Three seeds of four members, 24 steps, against a truth of six members and 20 frames."""
    splits = {split: {"members": 6, "frames": 20} for split in ("train", "valid", "test")}
    simulation = {
        "system": {"kind": "ks", "length": 8.0, "points": 16},
        "dt": 0.1,
        "frame_interval": 0.5,
        "block": 2,
        "splits": splits,
    }
    rollouts = {"members": 4, "steps": 24, "stabilizers": {"raw": {"kind": "none"}}}
    return Experiment.model_validate(
        {
            "name": "small",
            "seeds": [0, 1, 2],
            "simulation": simulation,
            "emulators": {"unet": {"training": {"updates": 1}}},
            "rollouts": {**rollouts, **changes.pop("rollouts", {})},
            "diagnostics": {"resamples": 200},
            **changes,
        }
    )


def dataset(values: np.ndarray, **attributes: Any) -> xr.Dataset:
    """A trajectory (member, time, channel, x) as the store of it is opened."""
    x = ("x", np.arange(values.shape[-1]) * 0.5, {"units": "1"})
    time = ("time", 0.5 * np.arange(values.shape[1]), {"units": "time units"})
    channels = [f"c{number}" for number in range(values.shape[2])]
    field = (("member", "time", "channel", "x"), values.astype(np.float32), {"units": "m s-1"})
    return xr.Dataset(
        {"velocity": field}, {"x": x, "time": time, "channel": channels}, {"variable": "velocity", **attributes}
    )


def rollout(values: np.ndarray, frames: Sequence[int] | None = None) -> xr.Dataset:
    """A rollout whose member i began at member i of the truth, at its first frame or at `frames`."""
    members = list(range(len(values)))
    return dataset(values, initial_member=members, initial_frame=list(frames or [0] * len(members)))
