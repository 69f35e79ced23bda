"""What a colour stands for: a scale symmetric about zero that the truth sets, and a bar that names field and units."""

from __future__ import annotations

from textwrap import fill
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter, MaxNLocator

from thermalize.artifacts.inputs import units
from thermalize.artifacts.units import number_scale

__all__ = ["channel_names", "colour_bar", "described", "symmetric_limit"]

SHARE = 0.995
NAMES = {"upper": "upper layer", "lower": "lower layer"}
CHARACTERS_PER_INCH = 18
NO_BREAK = "\xa0"


def symmetric_limit(*states: np.ndarray) -> float:
    """The magnitude that 99.5 % of the finite values stay below; 1 where there are none."""
    magnitudes = np.concatenate([np.abs(values[np.isfinite(values)]) for values in states])
    return float(np.quantile(magnitudes, SHARE)) if magnitudes.size else 1.0


def channel_names(field: xr.DataArray) -> list[str]:
    """The channels in words, or one empty name where there is only one."""
    names = [str(name) for name in field["channel"].to_numpy()]
    return [NAMES.get(name, name) for name in names] if len(names) > 1 else [""]


def described(field: xr.DataArray, channel: int = 0) -> str:
    """The field in words, with its channel where there are several."""
    name = str(field.attrs.get("long_name", field.name))
    channel_name = channel_names(field)[channel].replace(" ", NO_BREAK)
    return f"{name}, {channel_name}" if channel_name else name


def colour_bar(
    figure: Figure | SubFigure, image: AxesImage, axes: np.ndarray, field: xr.DataArray, channel: int, height: float,
    **place: Any,
) -> None:  # fmt: skip
    """The bar of an image beside `axes`, which are `height` inches high together; numbers with their power of ten."""
    scale = number_scale(units(field), image.get_clim()[1])
    bar = figure.colorbar(image, ax=axes, extend="both", **place)
    bar.locator = MaxNLocator(8, steps=[1, 2, 5, 10], symmetric=True)
    bar.formatter = FuncFormatter(lambda value, _: f"{value * scale.factor:g}".replace("-", "−"))
    bar.update_ticks()
    words = f"{described(field, channel)} [{scale.units.replace(' ', NO_BREAK)}]"
    bar.set_label(fill(words, max(20, int(height * CHARACTERS_PER_INCH)), break_long_words=False))
