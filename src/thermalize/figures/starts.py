"""The noise levels above which the thermalizers of an experiment start."""

from __future__ import annotations

from thermalize.config import ThermalizerConfig
from thermalize.diffusion.calibration import auto_start
from thermalize.figures.inputs import FigureInputs

__all__ = ["starts"]


def starts(inputs: FigureInputs, diffusion: str) -> dict[str, int]:
    """Stabilizer → starting level, for those that use this diffusion model.

    The level is the number in the config, else what the calibration in the model's card says; stabilizers whose model
    has no card at hand are left out.
    """
    card = inputs.cards.get(f"diffusion/{diffusion}", {})
    found: dict[str, int] = {}
    for label, stabilizer in inputs.experiment.named.items():
        if not isinstance(stabilizer, ThermalizerConfig) or stabilizer.diffusion != diffusion:
            continue
        if isinstance(stabilizer.start, int):
            found[label] = stabilizer.start
        elif "clean_level_counts" in card.get("calibration", {}):
            found[label] = auto_start(dict(card["calibration"]), stabilizer.false_trigger_rate)
    return found
