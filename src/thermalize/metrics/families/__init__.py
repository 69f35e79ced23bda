"""Every family of metrics, one a module; what lies in this folder is registered."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

__all__: list[str] = []

for module in iter_modules(__path__):
    import_module(f"{__name__}.{module.name}")
