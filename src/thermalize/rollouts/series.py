"""What emulator and stabilizer recorded in a rollout, as its store says it.

A series is a variable (member, time) of the store. An attribute of the store holds what was declared of each, beyond
what fits the attributes of a variable: what stands where nothing was recorded, and what counts network evaluations.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

import numpy as np
import xarray as xr

from thermalize.runtime.members import Series

__all__ = ["RECORDED", "described", "recorded", "values_of"]

RECORDED = "recorded"
"""The attribute."""


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


def values_of(rollout: xr.Dataset, name: str, otherwise: float) -> np.ndarray:
    """A series [member, time], or one number where neither emulator nor stabilizer records it."""
    if name in recorded(rollout):
        return rollout[name].transpose("member", "time").to_numpy()
    return np.full((rollout.sizes["member"], rollout.sizes["time"]), otherwise)
