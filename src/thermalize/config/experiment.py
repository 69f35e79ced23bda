"""A whole experiment, and what must fit together across its sections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from math import prod
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from thermalize.config.base import Name, Seed, Strict, by_kind
from thermalize.config.collisions import name_fault, number_fault
from thermalize.config.diagnostics import DiagnosticsConfig, ImportedFigureConfig, OwnName
from thermalize.config.diffusion import DiffusionConfig
from thermalize.config.external import ExportedEmulatorConfig, ImportedEmulatorConfig
from thermalize.config.imported import ImportConfig
from thermalize.config.rollouts import NoStabilizerConfig, RolloutsConfig, ThermalizerConfig
from thermalize.config.simulation import SimulationConfig
from thermalize.config.sweeps import Point, expand
from thermalize.config.texts import url_fault
from thermalize.config.training import EmulatorConfig, TrainingConfig

__all__ = ["Experiment"]


def _shape(value: Any) -> str:
    """The section with the key `import` reads files, any other simulates."""
    reads = isinstance(value, ImportConfig) or (isinstance(value, dict) and "import" in value)
    return (ImportConfig if reads else SimulationConfig).__name__


def _by_import(schema: dict[str, Any]) -> None:
    """Editors complain about the shape that is meant, not about both."""
    simulated, imported = schema.pop("oneOf")
    schema |= {"if": {"required": ["import"]}, "then": imported, "else": simulated}


# Tags are the names of the classes, by which `places` finds the section that a fault lies in.
Simulation = Annotated[
    Annotated[SimulationConfig, Tag("SimulationConfig")] | Annotated[ImportConfig, Tag("ImportConfig")],
    Discriminator(_shape),
]


AnyEmulator = Annotated[
    Annotated[EmulatorConfig, Tag("residual")]
    | Annotated[ImportedEmulatorConfig, Tag("import")]
    | Annotated[ExportedEmulatorConfig, Tag("exported")],
    by_kind("residual"),
]

AnyStabilizer = NoStabilizerConfig | ThermalizerConfig
LEAST_TEST_MEMBERS = 2
STREAMED_SHARDS = 4
"""That are in memory together at least while a training streams."""


class Experiment(Strict):
    """A whole experiment: one results folder, every artifact in it."""

    name: Name = Field(description="results go to results/{name}")
    seed: Seed = Field(0, description="root of every random stream")
    seeds: tuple[Seed, ...] = Field((0,), min_length=1, max_length=10_000, description="rollout seeds")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="where networks run")
    storage: str | None = Field(
        None,
        max_length=1000,
        description="URL below which trajectories are stored, such as s3://bucket/prefix; beside the manifests without",
    )
    simulation: Simulation = Field(
        description="the truth: simulated, or with `import` read from files", json_schema_extra=_by_import
    )
    emulators: dict[Name, AnyEmulator] = Field(min_length=1, max_length=100, description="named emulators")
    diffusion: dict[Name, DiffusionConfig] = Field(
        default_factory=dict, max_length=100, description="named diffusion models"
    )
    rollouts: RolloutsConfig
    diagnostics: DiagnosticsConfig = DiagnosticsConfig()
    figures: dict[OwnName, ImportedFigureConfig] = Field(
        default_factory=dict, max_length=100, description="named figures of the user's own, beside those there are"
    )

    @field_validator("storage")
    @classmethod
    def _storage_is_url(cls, value: str | None) -> str | None:
        if value is not None and (fault := url_fault(value)):
            raise ValueError(fault)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Experiment:
        available = self.simulation.splits["test"].stored_members
        if self.rollouts.members > available:
            raise ValueError(
                f"rollouts.members = {self.rollouts.members} exceeds simulation.splits.test.members = {available}"
            )
        if fault := self.grid_fault(self.simulation.grid):
            raise ValueError(fault)
        named = self.named
        for label, stabilizer in named.items():
            if isinstance(stabilizer, ThermalizerConfig) and (fault := self._thermalizer_fault(stabilizer, named)):
                raise ValueError(f"rollouts.stabilizers.{label}.{fault}")
        stabilizers = self.stabilizers  # sweeps say themselves where they cannot be expanded
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds holds a number twice")
        names: dict[str, Iterable[str]] = {
            "emulators": self.emulators,
            "diffusion": self.diffusion,
            "rollouts.stabilizers": stabilizers,
        }
        if fault := name_fault(names) or number_fault(len(self.emulators), len(stabilizers), len(self.seeds)):
            raise ValueError(fault)
        return self

    @model_validator(mode="after")
    def _data_suffice(self) -> Experiment:
        """What stages would miss only once everything before them is computed."""
        splits = self.simulation.splits
        if splits["test"].stored_members < LEAST_TEST_MEMBERS:
            raise ValueError(
                "simulation.splits.test.members = 1 leaves diagnostics no second half of the truth for a noise floor; "
                f"write at least {LEAST_TEST_MEMBERS}"
            )
        for name, emulator in self.emulators.items():
            if isinstance(emulator, EmulatorConfig) and (unrolled := emulator.longest_unroll) >= splits["train"].frames:
                raise ValueError(
                    f"emulators.{name}.unroll: {unrolled} unrolled steps need {unrolled + 1} frames in a row, but "
                    f"simulation.splits.train.frames = {splits['train'].frames}; lower unroll.maximum, or raise frames"
                )
        for group in ("emulators", "diffusion"):
            for name, model in getattr(self, group).items():
                trained = isinstance(model, EmulatorConfig | DiffusionConfig)
                if trained and (fault := self._stream_fault(model.training)):
                    raise ValueError(f"{group}.{name}.training.{fault}")
        return self

    def _stream_fault(self, training: TrainingConfig) -> str | None:
        """Whether the train split neither fits into the memory that is allowed, nor its shards to stream them."""
        simulation, split = self.simulation, self.simulation.splits["train"]
        if training.memory is None or training.data == "memory" or not simulation.grid:
            return None
        frame = 4e-9 * simulation.channel_count * prod(simulation.grid)
        shards = STREAMED_SHARDS * frame * simulation.block * min(simulation.shard_frames, split.frames)
        needed = shards if training.data == "stream" else min(shards, frame * split.stored_members * split.frames)
        if training.memory >= needed:
            return None
        return (
            f"memory = {training.memory:g} GB is too little to stream shards of the train split; try {2 * needed:.2g}"
        )

    @property
    def has_ensembles(self) -> bool:
        """Whether the seeds of a rollout are members of an ensemble: several, that start from the same true states."""
        return len(self.seeds) > 1 and self.rollouts.initial == "first"

    def grid_fault(self, grid: tuple[int, ...]) -> str | None:
        """What keeps the networks from running on a grid; imported data may show theirs only when they are read."""
        for group in ("emulators", "diffusion"):
            for name, model in getattr(self, group).items():
                if not isinstance(model, EmulatorConfig | DiffusionConfig):
                    continue
                where = f"{group}.{name}.network"
                fault = model.network.grid_fault(grid, where) or model.network.boundary_fault(len(grid), where)
                if fault:
                    return fault
        return None

    def _thermalizer_fault(self, stabilizer: ThermalizerConfig, named: Mapping[str, AnyStabilizer]) -> str | None:
        """What does not fit between a stabilizer and the diffusion models, beginning with the key."""
        if stabilizer.diffusion not in self.diffusion:
            known = ", ".join(self.diffusion) or "none is configured"
            return f"diffusion = {stabilizer.diffusion!r} is not under diffusion ({known})"
        top = self.diffusion[stabilizer.diffusion].train_levels
        if isinstance(stabilizer.start, int) and stabilizer.start >= top - 1:
            return f"start = {stabilizer.start} is not below train_levels − 1 = {top - 1}"
        if isinstance(stabilizer.stop, int) and stabilizer.stop >= top - 1:
            return f"stop = {stabilizer.stop} is not below train_levels − 1 = {top - 1}"
        return None if stabilizer.like is None else self._like_fault(stabilizer, named)

    def _like_fault(self, stabilizer: ThermalizerConfig, named: Mapping[str, AnyStabilizer]) -> str | None:
        """Work can be copied from a stabilizer that looks at levels, with the same way down from them."""
        model = named.get(stabilizer.like or "")
        if not isinstance(model, ThermalizerConfig) or model.trigger not in ("member", "batch"):
            return f"like = {stabilizer.like!r} is not among the stabilizers that look at noise levels"
        for key in ("diffusion", "stop", "sampler", "eta", "reverse_steps"):
            if getattr(model, key) != getattr(stabilizer, key):
                return f"{key} differs from that of {stabilizer.like}, whose work it should cost"
        return None

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """The same with other values, and without what was worked out from those before."""
        copied = super().model_copy(update=update, deep=deep)
        for name in ("named", "sweeps", "stabilizers"):
            copied.__dict__.pop(name, None)
        return copied

    @cached_property
    def named(self) -> dict[str, AnyStabilizer]:
        """The stabilizers of the file with their diffusion model: one without a name stands for one of each model.

        Raises:
            ValueError: one of each model would have the name of another stabilizer.
        """
        resolved: dict[str, AnyStabilizer] = {}
        for label, stabilizer in self.rollouts.stabilizers.items():
            if isinstance(stabilizer, NoStabilizerConfig) or stabilizer.diffusion is not None:
                resolved[label] = stabilizer
                continue
            names: list[str | None] = [*self.diffusion] or [None]
            for name in names:
                key = label if len(names) == 1 else f"{label}-{name}"
                if key in resolved or (key != label and key in self.rollouts.stabilizers):
                    raise ValueError(
                        f"rollouts.stabilizers.{label} names no diffusion model and stands for one of each, of which "
                        f"{key!r} is named already; rename one of the two, or name its diffusion model"
                    )
                like = stabilizer.like if len(names) == 1 or stabilizer.like is None else f"{stabilizer.like}-{name}"
                resolved[key] = stabilizer.model_copy(update={"diffusion": name, "like": like})
        return resolved

    @cached_property
    def sweeps(self) -> dict[str, tuple[Point, ...]]:
        """The points of every sweep."""
        bases = {
            label: stabilizer
            for label, stabilizer in self.rollouts.stabilizers.items()
            if isinstance(stabilizer, ThermalizerConfig)
        }
        named = self.named
        return expand(named, bases, self.rollouts.sweeps, lambda stabilizer: self._with_model(stabilizer, named))

    def _with_model(self, stabilizer: ThermalizerConfig, named: Mapping[str, AnyStabilizer]) -> ThermalizerConfig:
        """A point of a sweep with its diffusion model; ValueError where it does not fit to one."""
        if stabilizer.diffusion is None:
            if len(self.diffusion) > 1:
                raise ValueError(f"diffusion is not named; name one of {', '.join(self.diffusion)}, or sweep it")
            stabilizer = stabilizer.model_copy(update={"diffusion": next(iter(self.diffusion))})
        if fault := self._thermalizer_fault(stabilizer, named):
            raise ValueError(fault)
        return stabilizer

    @cached_property
    def stabilizers(self) -> dict[str, AnyStabilizer]:
        """Every stabilizer that runs, by name: those of the file, then the further points of sweeps."""
        points = [point for points in self.sweeps.values() for point in points]
        return self.named | {point.stabilizer: point.config for point in points if point.config is not None}
