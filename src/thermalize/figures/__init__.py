"""Every figure of an experiment: what lies in this folder is registered; `FIGURES` names them, `save` writes them."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from thermalize.figures.inputs import FigureInputs
from thermalize.figures.registry import FIGURES, Draw, draw, register
from thermalize.figures.saving import save

__all__ = ["FIGURES", "Draw", "FigureInputs", "draw", "register", "save"]

for module in iter_modules(__path__):
    import_module(f"{__name__}.{module.name}")
