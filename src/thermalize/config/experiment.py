"""A whole experiment, and what must fit together across its sections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from math import prod
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from thermalize.config.base import Name, Seed, Strict
from thermalize.config.collisions import name_fault, number_fault
from thermalize.config.diagnostics import DiagnosticsConfig, ImportedFigureConfig, OwnName
from thermalize.config.diffusion import DiffusionConfig
from thermalize.config.emulators import AnyEmulator, TrainedEmulatorConfig
from thermalize.config.imported import ImportConfig
from thermalize.config.rollouts import RolloutsConfig
from thermalize.config.simulation import SimulationConfig
from thermalize.config.stabilizers import StabilizerConfig
from thermalize.config.sweeps import Point, expand
from thermalize.config.texts import url_fault
from thermalize.config.training import TrainingConfig

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
            if fault := stabilizer.fault(self.diffusion, named):
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
            if (
                isinstance(emulator, TrainedEmulatorConfig)
                and (unrolled := emulator.longest_unroll) >= splits["train"].frames
            ):
                raise ValueError(
                    f"emulators.{name}.unroll: {unrolled} unrolled steps need {unrolled + 1} frames in a row, but "
                    f"simulation.splits.train.frames = {splits['train'].frames}; lower unroll.maximum, or raise frames"
                )
        for group in ("emulators", "diffusion"):
            for name, model in getattr(self, group).items():
                trained = isinstance(model, TrainedEmulatorConfig | DiffusionConfig)
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
        """Whether the seeds of a rollout are members of an ensemble: several, that start from the same true states.

        And of which two states or more are stored while the truth goes on.
        """
        followed = 2 * self.rollouts.every <= self.simulation.splits["test"].frames
        return len(self.seeds) > 1 and self.rollouts.initial == "first" and followed

    def grid_fault(self, grid: tuple[int, ...]) -> str | None:
        """What keeps the networks from running on a grid; imported data may show theirs only when they are read."""
        for group in ("emulators", "diffusion"):
            for name, model in getattr(self, group).items():
                if not isinstance(model, TrainedEmulatorConfig | DiffusionConfig):
                    continue
                where = f"{group}.{name}.network"
                fault = model.network.grid_fault(grid, where) or model.network.boundary_fault(len(grid), where)
                if fault:
                    return fault
        return None

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """The same with other values, and without what was worked out from those before."""
        copied = super().model_copy(update=update, deep=deep)
        for name in ("named", "sweeps", "stabilizers"):
            copied.__dict__.pop(name, None)
        return copied

    @cached_property
    def named(self) -> dict[str, StabilizerConfig]:
        """The stabilizers of the file with their diffusion model: one without a name stands for one of each model.

        Raises:
            ValueError: one of each model would have the name of another stabilizer.
        """
        resolved: dict[str, StabilizerConfig] = {}
        for label, stabilizer in self.rollouts.stabilizers.items():
            for model, each in stabilizer.of_models(self.diffusion).items():
                key = label if model is None else f"{label}-{model}"
                if key in resolved or (key != label and key in self.rollouts.stabilizers):
                    raise ValueError(
                        f"rollouts.stabilizers.{label} names no diffusion model and stands for one of each, of which "
                        f"{key!r} is named already; rename one of the two, or name its diffusion model"
                    )
                resolved[key] = each
        return resolved

    @cached_property
    def sweeps(self) -> dict[str, tuple[Point, ...]]:
        """The points of every sweep."""
        named, bases = self.named, self.rollouts.stabilizers
        swept = {label: each for label, each in bases.items() if {*type(each).model_fields} - each.unswept}
        return expand(named, swept, self.rollouts.sweeps, lambda stabilizer: self._with_model(stabilizer, named))

    def _with_model(self, stabilizer: StabilizerConfig, named: Mapping[str, StabilizerConfig]) -> StabilizerConfig:
        """A point of a sweep with its diffusion model; ValueError where it does not fit to one."""
        of_models = stabilizer.of_models(self.diffusion)
        if len(of_models) > 1:
            raise ValueError(f"diffusion is not named; name one of {', '.join(self.diffusion)}, or sweep it")
        (completed,) = of_models.values()
        if fault := completed.fault(self.diffusion, named):
            raise ValueError(fault)
        return completed

    @cached_property
    def stabilizers(self) -> dict[str, StabilizerConfig]:
        """Every stabilizer that runs, by name: those of the file, then the further points of sweeps."""
        points = [point for points in self.sweeps.values() for point in points]
        return self.named | {point.stabilizer: point.config for point in points if point.config is not None}
