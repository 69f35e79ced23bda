"""What a stabilizer needs of other results, as the workflow declares it and the stages read it."""

from __future__ import annotations

from pathlib import Path

from thermalize.config import NoStabilizerConfig, ThermalizerConfig
from thermalize.paths import Results

__all__ = ["stores_for"]


def stores_for(
    config: NoStabilizerConfig | ThermalizerConfig, paths: Results, emulator: str, seed: int | str
) -> list[Path]:
    """Manifests of the rollout that it is like and of the truth that it compares band energies with, where it does."""
    if not isinstance(config, ThermalizerConfig):
        return []
    like = [] if config.like is None else [paths.rollout(emulator, config.like, seed)]
    return like + ([] if config.drift is None else [paths.simulation("train")])
