"""How a network is trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from thermalize.config.base import Strict, quantity

__all__ = ["COMPUTED_HOW", "MOST_UPDATES", "TrainingConfig"]


COMPUTED_HOW = frozenset({"gpus", "tensorboard", "checkpoint_every"})
"""Keys of a training that say how it is computed or watched, not what comes of it."""


MOST_UPDATES = 10**12


class TrainingConfig(Strict):
    """AdamW with linear warm-up and decay, gradient clipping and a moving average of the weights."""

    updates: int = quantity("updates", "length of the training", gt=0, le=MOST_UPDATES)
    batch_size: int = quantity("samples", "samples per update, of all processes together", 32, gt=0, le=1_000_000)
    learning_rate: float = quantity("1", "peak learning rate", 1e-3, gt=0, le=10)
    warmup: int = quantity("updates", "linear rise to the peak learning rate", 50, ge=0, le=MOST_UPDATES)
    decay: Literal["cosine", "linear", "constant"] = Field(
        "cosine", description="how the learning rate falls from the peak to the final one"
    )
    final_learning_rate: float = quantity("1", "final learning rate as a fraction of the peak", 0.01, ge=0, le=1)
    weight_decay: float = quantity("1", "decoupled weight decay of AdamW", 0.01, ge=0, le=100)
    clip_norm: float = quantity(
        "1", "largest global gradient norm; larger gradients are scaled down to it", 1.0, gt=0, le=1e12
    )
    ema: float = quantity("1", "decay of the moving average of the weights per update", 0.995, ge=0, lt=1)
    validate_every: int = quantity(
        "updates", "updates between validations on held-out members", 100, gt=0, le=MOST_UPDATES
    )
    patience: int | None = Field(
        None,
        gt=0,
        le=MOST_UPDATES,
        description="validations without a better one after which training stops; never when left out",
    )
    checkpoint_every: int = quantity("updates", "updates between checkpoints", 100, gt=0, le=MOST_UPDATES)
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="arithmetic of the forward pass; auto takes bfloat16 autocast where it pays"
    )
    channels_last: bool = Field(False, description="keep fields with the channel as the fastest axis in memory (2-D)")
    compile: bool = Field(False, description="compile the network with torch.compile; needs a C++ compiler on CPUs")
    micro_batch: int | None = Field(
        None,
        gt=0,
        le=1_000_000,
        description="most samples per pass; gradients of several passes are added up, so an update stays the same. "
        "When left out, the whole batch, and half of it again and again where memory is short [samples]",
    )
    data: Literal["auto", "memory", "stream"] = Field(
        "auto", description="train split in memory, or read along the way in shuffled blocks; auto: what fits"
    )
    memory: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="memory for training data; when left out, half of what is free, or 4 GB of it to stream [GB]",
    )
    gpus: int = quantity("GPUs", "GPUs that train side by side, each on its share of every batch", 1, gt=0, le=4096)
    tensorboard: bool = Field(False, description="write TensorBoard event files; needs thermalize[tensorboard]")

    @model_validator(mode="after")
    def _shares_are_equal(self) -> TrainingConfig:
        if self.batch_size % self.gpus:
            raise ValueError(f"batch_size = {self.batch_size} is not divisible by gpus = {self.gpus}")
        return self
