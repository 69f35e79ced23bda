"""Figures and animations as files: the same bytes whenever the same is drawn, with where they come from.

Where an artifact comes from is said by names and digests only, by nothing that differs between two identical runs.
Figures are PDF for print and PNG for screens, animations GIF or PNG of bounded size: all frames share one palette, so
that nothing flickers, and where the file gets too large it is written again with fewer levels of the fields' colours,
and finally with every other frame.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from thermalize import __version__
from thermalize.config import Experiment
from thermalize.figures.style import styled
from thermalize.store import sealed

__all__ = ["LARGEST", "as_text", "config_digest", "encode", "provenance", "save"]

COSMETIC: dict[str, Any] = {"storage": True, "simulation": {"dask"}}


def config_digest(experiment: Experiment) -> str:
    """SHA-256 of the resolved configuration in canonical JSON; Dask workers, and where stores lie, do not count."""
    settings = experiment.model_dump(mode="json", exclude=COSMETIC)
    return "sha256:" + sha256(json.dumps(settings, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def provenance(experiment: Experiment) -> dict[str, str]:
    """Experiment, configuration digest and package version, for captions and the metadata of files."""
    return {"experiment": experiment.name, "config": config_digest(experiment), "version": __version__}


def as_text(origin: Mapping[str, str]) -> str:
    """A provenance in one line, for the metadata of a file."""
    return "; ".join(f"{key} {value}" for key, value in origin.items())


def save(figure: Figure, stem: Path, provenance: Mapping[str, str] | None = None) -> None:
    """Write ``stem.pdf`` and ``stem.png`` and digests; `provenance` goes to the files' metadata, dates never do."""
    origin = as_text(provenance or {})
    metadata = {
        "pdf": {"Title": stem.name, "Subject": origin, "Creator": "thermalize", "Producer": None, "CreationDate": None},
        "png": {"Title": stem.name, "Description": origin, "Software": "thermalize"},
    }
    contents = {kind: BytesIO() for kind in metadata}
    for kind, content in contents.items():
        with styled():
            figure.savefig(content, format=kind, metadata=metadata[kind])
    for kind, content in contents.items():
        sealed.write(stem.with_name(f"{stem.name}.{kind}"), content.getvalue())


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
