"""Pictures to an animated GIF or PNG of bounded size, the same bytes whenever the same pictures come in.

All frames share one palette, so that nothing flickers. Where the file gets too large it is written again with fewer
levels of the fields' colours, and finally with every other frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any, Literal

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

__all__ = ["LARGEST", "encode"]

LARGEST = 5_000_000
"""Bytes that a movie may have."""

ATTEMPTS = ((128, 1), (64, 1), (32, 1), (32, 2), (32, 4))
"""Levels, and which share of the frames is kept (one in so many), until the file is small enough."""


def encode(
    kind: Literal["GIF", "PNG"],
    pictures: Sequence[np.ndarray],
    durations: Sequence[int],
    palette: Callable[[int], np.ndarray],
    comment: str = "",
    largest: int = LARGEST,
) -> bytes:
    """An endless animation.

    Args:
        kind: format of the file.
        pictures: uint8 [y, x, RGB].
        durations: milliseconds of each; a frame that is left out gives its own to the one before it.
        palette: colours, uint8 [colour, RGB], for a number of levels.
        comment: kept in the file.
        largest: bytes that it should have at most; the last attempt is taken as it is.
    """
    data = b""
    for levels, every in ATTEMPTS:
        times = [sum(durations[start : start + every]) for start in range(0, len(durations), every)]
        frames = _quantised(pictures[::every], palette(levels))
        data = _written(kind, frames, times, comment)
        if len(data) <= largest:
            break
    return data


def _quantised(pictures: Sequence[np.ndarray], palette: np.ndarray) -> list[Image.Image]:
    colours = Image.new("P", (1, 1))
    colours.putpalette(palette.tobytes())
    return [Image.fromarray(picture).quantize(palette=colours, dither=Image.Dither.NONE) for picture in pictures]


def _written(kind: str, frames: list[Image.Image], durations: list[int], comment: str) -> bytes:
    info = PngInfo()
    info.add_text("Description", comment)
    notes: dict[str, Any] = {"pnginfo": info} if kind == "PNG" else {"comment": comment.encode()}
    file = BytesIO()
    frames[0].save(file, kind, save_all=True, append_images=frames[1:], duration=durations, loop=0, **notes)
    return file.getvalue()
