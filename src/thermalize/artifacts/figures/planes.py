"""A field of two dimensions as a picture: its plane in units of length, and what stands in for a lost state."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from thermalize.artifacts.inputs import units
from thermalize.artifacts.style import FIELD_MAP, LOST
from thermalize.artifacts.units import length_scale

__all__ = ["Plane", "paint_plane", "plane_of", "remark"]

BOX = {"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85}


class Plane(NamedTuple):
    """Where the picture lies (left, right, bottom, top) in units of length as they are shown, and labels of x and y."""

    extent: tuple[float, float, float, float]
    labels: tuple[str, str]


def plane_of(field: xr.DataArray) -> Plane:
    """The plane of the last two axes; it is periodic and ends one spacing after its last points."""
    y, x = (field[name] for name in field.dims[-2:])
    scale = length_scale(units(x), float(x[-1] - x[0]))
    ends = [(float(axis[0]), float(2 * axis[-1] - axis[-2])) for axis in (x, y)]
    (left, right), (bottom, top) = ((low * scale.factor, high * scale.factor) for low, high in ends)
    return Plane((left, right, bottom, top), (f"{x.name} [{scale.units}]", f"{y.name} [{scale.units}]"))


def paint_plane(axes: Axes, values: np.ndarray, plane: Plane, limit: float) -> AxesImage:
    """A state [y, x] from −`limit` to `limit`; hatched where it has no numbers."""
    gone = not np.isfinite(values).all()
    shown = np.full_like(values, np.nan) if gone else values
    image = axes.imshow(
        shown, FIELD_MAP, interpolation="none", vmin=-limit, vmax=limit, origin="lower", extent=plane.extent,
    )  # fmt: skip
    left, right, bottom, top = plane.extent
    if gone:
        axes.add_patch(Rectangle((left, bottom), right - left, top - bottom, **LOST))
    axes.spines[["top", "right"]].set_visible(True)
    return image


def remark(axes: Axes, text: str) -> None:
    """A few words at the foot of a panel, or in the middle where it is hatched."""
    if not text:
        return
    middle = any(patch.get_hatch() for patch in axes.patches)
    broken = text.replace(": ", ":\n").replace(" t = ", "\nt = ")
    axes.text(
        0.5, 0.5 if middle else 0.06, broken, transform=axes.transAxes, ha="center",
        va="center" if middle else "bottom", fontsize=6, bbox=BOX,
    )  # fmt: skip
