"""A trained diffusion model out of its model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from thermalize.config import DiffusionConfig
from thermalize.diffusion import schedule as schedules
from thermalize.diffusion.denoiser import Denoiser
from thermalize.diffusion.trained import TrainedDiffusion
from thermalize.models.external import Trust, require_trust
from thermalize.models.folder import load_weights, read_card, refuse_larger

__all__ = ["load_diffusion"]


def load_diffusion(
    folder: Path | str,
    system: dict[str, Any] | None = None,
    device: torch.device | str = "cpu",
    *,
    trust_code: Trust = False,
) -> TrainedDiffusion:
    """Denoiser, schedule and calibration of a model folder; refused where it is of another system than `system`.

    A network of `kind: import` names a Python function, which is called only with `trust_code=True`, or where the
    configuration given there names the same one with the same options.
    """
    folder = Path(folder)
    card = read_card(folder, "diffusion", system)
    require_trust(folder, card, trust_code)
    config = DiffusionConfig.model_validate(card["config"])
    refuse_larger(folder, config.network, card["dims"], card["channels"])
    model = Denoiser(config, card["dims"], card["channels"])
    load_weights(folder, model, card)
    return TrainedDiffusion(model.to(device), schedules.build(config.schedule), card["calibration"])
