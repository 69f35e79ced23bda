"""Every figure of an experiment: importing this package registers them, `FIGURES` names them, `save` writes them."""

from __future__ import annotations

from thermalize.figures import (
    ablation,
    calibration,
    distributions,
    ensemble,
    fields,
    health,
    overview,
    samples,
    spacetime,
    spectra,
    survival,
    training,
)
from thermalize.figures.inputs import FigureInputs
from thermalize.figures.registry import FIGURES, Draw, draw, register
from thermalize.figures.saving import save

__all__ = [
    "FIGURES",
    "Draw",
    "FigureInputs",
    "ablation",
    "calibration",
    "distributions",
    "draw",
    "ensemble",
    "fields",
    "health",
    "overview",
    "register",
    "samples",
    "save",
    "spacetime",
    "spectra",
    "survival",
    "training",
]
