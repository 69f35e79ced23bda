"""Networks, their training, the emulator and the diffusion model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from thermalize.config.base import Strict, quantity

__all__ = ["DiffusionConfig", "EmulatorConfig", "ScheduleConfig", "TrainingConfig", "UNetConfig", "UnrollConfig"]


class UNetConfig(Strict):
    """Residual convolutional U-Net, periodic in every axis, 1-D or 2-D as the system is."""

    kind: Literal["unet"] = "unet"
    width: int = quantity("channels", "channels of the finest level", 16, gt=0)
    multipliers: tuple[int, ...] = Field(
        (1, 2, 4),
        min_length=1,
        description="channels of each level in units of width; each further level halves the grid",
    )
    blocks: int = quantity("1", "residual blocks per level", 1, gt=0)
    kernel_size: int = quantity("grid points", "odd width of every convolution", 5, ge=3)

    @model_validator(mode="after")
    def _odd_kernel(self) -> UNetConfig:
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size = {self.kernel_size} is even; try {self.kernel_size + 1}")
        return self


class TrainingConfig(Strict):
    """AdamW with linear warm-up and cosine decay, gradient clipping and a moving average of the weights."""

    updates: int = quantity("updates", "length of the training", gt=0)
    batch_size: int = quantity("samples", "samples per update", 32, gt=0)
    learning_rate: float = quantity("1", "peak learning rate", 1e-3, gt=0)
    warmup: int = quantity("updates", "linear rise to the peak learning rate", 50, ge=0)
    final_learning_rate: float = quantity("1", "final learning rate as a fraction of the peak", 0.01, ge=0, le=1)
    weight_decay: float = quantity("1", "decoupled weight decay of AdamW", 0.01, ge=0)
    clip_norm: float = quantity("1", "largest global gradient norm; larger gradients are scaled down to it", 1.0, gt=0)
    ema: float = quantity("1", "decay of the moving average of the weights per update", 0.995, ge=0, lt=1)
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="arithmetic of the forward pass; auto takes bfloat16 autocast where it pays"
    )
    validate_every: int = quantity("updates", "updates between validations on held-out members", 100, gt=0)
    checkpoint_every: int = quantity("updates", "updates between checkpoints", 100, gt=0)


class UnrollConfig(Strict):
    start: int = quantity("emulator steps", "unrolled steps at the beginning", 1, gt=0)
    maximum: int = quantity("emulator steps", "unrolled steps at the end", 2, gt=0)
    grow_every: int = quantity("updates", "updates after which one more step is unrolled", 500, gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> UnrollConfig:
        if self.maximum < self.start:
            raise ValueError(f"unroll.maximum = {self.maximum} is below unroll.start = {self.start}")
        return self


class EmulatorConfig(Strict):
    """Residual emulator x_{t+1} = x_t + F(x_t), trained on its own unrolled predictions."""

    kind: Literal["residual"] = "residual"
    network: UNetConfig = UNetConfig()
    unroll: UnrollConfig = UnrollConfig()
    conserve_mean: bool = Field(
        True, description="remove the domain mean of every increment: the equation conserves the mean of the state"
    )
    noise: float = quantity(
        "standard deviations of the data", "noise added to the state from the second unrolled step on", 0.0, ge=0
    )
    training: TrainingConfig


class ScheduleConfig(Strict):
    kind: Literal["cosine"] = "cosine"
    levels: int = quantity("levels", "noise levels from almost clean to pure noise", 1000, gt=1)


class DiffusionConfig(Strict):
    """Denoiser of single snapshots: predicts the noise and, from its bottleneck, the noise level."""

    network: UNetConfig = UNetConfig(width=24)
    schedule: ScheduleConfig = ScheduleConfig()
    train_levels: int = quantity(
        "levels", "training sees levels 0 … train_levels−1, those thermalization uses", 200, gt=1
    )
    level_weight: float = quantity("1", "weight of the level head's cross-entropy in the loss", 1.0, ge=0)
    training: TrainingConfig

    @model_validator(mode="after")
    def _levels_exist(self) -> DiffusionConfig:
        if self.train_levels > self.schedule.levels:
            raise ValueError(
                f"train_levels = {self.train_levels} is more than the schedule has (levels = {self.schedule.levels})"
            )
        return self
