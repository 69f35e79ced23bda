"""Members of a rollout: random draws of their own, and what is recorded of each at every step.

Nobody's numbers depend on who shares a batch: whatever is drawn or recorded belongs to a member, by its row.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from thermalize.runtime.errors import UserError
from thermalize.runtime.streams import sequence

__all__ = ["MemberNoise", "NoiseSource", "Record", "Series", "member_keys", "own_series"]

NAME = r"[a-z][a-z0-9_]{0,49}"
Record = Mapping[str, Tensor]
"""Numbers [batch] of one step by the name of their series; steps at which a series has none are `missing`."""

STEP = "step"
"""Dimension of series where only some states are stored, and `time` is that of these."""


@dataclass(frozen=True)
class Series:
    """One number per member and step that a stabilizer or an emulator records, as a variable of the rollout's store.

    Raises:
        ValueError: it cannot be stored so.
    """

    name: str
    long_name: str
    units: str = "1"
    dtype: str = "float32"
    """float32, or int16 for whole numbers"""
    missing: float | None = None
    """its value where nothing was recorded; when left out, NaN"""
    evaluations: bool = False
    """whether it counts network evaluations, which a step costs"""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not re.fullmatch(NAME, self.name):
            raise ValueError(f"a series is called {str(self.name)[:60]!r}; write small letters, digits and _")
        if not all(isinstance(text, str) and text.isprintable() and text for text in (self.long_name, self.units)):
            raise ValueError(f"series {self.name!r} needs a text and units of one line; units of plain numbers are 1")
        if self.missing is not None and not math.isfinite(self.missing):
            raise ValueError(f"series {self.name!r} has {self.missing} for `missing`; leave it out for NaN")
        if self.dtype not in ("float32", "int16"):
            raise ValueError(f"series {self.name!r} is of {self.dtype}; store float32 or int16")
        if self.dtype == "int16" and (self.missing is None or not float(self.missing).is_integer()):
            raise ValueError(f"series {self.name!r} is of whole numbers and needs one for `missing`, such as 0")

    def empty(self, *shape: int) -> Tensor:
        """`missing` everywhere."""
        missing = math.nan if self.missing is None else self.missing
        return torch.full(shape, int(missing) if self.dtype == "int16" else missing)


def own_series(found: Any, taken: Collection[str], whose: str) -> tuple[Series, ...]:
    """What an object of the user's own says that it records; UserError where that cannot be, in the name of `whose`."""
    if not isinstance(found, tuple | list) or not all(isinstance(each, Series) for each in found):
        raise UserError(f"{whose}: `series` holds what is no thermalize.Series")
    names = [each.name for each in found]
    if wrong := [name for name in names if names.count(name) > 1]:
        raise UserError(f"{whose}: `series` names {wrong[0]!r} twice")
    if wrong := [name for name in names if name in taken]:
        raise UserError(f"{whose}: a series is called {wrong[0]!r}, as something of the package is; rename it")
    return tuple(found)


class NoiseSource(Protocol):
    """Standard normal draws of single members, each from its own stream."""

    def draw(self, rows: Tensor, like: Tensor) -> Tensor:
        """The next draw of each member in `rows` [batch], shaped like `like` [batch, channel, *grid]."""
        ...


class MemberNoise:
    """Normal draws of one rollout step: a counter-based stream for each (member, step), so that nothing is stored
    between steps and no member's numbers depend on its companions or on a resumption.
    """

    def __init__(self, keys: np.ndarray, step: int) -> None:
        """`keys` [member, 2] (uint64) identify the members' streams."""
        self._keys, self._step = keys, step
        self._generators: dict[int, np.random.Generator] = {}

    def draw(self, rows: Tensor, like: Tensor) -> Tensor:
        shape = like.shape[1:]
        draws = [self._generator(row).standard_normal(shape, dtype=np.float32) for row in rows.tolist()]
        return torch.from_numpy(np.stack(draws)).to(like)

    def _generator(self, row: int) -> np.random.Generator:
        if row not in self._generators:
            bits = np.random.Philox(key=self._keys[row], counter=[0, 0, 0, self._step])
            self._generators[row] = np.random.Generator(bits)
        return self._generators[row]


def member_keys(root: int, seed: int, members: int) -> np.ndarray:
    """Keys [member, 2] of the members' noise streams for one rollout seed."""
    return np.stack([sequence(root, "rollout", seed, m).generate_state(2, np.uint64) for m in range(members)])
