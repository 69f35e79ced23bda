"""What no field of a flow looks like, whatever the file says of it.

Frames that were never written and marks that nobody has declared come in as numbers. In one frame of a channel, x at
all points of the grid, with m the median of |x| over the points where it is not zero:

    constant                 all x equal
    beyond all measure       |x| > 10¹⁵ m
    a mark                   the largest or smallest x occurs again, or is a number that is known as a mark, and lies
                             farther from the next one than 5 times the range of all others

and of one frame after another

    stuck                    x(t + Δt) = x(t) at all points of all channels, to the last bit
"""

from __future__ import annotations

import numpy as np

__all__ = ["ACCEPT", "Finding", "first_strange", "first_stuck"]

BEYOND = 1e15
APART = 5.0
"""Of the range of all others: temperatures in kelvin beside −999 are ten of their ranges apart."""
KNOWN = np.array(
    [0, -99, -99.9, -99.99, -999, -999.9, -999.99, -9999, -99999, 9999, 99999, -32768, -32767, 32766, 32767, 65535]
    + [sign * size for sign in (-1.0, 1.0) for size in (1e10, 1e20, 1e30, 1e34, 1e35, 1e36)],
    dtype=np.float32,
)
Finding = tuple[str, tuple[int, ...]]
"""What is strange, in words with room for the `{place}`, and its index: of a frame and channel, or of a point in it."""
ACCEPT = "or, if the field is truly so, state simulation.unusual: accept"
"""The way past all that is told by statistics alone."""
CONSTANT = (
    "it may never have been written, or vary by less than single precision tells: make or copy it again, subtract a "
    f"large mean, leave the beginning out with spin_up, or the channel; {ACCEPT}"
)
MARK = (
    "it may stand for land or a missing value: cut it out or fill it before the import, or leave the beginning out "
    f"with spin_up; {ACCEPT}"
)


def first_strange(values: np.ndarray) -> Finding | None:
    """The first frame of a channel that no field can have; values [frame, channel, *grid] are finite."""
    flat = values.reshape(*values.shape[:2], -1)
    if flat.shape[-1] < 2:
        return None
    lowest, highest = flat.min(-1), flat.max(-1)
    if (constant := lowest == highest).any():
        place = _first(constant)
        return f"has the value {flat[(*place, 0)]:.6g} at all points of {{place}}; {CONSTANT}", place
    size = np.abs(flat)
    median = np.nanmedian(np.where(size > 0, size, np.float32(np.nan)), axis=-1)
    with np.errstate(over="ignore"):
        beyond = size > BEYOND * median.astype(np.float64)[..., None]
    if beyond.any():
        place = _first(beyond)
        words = f"has the value {flat[place]:.6g} at {{place}}, more than {BEYOND:.0e} times its median; {MARK}"
        return words, (*place[:2], *map(int, np.unravel_index(place[2], values.shape[2:])))
    return _mark(values, flat, lowest, highest)


def _mark(values: np.ndarray, flat: np.ndarray, lowest: np.ndarray, highest: np.ndarray) -> Finding | None:
    for end, sign in ((lowest, 1.0), (highest, -1.0)):
        same = flat == end[..., None]
        others = np.where(same, np.float32(np.nan), flat)
        least, most = np.nanmin(others, -1).astype(np.float64), np.nanmax(others, -1).astype(np.float64)
        distance = sign * ((least if sign > 0 else most) - end)
        apart = (most > least) & (distance > APART * (most - least))
        marked = apart & ((same.sum(-1) > 1) | np.isin(end, KNOWN))
        if marked.any():
            place = _first(marked)
            point = np.unravel_index(int(same[place].argmax()), values.shape[2:])
            words = (
                f"has the value {end[place]:.6g} at {{place}} and at {int(same[place].sum())} points in all, far from"
            )
            return f"{words} all others ({least[place]:.6g} to {most[place]:.6g}); {MARK}", (*place, *map(int, point))
    return None


def first_stuck(values: np.ndarray, before: np.ndarray | None = None) -> int | None:
    """The first frame that is its predecessor again; `before` is the frame before the first one, if there is one."""
    follows = values if before is None else np.concatenate([before[None], values])
    same = (follows[1:] == follows[:-1]).all(axis=tuple(range(1, follows.ndim)))
    return int(same.argmax()) + (before is None) if same.any() else None


def _first(mask: np.ndarray) -> tuple[int, ...]:
    return tuple(int(index) for index in np.unravel_index(int(mask.argmax()), mask.shape))
