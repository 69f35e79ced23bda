"""Pictures to an animated GIF of bounded size, the same bytes whenever the same pictures come in.

All frames share one palette, so that nothing flickers. Where the file gets too large it is written again with fewer
levels of the fields' colours, and finally with every other frame.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from html import escape
from io import BytesIO

import numpy as np
from PIL import Image

__all__ = ["LARGEST", "encode", "page"]

LARGEST = 5_000_000
"""Bytes that a movie may have."""

ATTEMPTS = ((128, 1), (64, 1), (32, 1), (32, 2), (32, 4))
"""Levels, and which share of the frames is kept (one in so many), until the file is small enough."""


def encode(
    pictures: Sequence[np.ndarray],
    durations: Sequence[int],
    palette: Callable[[int], np.ndarray],
    comment: str = "",
    largest: int = LARGEST,
) -> bytes:
    """An endless GIF.

    Args:
        pictures: uint8 [y, x, RGB].
        durations: milliseconds of each; a frame that is left out gives its own to the one before it.
        palette: colours, uint8 [colour, RGB], for a number of levels.
        comment: kept in the file.
        largest: bytes that it should have at most; the last attempt is taken as it is.
    """
    data = b""
    for levels, every in ATTEMPTS:
        times = [sum(durations[start : start + every]) for start in range(0, len(durations), every)]
        data = _written(pictures[::every], times, palette(levels), comment)
        if len(data) <= largest:
            break
    return data


def _written(pictures: Sequence[np.ndarray], durations: list[int], palette: np.ndarray, comment: str) -> bytes:
    colours = Image.new("P", (1, 1))
    colours.putpalette(palette.tobytes())
    frames = [Image.fromarray(picture).quantize(palette=colours, dither=Image.Dither.NONE) for picture in pictures]
    file = BytesIO()
    frames[0].save(
        file, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=False,
        comment=comment.encode(),
    )  # fmt: skip
    return file.getvalue()


def page(data: bytes, title: str) -> str:
    """A GIF as a page of its own: a Snakemake report shows pages in place, but offers GIFs for download only."""
    source = f"data:image/gif;base64,{b64encode(data).decode()}"
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title></head>\n'
        f'<body><img src="{source}" alt="{escape(title)}" style="max-width: 100%"></body></html>\n'
    )
