"""The one schema of an experiment: what `config.yaml` may say, with units, bounds and defaults.

Unknown keys are refused. `docs/config.schema.json` is generated from these models, and every stage reads its settings
through them. Quantities of the Kuramoto–Sivashinsky system are non-dimensional.
"""

from __future__ import annotations

from math import ceil, isclose, pi
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

__all__ = [
    "DaskConfig",
    "DiagnosticsConfig",
    "DiffusionConfig",
    "EmulatorConfig",
    "Experiment",
    "KuramotoSivashinskyConfig",
    "NoStabilizerConfig",
    "RolloutsConfig",
    "ScheduleConfig",
    "SimulationConfig",
    "SplitConfig",
    "ThermalizerConfig",
    "TrainingConfig",
    "UNetConfig",
    "UnrollConfig",
]

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
SplitName = Literal["train", "valid", "test"]


def quantity(unit: str, description: str, default: Any = ..., **bounds: Any) -> Any:
    """A number with its unit: the unit ends the description and is kept apart for error messages."""
    return Field(default, description=f"{description} [{unit}]", json_schema_extra={"unit": unit}, **bounds)


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)


class KuramotoSivashinskyConfig(Strict):
    """u_t = −½(u²)_x − u_xx − u_xxxx on a periodic interval."""

    kind: Literal["ks"]
    length: float = quantity("length units", "period L of the domain", gt=0)
    points: int = quantity("1", "even number N of equidistant grid points", ge=16, multiple_of=2)

    @model_validator(mode="after")
    def _resolved(self) -> KuramotoSivashinskyConfig:
        # Mean energies are a few per cent wrong at a highest wavenumber of 2, within 1 % at 2.5, unbounded near 1.
        highest = 2 * pi * ((self.points - 1) // 3) / self.length
        if highest < 2:
            needed = 3 * ceil(2.5 * self.length / (2 * pi)) + 1
            raise ValueError(
                f"points = {self.points} is too coarse for length = {self.length:g}: after de-aliasing it resolves "
                f"wavenumbers up to {highest:.2g}, and the dissipation needs 2; try points: {needed + needed % 2}"
            )
        return self

    @property
    def dt_limit(self) -> float:
        """Largest step at which ETDRK4 still resolves the attractor (error 8e−4 after 20 time units at 0.25)."""
        return 0.25


class SplitConfig(Strict):
    members: int = quantity("1", "ensemble members, each from its own initial condition", gt=0)
    frames: int = quantity("1", "stored frames per member", gt=1)


class DaskConfig(Strict):
    workers: int = quantity("1", "single-threaded worker processes of the local cluster", 2, gt=0)
    scheduler: str | None = Field(None, description="address of a running Dask scheduler instead of a local cluster")


class SimulationConfig(Strict):
    system: KuramotoSivashinskyConfig = Field(description="equation, domain and grid")
    dt: float = quantity("time units", "step of the solver", gt=0)
    frame_interval: float = quantity("time units", "time between stored frames, which is the emulator's step", gt=0)
    spin_up: float = quantity("time units", "time discarded before the first frame", 200.0, ge=0)
    precision: Literal["float32", "float64"] = Field("float64", description="arithmetic of the solver")
    block: int = quantity("1", "members that one Dask task integrates and writes as its own shards", 8, gt=0)
    shard_frames: int = quantity("1", "frames per shard file, the unit of streaming", 200, gt=0)
    splits: dict[SplitName, SplitConfig] = Field(description="train, valid and test; their members are different")
    dask: DaskConfig = DaskConfig()

    @property
    def steps_per_frame(self) -> int:
        return round(self.frame_interval / self.dt)

    @model_validator(mode="after")
    def _time_steps_fit(self) -> SimulationConfig:
        limit = self.system.dt_limit
        if self.dt > limit:
            steps = -int(-self.frame_interval // limit)
            raise ValueError(
                f"dt = {self.dt:g} time units is above the stability limit {limit:g} of this system and solver; "
                f"try dt = {self.frame_interval / steps:.6g}"
            )
        if self.steps_per_frame < 1 or not isclose(self.steps_per_frame * self.dt, self.frame_interval, rel_tol=1e-9):
            raise ValueError(
                f"frame_interval = {self.frame_interval:g} is not a whole number of steps dt = {self.dt:g}; "
                f"try dt = {self.frame_interval / max(1, self.steps_per_frame):.6g}"
            )
        return self

    @model_validator(mode="after")
    def _splits_fit(self) -> SimulationConfig:
        missing = {"train", "valid", "test"} - set(self.splits)
        if missing:
            raise ValueError(f"splits lacks {', '.join(sorted(missing))}")
        for name, split in self.splits.items():
            if split.members % self.block:
                raise ValueError(
                    f"splits.{name}.members = {split.members} is not divisible by block = {self.block}; "
                    f"try members: {self.block * -(-split.members // self.block)}"
                )
        return self


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


class NoStabilizerConfig(Strict):
    """The raw emulator."""

    kind: Literal["none"]


class ThermalizerConfig(Strict):
    """Denoise members whose predicted noise level exceeds `start` (Pedersen, Zanna, Bruna, arXiv 2503.18731)."""

    kind: Literal["thermalizer"]
    diffusion: Name | None = Field(None, description="model under `diffusion`; all of them when left out")
    start: int | Literal["auto"] = Field("auto", description="thermalize above this noise level [levels]")
    stop: int | Literal["auto", "clean"] = Field(
        "clean", description="denoise down to this level; clean goes to none [levels]"
    )
    false_trigger_rate: float = quantity(
        "1", "share of held-out true states that `start: auto` lets trigger", 1e-3, gt=0, lt=1
    )
    forward_noise: bool = Field(True, description="add the noise of the predicted level before denoising")
    sampler: Literal["ddpm", "ddim"] = Field(
        "ddpm", description="reverse steps with (ddpm) or without (ddim) fresh noise"
    )
    reverse_steps: int | None = Field(
        None,
        gt=0,
        description="most network evaluations of one thermalization; every level when left out [evaluations]",
    )
    check_every: int = quantity("emulator steps", "steps between two looks at the noise level", 1, gt=0)
    conserve_mean: bool = Field(True, description="give a thermalized state the domain mean that it had before")

    @model_validator(mode="after")
    def _ordered(self) -> ThermalizerConfig:
        for name in ("start", "stop"):
            value = getattr(self, name)
            if isinstance(value, int) and value < 0:
                raise ValueError(f"{name} = {value} is not a noise level; levels begin at 0")
        if isinstance(self.start, int) and isinstance(self.stop, int) and self.stop >= self.start:
            raise ValueError(f"stop = {self.stop} must lie below start = {self.start}")
        return self


StabilizerConfig = Annotated[NoStabilizerConfig | ThermalizerConfig, Field(discriminator="kind")]


class RolloutsConfig(Strict):
    members: int = quantity("1", "rollouts per seed, each from its own test member", 16, gt=0)
    steps: int = quantity("emulator steps", "length of every rollout", gt=0)
    chunk: int = quantity("emulator steps", "steps per stored chunk, the unit of streaming and of resuming", 500, gt=0)
    initial: Literal["first", "random"] = Field(
        "first", description="start at the first test frame, or at one drawn for every seed and member"
    )
    lost_above: float = quantity(
        "standard deviations of the data", "a member whose largest value exceeds this is recorded as lost", 30.0, gt=0
    )
    stabilizers: dict[Name, StabilizerConfig] = Field(min_length=1, description="named ways to run the emulator")


class DiagnosticsConfig(Strict):
    energy_fraction: float = quantity(
        "1", "share of the truth's variance in the energy-containing shells", 0.999, gt=0, lt=1
    )
    correlation_thresholds: tuple[float, ...] = Field((0.8, 0.9, 0.95), description="high-correlation thresholds [1]")
    spectrum_window: int = quantity("frames", "frames averaged for a member's spectrum in the envelope", 50, gt=0)
    frozen_steps: int = quantity("emulator steps", "consecutive motionless steps that count as frozen", 20, gt=0)
    frozen_fraction: float = quantity("1", "motionless: increment below this share of the truth's median", 0.01, gt=0)
    pdf_bins: int = quantity("1", "bins of the probability densities", 100, gt=1)
    max_lag: int = quantity("emulator steps", "longest lag of the autocorrelation", 100, gt=0)
    resamples: int = quantity("1", "bootstrap resamples behind every interval", 1000, gt=0)
    confidence: float = quantity("1", "confidence of every interval", 0.95, gt=0, lt=1)


class Experiment(Strict):
    """A whole experiment: one results folder, every artifact in it."""

    name: Name = Field(description="results go to results/{name}")
    seed: int = Field(0, ge=0, description="root of every random stream")
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field((0,), min_length=1, description="rollout seeds")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="where networks run")
    simulation: SimulationConfig
    emulators: dict[Name, EmulatorConfig] = Field(min_length=1, description="named emulators")
    diffusion: dict[Name, DiffusionConfig] = Field(default_factory=dict, description="named diffusion models")
    rollouts: RolloutsConfig
    diagnostics: DiagnosticsConfig = DiagnosticsConfig()

    @model_validator(mode="after")
    def _consistent(self) -> Experiment:
        available = self.simulation.splits["test"].members
        if self.rollouts.members > available:
            raise ValueError(
                f"rollouts.members = {self.rollouts.members} exceeds simulation.splits.test.members = {available}"
            )
        self._check_grid()
        for label, stabilizer in self.stabilizers.items():
            if isinstance(stabilizer, ThermalizerConfig):
                self._check_thermalizer(label, stabilizer)
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds holds a number twice")
        return self

    def _check_grid(self) -> None:
        points = self.simulation.system.points
        for group in ("emulators", "diffusion"):
            for name, model in getattr(self, group).items():
                factor = 2 ** (len(model.network.multipliers) - 1)
                if points % factor:
                    raise ValueError(
                        f"{group}.{name}.network halves the grid {len(model.network.multipliers) - 1} times, "
                        f"but points = {points} is not divisible by {factor}"
                    )

    def _check_thermalizer(self, label: str, stabilizer: ThermalizerConfig) -> None:
        if stabilizer.diffusion not in self.diffusion:
            known = ", ".join(self.diffusion) or "none is configured"
            raise ValueError(
                f"rollouts.stabilizers.{label}.diffusion = {stabilizer.diffusion!r} is not under diffusion ({known})"
            )
        top = self.diffusion[stabilizer.diffusion].train_levels
        if isinstance(stabilizer.start, int) and stabilizer.start >= top - 1:
            raise ValueError(
                f"rollouts.stabilizers.{label}.start = {stabilizer.start} is not below train_levels − 1 = {top - 1}"
            )

    @property
    def stabilizers(self) -> dict[str, NoStabilizerConfig | ThermalizerConfig]:
        """Every stabilizer with its diffusion model named: one without a name stands for one of each model."""
        resolved: dict[str, NoStabilizerConfig | ThermalizerConfig] = {}
        for label, stabilizer in self.rollouts.stabilizers.items():
            if isinstance(stabilizer, NoStabilizerConfig) or stabilizer.diffusion is not None:
                resolved[label] = stabilizer
                continue
            names: list[str | None] = [*self.diffusion] or [None]
            for name in names:
                key = label if len(names) == 1 else f"{label}-{name}"
                resolved[key] = stabilizer.model_copy(update={"diffusion": name})
        return resolved
