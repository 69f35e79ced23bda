"""The one schema of an experiment: what `config.yaml` may say, with units, bounds and defaults.

Unknown keys are refused. `docs/config.schema.json` is generated from these models, and every stage reads its settings
through them:

    base ← systems, cluster ← simulation, imported,  networks ← training ← diffusion,  foreign,
    sweeps ← rollouts ← experiment
"""

from __future__ import annotations

from thermalize.config.cluster import DaskConfig, JobQueueConfig
from thermalize.config.diagnostics import DiagnosticsConfig, ImportedFigureConfig, ImportedMetricConfig
from thermalize.config.diffusion import (
    CosineScheduleConfig,
    DiffusionConfig,
    GeometricScheduleConfig,
    LinearScheduleConfig,
    PowerScheduleConfig,
    ScheduleConfig,
)
from thermalize.config.experiment import Experiment
from thermalize.config.external import ExportedEmulatorConfig, ImportedEmulatorConfig
from thermalize.config.imported import DimsConfig, ImportConfig, ImportSplitConfig, PointsConfig, SidesConfig
from thermalize.config.networks import (
    DilatedResNetConfig,
    FNOConfig,
    ImportedNetworkConfig,
    NetworkConfig,
    StableFNOConfig,
    UNetConfig,
)
from thermalize.config.rollouts import (
    DriftConfig,
    NoStabilizerConfig,
    RolloutsConfig,
    ThermalizerConfig,
)
from thermalize.config.simulation import SimulationConfig, SplitConfig
from thermalize.config.sweeps import Point
from thermalize.config.systems import (
    KolmogorovConfig,
    KuramotoSivashinskyConfig,
    QuasiGeostrophicConfig,
    SystemConfig,
)
from thermalize.config.training import EmulatorConfig, TrainingConfig, UnrollConfig

__all__ = [
    "CosineScheduleConfig",
    "DaskConfig",
    "DiagnosticsConfig",
    "DiffusionConfig",
    "DilatedResNetConfig",
    "DimsConfig",
    "DriftConfig",
    "EmulatorConfig",
    "Experiment",
    "ExportedEmulatorConfig",
    "FNOConfig",
    "GeometricScheduleConfig",
    "ImportConfig",
    "ImportSplitConfig",
    "ImportedEmulatorConfig",
    "ImportedFigureConfig",
    "ImportedMetricConfig",
    "ImportedNetworkConfig",
    "JobQueueConfig",
    "KolmogorovConfig",
    "KuramotoSivashinskyConfig",
    "LinearScheduleConfig",
    "NetworkConfig",
    "NoStabilizerConfig",
    "Point",
    "PointsConfig",
    "PowerScheduleConfig",
    "QuasiGeostrophicConfig",
    "RolloutsConfig",
    "ScheduleConfig",
    "SidesConfig",
    "SimulationConfig",
    "SplitConfig",
    "StableFNOConfig",
    "SystemConfig",
    "ThermalizerConfig",
    "TrainingConfig",
    "UNetConfig",
    "UnrollConfig",
]
