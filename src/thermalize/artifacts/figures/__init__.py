"""Every figure of an experiment: importing this package registers them, `FIGURES` names them, `save` writes them."""

from __future__ import annotations

from thermalize.artifacts.figures import (
    ablation,
    calibration,
    distributions,
    fields,
    health,
    overview,
    spacetime,
    spectra,
    survival,
    training,
)
from thermalize.artifacts.figures.registry import FIGURES, Draw, draw, register
from thermalize.artifacts.inputs import FigureInputs
from thermalize.artifacts.saving import save

__all__ = [
    "FIGURES",
    "Draw",
    "FigureInputs",
    "ablation",
    "calibration",
    "distributions",
    "draw",
    "fields",
    "health",
    "overview",
    "register",
    "save",
    "spacetime",
    "spectra",
    "survival",
    "training",
]
