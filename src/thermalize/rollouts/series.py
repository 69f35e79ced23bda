"""What emulator and stabilizer recorded in a rollout, as its store says it.

A series is a variable (member, time) of the store, with its text and units; an attribute of the store says of each what
stands where nothing was recorded, and whether it counts network evaluations.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable

import numpy as np
import xarray as xr

from thermalize.runtime.members import Series

__all__ = ["RECORDED", "described", "recorded", "values_of"]

RECORDED = "recorded"
"""The attribute."""


def described(series: Iterable[Series]) -> str:
    """What a store says of its series besides name, type, text and units, as JSON."""
    return json.dumps(
        {each.name: {"missing": _plain(each.missing), "evaluations": each.evaluations} for each in series}
    )


def recorded(rollout: xr.Dataset) -> dict[str, Series]:
    """The series [member, time] of a rollout's store, by name; `values_of` reads one.

    Raises:
        ValueError: the store does not say what it holds.
    """
    try:
        said = json.loads(rollout.attrs[RECORDED])
        return {str(name): _series(rollout[name], **more) for name, more in said.items()}
    except (AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"its attribute {RECORDED!r} does not say what was recorded") from error


def _series(values: xr.DataArray, missing: float | None, evaluations: bool) -> Series:
    text, units = str(values.attrs["long_name"]), str(values.attrs["units"])
    dtype = "float32" if values.dtype.kind == "f" else "int16"
    return Series(str(values.name), text, units, dtype, math.nan if missing is None else missing, evaluations)


def _plain(number: float) -> float | None:
    return None if math.isnan(number) else number


def values_of(rollout: xr.Dataset, name: str, otherwise: float) -> np.ndarray:
    """A series [member, time], or one number where neither emulator nor stabilizer records it."""
    if name in recorded(rollout):
        return rollout[name].transpose("member", "time").to_numpy()
    return np.full((rollout.sizes["member"], rollout.sizes["time"]), otherwise)
