"""Times of the frames as numbers in `time_units`, whatever the files hold, and whether frames follow evenly.

    numbers in days since 1850-01-01 or the like, or dates   →  time_units since 2000-01-01, in their calendar
    spans of time, numbers in hours or the like              →  time_units
    numbers without units or in units of their own           →  the same, which must be time_units

Only the steps between frames matter to a store; the times themselves tell what lies in which file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from thermalize.config import ImportConfig
from thermalize.runtime.errors import UserError
from thermalize.store.location import Place

__all__ = ["Track", "offset_of", "reference_of", "refuse_uneven", "track_of"]

SECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}
EPOCH = "2000-01-01"
MOST_DATES = 10_000_000
"""Of a file, which are read one by one."""
MANY_DATES = 100_000
"""Which take seconds to read."""
UNEVEN = 0.05
"""Of a step: hours in single precision, as days from a distant date, are off by some hundredths; months by a tenth."""
OFF = 1e-4
"""Relative difference of the mean step from the stated one."""
MONTH = 30.44
"""Days, on average. Steps of one month differ from it by less than `MONTH_ROOM`, those of several months too."""
MONTH_ROOM = 3.1
EVEN = 1e-3
"""Of a step: what differs by more, and not by the resolution of the numbers, differs on purpose."""
CODED = {"units", "calendar"}
"""Attributes that times are decoded by; xarray looks at others too, and stumbles over some that are no text."""
MONTHS = ("mon", "month", "months", "common_month", "common_months")
NO_STATES = (
    "means over months are no states of the system, and months have no fixed length; import output every few hours or "
    "days"
)


class Track(NamedTuple):
    """Times of one file's frames in `time_units`."""

    path: Place
    times: np.ndarray


def reference_of(dataset: xr.Dataset, config: ImportConfig) -> str:
    """The date, with its calendar, that times are counted from; "" for plain numbers."""
    time = dataset[config.dims.time]
    return f"{EPOCH} ({_calendar(time)})" if _is_dated(time) else ""


def track_of(dataset: xr.Dataset, config: ImportConfig, path: Place) -> Track:
    """The times of a file.

    Raises:
        UserError: there are none, they are no times, or their units do not go with `time_units`.
    """
    dim = config.dims.time
    if dim not in dataset.coords:
        raise UserError(f"{path}: {dim} has no coordinate variable; add the times of the frames to the file")
    time = dataset[dim]
    if not time.size:
        raise UserError(f"{path} holds no frames; leave it out")
    missing = time.isnull().to_numpy()
    if missing.any():
        raise UserError(f"{path}: frame {int(missing.argmax())} of {dim} has no time; leave it out or give it one")
    if _is_dated(time):
        return Track(path, _dates(time, config, path))
    if time.dtype.kind == "m":
        seconds = time.to_numpy().astype("timedelta64[us]").astype(np.float64) / 1e6
        return Track(path, seconds / _seconds(config, f"{path}: {dim} holds spans of time"))
    if time.dtype.kind not in "fiu":
        raise UserError(f"{path}: {dim} holds {time.dtype} and no times; give it numbers with units, or dates")
    return Track(path, time.to_numpy().astype(np.float64) * _factor(time, config, path))


def refuse_uneven(tracks: Sequence[Track], config: ImportConfig, reference: str = "", methods: str = "") -> None:
    """Raise a `UserError` unless the frames of consecutive files follow each other at `frame_interval` / `every`.

    Args:
        tracks: the files in the order of their times.
        config: says which interval.
        reference: the date and calendar that times are counted from.
        methods: `cell_methods` of the variable.
    """
    times = np.concatenate([track.times for track in tracks])
    if len(times) < 2:
        raise UserError(f"{tracks[0].path}: {config.dims.time} holds one frame; a trajectory needs at least two")
    steps = np.diff(times)
    typical = float(np.median(steps))
    averaged = re.search(rf"(^|\s)(time|{re.escape(config.dims.time)}):\s*(?!point)\w", methods) is not None
    if _are_months(times, steps, typical, config, averaged or reference.endswith("(360_day)")):
        raise UserError(
            f"{tracks[0].path}: frames follow the calendar, {typical:.4g} {config.time_units} apart or about that: "
            f"{NO_STATES}"
        )
    if not typical > 0 or (np.abs(steps - typical) > UNEVEN * typical).any():
        raise UserError(_uneven(tracks, steps, typical, config))
    step = float(times[-1] - times[0]) / len(steps)
    wanted = config.frame_interval / config.every
    if abs(step - wanted) > OFF * step:
        raise UserError(_other_interval(tracks[0].path, step, config))


def offset_of(config: ImportConfig) -> int:
    """Frames that lie within `spin_up`."""
    step = config.frame_interval / config.every
    return int(np.ceil(config.spin_up / step - 1e-6))


def _are_months(times: np.ndarray, steps: np.ndarray, typical: float, config: ImportConfig, suspected: bool) -> bool:
    """Whether steps are one or several months of a calendar, as a year is: they differ, but only as months do.

    In a calendar of equal months, and where values are averages, they need not differ.
    """
    day = 86400.0 / SECONDS.get(config.time_units.lower(), np.inf)
    months = round(typical / day / MONTH) if day else 0
    if months < 1 or np.abs(steps / day - months * MONTH).max() > MONTH_ROOM:
        return False
    # times of double precision may once have been of single precision
    resolution = np.finfo(np.float32).eps * np.abs(times).max() if (times == times.astype(np.float32)).all() else 0.0
    uneven = bool((np.abs(steps - typical) > EVEN * typical + 2 * resolution).any())
    return uneven or suspected


def _uneven(tracks: Sequence[Track], steps: np.ndarray, typical: float, config: ImportConfig) -> str:
    """What is wrong at the first step that is not the typical one, with the file and the frame that it leads to."""
    wrong = ~(steps > 0) if (steps <= 0).any() else np.abs(steps - typical) > UNEVEN * typical
    frame = int(wrong.argmax()) + 1
    owners = np.repeat(np.arange(len(tracks)), [len(track.times) for track in tracks])
    here, before = int(owners[frame]), int(owners[frame - 1])
    index = frame - int((owners < here).sum())
    name = f"{tracks[here].path}: frame {index} of {config.dims.time}"
    after = "the frame before" if here == before else f"the last frame of {tracks[before].path.name}"
    step, units = float(steps[frame - 1]), config.time_units
    if step == 0:
        return f"{name} has the same time as {after}; leave out one of them, or write files: member for parallel runs"
    if step < 0:
        return f"{name} lies {-step:g} {units} before {after}; times must increase, and files must not overlap"
    return f"{name} comes {step:g} {units} after {after}, others after {typical:g}; fill in or resample missing frames"


def _other_interval(path: Place, step: float, config: ImportConfig) -> str:
    every = round(config.frame_interval / step)
    fits = every >= 1 and abs(every * step - config.frame_interval) <= OFF * config.frame_interval
    hint = f"every: {every}" if fits else f"frame_interval: {step * config.every:.6g}"
    return (
        f"{path}: frames are {step:.6g} {config.time_units} apart, which with every = {config.every} is not "
        f"simulation.frame_interval = {config.frame_interval:g}; write {hint}"
    )


def _is_dated(time: xr.DataArray) -> bool:
    return time.dtype.kind == "M" or " since " in str(time.attrs.get("units", ""))


def _dates(time: xr.DataArray, config: ImportConfig, path: Place) -> np.ndarray:
    unit = _seconds(config, f"{path}: {time.name} holds dates")
    if time.size > MOST_DATES:
        raise UserError(
            f"{path}: {time.name} holds {time.size} dates, more than are read ({MOST_DATES}); write several files, or "
            "numbers without a date"
        )
    if time.size > MANY_DATES and not (later := _increasing(time.to_numpy())).all():
        raise UserError(
            f"{path}: frame {int(later.argmin()) + 1} of {time.name} does not come after the frame before; times must "
            "increase: make or copy the file again"
        )
    _refuse_months(str(time.attrs.get("units", "")).split(" since ")[0], f"{path}: {time.name} counts")
    coder = xr.coders.CFDatetimeCoder(use_cftime=True)
    try:
        plain = xr.Variable(time.dims, time.to_numpy(), {key: str(time.attrs[key]) for key in CODED & {*time.attrs}})
        dates = xr.decode_cf(xr.Dataset(coords={time.name: plain}), decode_times=coder)[time.name].variable
        dates.encoding = {"units": f"microseconds since {EPOCH}", "calendar": _calendar(time), "dtype": "float64"}
        microseconds = xr.conventions.encode_cf_variable(dates).to_numpy()
    except (ValueError, OverflowError) as error:
        words = str(error).splitlines()[0].split(". ")[0]
        raise UserError(
            f"{path}: {time.name} cannot be read as dates ({words}); count from a date of its calendar in days, hours, "
            "minutes or seconds, as in days since 2000-01-01"
        ) from None
    return np.asarray(microseconds.astype(np.float64) / 1e6 / unit)


def _increasing(times: np.ndarray) -> np.ndarray:
    return np.asarray(times[1:] > times[:-1])


def _calendar(time: xr.DataArray) -> str:
    calendar = str(time.attrs.get("calendar", "standard")).lower()
    return "standard" if calendar in ("gregorian", "proleptic_gregorian") else calendar


def _seconds(config: ImportConfig, what: str) -> float:
    unit = SECONDS.get(config.time_units.lower())
    if unit is None:
        raise UserError(f"{what}, so simulation.time_units must be seconds, minutes, hours or days")
    return unit


def _refuse_months(units: str, what: str) -> None:
    if units.strip().lower() in MONTHS:
        raise UserError(f"{what} {units.strip()}: {NO_STATES}")


def _factor(time: xr.DataArray, config: ImportConfig, path: Place) -> float:
    """What the numbers are multiplied by to be in `time_units`."""
    units, stated = str(time.attrs.get("units", "")).strip(), config.time_units
    _refuse_months(units, f"{path}: {time.name} counts")
    _refuse_months(stated, "simulation.time_units is")
    if units in ("", stated):
        return 1.0
    if units.lower() in SECONDS and stated.lower() in SECONDS:
        return SECONDS[units.lower()] / SECONDS[stated.lower()]
    raise UserError(f"{path}: {time.name} is in {units!r}, but simulation.time_units = {stated!r}; state {units!r}")
