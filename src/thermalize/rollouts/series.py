"""What emulator and stabilizer recorded in a rollout, as its store says it.

A series is a variable (member, time) of the store, or (member, step) where only some states are stored. An attribute of
the store holds what was declared of each, beyond what fits the attributes of a variable: what stands where nothing was
recorded, and what counts network evaluations.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

import numpy as np
import xarray as xr

from thermalize.runtime.members import STEP, Series

__all__ = ["EVERY", "MEASURED", "RECORDED", "axis_of", "described", "frames_of", "recorded", "values_of"]

RECORDED = "recorded"
"""The attribute."""
EVERY = "store_every"
"""Attribute of a store that holds the states of every n-th step, n."""


MEASURED = "measured_"
"""Begins the names of what else was measured on the way, of which only some states are stored."""


def described(series: Iterable[Series]) -> str:
    """The attribute of a rollout's store, as JSON."""
    return json.dumps([asdict(each) for each in series])


def recorded(rollout: xr.Dataset) -> dict[str, Series]:
    """The series [member, time] of a rollout, by name; none of one that was made elsewhere and does not say so.

    Raises:
        ValueError: the attribute does not say what was recorded.
    """
    try:
        said = json.loads(rollout.attrs.get(RECORDED, "[]"))
        found = [Series(**each) for each in said]
        return {str(each.name): each for each in found}
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"its attribute {RECORDED!r} does not say what was recorded") from error


def axis_of(rollout: xr.Dataset) -> str:
    """The dimension of its series."""
    return STEP if STEP in rollout.dims else "time"


def frames_of(trajectory: xr.Dataset) -> int:
    """Frames of a rollout, stored or not, the initial condition among them; or of any trajectory."""
    return trajectory.sizes[axis_of(trajectory)]


def values_of(rollout: xr.Dataset, name: str, otherwise: float) -> np.ndarray:
    """A series [member, frame], or one number where neither emulator nor stabilizer records it."""
    if name in recorded(rollout):
        return rollout[name].transpose("member", axis_of(rollout)).to_numpy()
    return np.full((rollout.sizes["member"], frames_of(rollout)), otherwise)
