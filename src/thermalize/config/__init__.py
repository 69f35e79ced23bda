"""The one schema of an experiment: what `config.yaml` may say, with units, bounds and defaults.

Unknown keys are refused. `docs/config.schema.json` is generated from these models, and every stage reads its settings
through them:

    base ← systems ← simulation,  training,  rollouts ← experiment
"""

from __future__ import annotations

from thermalize.config.experiment import Experiment
from thermalize.config.rollouts import DiagnosticsConfig, NoStabilizerConfig, RolloutsConfig, ThermalizerConfig
from thermalize.config.simulation import DaskConfig, SimulationConfig, SplitConfig
from thermalize.config.systems import (
    KolmogorovConfig,
    KuramotoSivashinskyConfig,
    QuasiGeostrophicConfig,
    SystemConfig,
)
from thermalize.config.training import (
    DiffusionConfig,
    EmulatorConfig,
    ScheduleConfig,
    TrainingConfig,
    UNetConfig,
    UnrollConfig,
)

__all__ = [
    "DaskConfig",
    "DiagnosticsConfig",
    "DiffusionConfig",
    "EmulatorConfig",
    "Experiment",
    "KolmogorovConfig",
    "KuramotoSivashinskyConfig",
    "NoStabilizerConfig",
    "QuasiGeostrophicConfig",
    "RolloutsConfig",
    "ScheduleConfig",
    "SimulationConfig",
    "SplitConfig",
    "SystemConfig",
    "ThermalizerConfig",
    "TrainingConfig",
    "UNetConfig",
    "UnrollConfig",
]
