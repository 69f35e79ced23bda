"""The grid of the files as the networks and spectra see it: equidistant and periodic, L = N Δx along each axis."""

from __future__ import annotations

import numpy as np
import xarray as xr

from thermalize.config import ImportConfig
from thermalize.config.texts import plainly
from thermalize.runtime.errors import UserError
from thermalize.store.location import Place

__all__ = ["axes_of"]

UNEVEN = 1e-3
"""Of a spacing, beside the resolution of coordinates in single precision."""


def axes_of(dataset: xr.Dataset, config: ImportConfig, path: Place) -> tuple[dict[str, np.ndarray], str]:
    """The points along y and x with equal spacing to the last digit, and their units.

    Raises:
        UserError: an axis is not equidistant, has another period or another number of points than was stated, no
            coordinates and no period, or other units than the other.
    """
    axes, units = dict[str, np.ndarray](), dict[str, str | None]()
    for axis in config.axes:
        dim = getattr(config.dims, axis)
        points = dataset.sizes[dim]
        stated = getattr(config.points, axis) if config.points else points
        if points != stated:
            raise UserError(
                f"{path}: {dim} has {points} points, but simulation.points.{axis} = {stated}; state {points}, or "
                "interpolate the data"
            )
        axes[axis], units[axis] = _points(dataset, dim, axis, config, path)
    return axes, _one_unit(units, config, path)


def _points(
    dataset: xr.Dataset, dim: str, axis: str, config: ImportConfig, path: Place
) -> tuple[np.ndarray, str | None]:
    points = dataset.sizes[dim]
    period = getattr(config.periods, axis) if config.periods else None
    if dim not in dataset.coords:
        if period is None:
            raise UserError(
                f"{path}: {dim} has no coordinate variable; add one, or state the side as simulation.periods.{axis}"
            )
        return np.arange(points) * (period / points), None
    values = _numbers(dataset[dim], path)
    spacing = float(values[-1] - values[0]) / (points - 1) if points > 1 else period or 0.0
    _refuse_uneven(values, spacing, dataset[dim].dtype == np.float32, dim, path)
    if period is not None and abs(points * spacing - period) > 0.01 * spacing:
        raise UserError(
            f"{path}: {points} points of {dim} with spacing {spacing:g} make a period of {points * spacing:g}, but "
            f"simulation.periods.{axis} = {period:g}; leave out a last point that repeats the first, or correct it"
        )
    units = dataset[dim].attrs.get("units")
    return values[0] + np.arange(points) * spacing, plainly(str(units or "")) or None


def _numbers(coordinate: xr.DataArray, path: Place) -> np.ndarray:
    if coordinate.dtype.kind not in "fiu":
        raise UserError(f"{path}: {coordinate.name} holds {coordinate.dtype} and no numbers; give it coordinates")
    return coordinate.to_numpy().astype(np.float64)


def _refuse_uneven(values: np.ndarray, spacing: float, single: bool, dim: str, path: Place) -> None:
    if not np.isfinite(values).all():
        place = int((~np.isfinite(values)).argmax())
        raise UserError(
            f"{path}: {dim} is missing or not finite at .isel({dim}={place}); give it its coordinates, or copy the "
            "file again"
        )
    steps = np.diff(values)
    resolution = 2 * np.finfo(np.float32).eps * float(np.abs(values).max()) if single else 0.0
    if (steps < 0).all():
        raise UserError(f"{path}: {dim} does not increase; put it in increasing order with dataset.sortby({dim!r})")
    if not (steps > 0).all():
        place = int((steps <= 0).argmax())
        raise UserError(
            f"{path}: {dim} goes from {values[place]:g} to {values[place + 1]:g} at .isel({dim}={place + 1}) and "
            "elsewhere "
            "increases; its coordinates are wrong or damaged: copy the file again, or give it increasing ones"
        )
    uneven = ~(np.abs(steps - spacing) <= UNEVEN * spacing + resolution)
    if uneven.any():
        place = int(uneven.argmax())
        raise UserError(
            f"{path}: {dim} is not equidistant: the step from {values[place]:g} to {values[place + 1]:g} is not the "
            f"mean step {spacing:g}; interpolate to an equidistant grid before the import"
        )


def _one_unit(units: dict[str, str | None], config: ImportConfig, path: Place) -> str:
    found = {axis: unit for axis, unit in units.items() if unit is not None}
    stated = config.length_units
    for axis, unit in found.items():
        if stated is not None and unit != stated:
            raise UserError(
                f"{path}: {getattr(config.dims, axis)} is in {unit!r}, but simulation.length_units = {stated!r}; state "
                f"{unit!r}, or convert the coordinates"
            )
    if len({*found.values()}) > 1:
        raise UserError(
            f"{path}: y is in {found['y']!r} and x in {found['x']!r}; both sides need the same unit of length: write "
            "coordinates in metres along both into the file, with units = m (degrees of latitude and of longitude are "
            "not "
            "equally long)"
        )
    if not found and stated is None:
        raise UserError(f"{path}: the coordinates have no units; state simulation.length_units")
    return stated or next(iter(found.values()))
