"""Which device a stage runs on, and in which precision."""

from __future__ import annotations

import os

import torch

from thermalize.runtime.errors import UserError

__all__ = ["autocast", "resolve"]


def resolve(device: str, gpus: int | None = None, needed: int = 1) -> torch.device:
    """The device for `device: auto|cpu|cuda|mps`; `gpus` is what the scheduler granted (None: not asked).

    Raises UserError where a GPU is demanded but absent or not granted, and where fewer than `needed` are granted or
    visible.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError(
            f"device: cuda was asked for, but this machine has no usable CUDA GPU{_hidden()}; set device: auto or cpu"
        )
    if device == "mps" and not torch.backends.mps.is_available():
        raise UserError("device: mps was asked for, but this machine has no usable Apple GPU; set device: auto or cpu")
    if device == "cuda" and gpus == 0:
        raise UserError(
            f"device: cuda was asked for, but the scheduler granted none; raise its limit: --resources gpu={needed}"
        )
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() and gpus != 0 else "cpu"
    if device == "cuda" and gpus is not None:
        _refuse_too_few(gpus, needed)
    return torch.device(device)


def _refuse_too_few(gpus: int, needed: int) -> None:
    advice = f"raise its limit, --resources gpu={needed}, or lower training.gpus"
    if gpus < needed:
        raise UserError(f"{needed} GPUs are needed, but the scheduler granted {gpus}; {advice}")
    if (visible := torch.cuda.device_count()) < needed:
        raise UserError(f"{needed} GPUs are needed, but {visible} can be used{_hidden()}; lower training.gpus")


def _hidden() -> str:
    """What the environment says of the devices that may be used, for a message."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    return "" if chosen is None else f" (CUDA_VISIBLE_DEVICES={chosen})"


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """bfloat16 autocast where asked for; `auto` takes it on CUDA devices that have it natively.

    bfloat16 resolves no more than the lowest noise levels, so on a CPU, where it gains less, `auto` keeps float32.
    """
    native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    wanted = precision == "bfloat16" or (precision == "auto" and native)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=wanted)
