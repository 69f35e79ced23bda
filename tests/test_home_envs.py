"""The conda environments follow from the lock, name what their stages import, and are specifications conda understands."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from rattler import GenericVirtualPackage, MatchSpec, PackageName, PackageRecord, Version

from thermalize.sources import STAGES, sources

ROOT = Path(__file__).parents[1]
ROLE_OF = {
    "simulate": "simulate",
    "emulator": "train",
    "diffusion": "train",
    "rollout": "train",
    "cost": "train",
    "diagnose": "analyse",
    "artifacts": "analyse",
}
EVERY_COMMAND = ("__main__", "cli", "config", "configfile", "configmessages", "configpage", "configplaces", "errors", "paths", "progress")


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_environments", ROOT / "envs" / "generate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
