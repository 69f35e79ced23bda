"""Where an artifact comes from: names and digests only, nothing that differs between two identical runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from thermalize import __version__
from thermalize.config import Experiment

__all__ = ["as_text", "config_digest", "provenance"]

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
