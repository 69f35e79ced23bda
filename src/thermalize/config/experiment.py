"""A whole experiment, and what must fit together across its sections."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from thermalize.config.base import Name, Strict
from thermalize.config.rollouts import DiagnosticsConfig, NoStabilizerConfig, RolloutsConfig, ThermalizerConfig
from thermalize.config.simulation import SimulationConfig
from thermalize.config.training import DiffusionConfig, EmulatorConfig

__all__ = ["Experiment"]


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
        available = self.simulation.splits["test"].stored_members
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
        grid = self.simulation.grid
        for group in ("emulators", "diffusion"):
            for name, model in getattr(self, group).items():
                factor = 2 ** (len(model.network.multipliers) - 1)
                odd = [points for points in grid if points % factor]
                if odd:
                    raise ValueError(
                        f"{group}.{name}.network halves the grid {len(model.network.multipliers) - 1} times, "
                        f"but points = {odd[0]} is not divisible by {factor}"
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
