"""The one schema of an experiment: what `config.yaml` may say, with units, bounds and defaults.

Unknown keys are refused. `docs/config.schema.json` is generated from these models, and every stage reads its settings
through them:

    base ← systems, cluster ← simulation, imported,  networks, training ← diffusion, emulators,
    sweeps ← stabilizers ← rollouts ← experiment
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
from thermalize.config.emulators import (
    EmulatorConfig,
    EmulatorSettings,
    ExportedEmulatorConfig,
    ImportedEmulatorConfig,
    TrainedEmulatorConfig,
    UnrollConfig,
)
from thermalize.config.experiment import Experiment
from thermalize.config.external import Imported, Own
from thermalize.config.imported import DimsConfig, ImportConfig, ImportSplitConfig, PointsConfig, SidesConfig
from thermalize.config.networks import (
    DilatedResNetConfig,
    FNOConfig,
    ImportedNetworkConfig,
    NetworkConfig,
    StableFNOConfig,
    UNetConfig,
)
from thermalize.config.rollouts import RolloutsConfig
from thermalize.config.simulation import SimulationConfig, SplitConfig
from thermalize.config.stabilizers import (
    CapConfig,
    DriftConfig,
    ImportedStabilizerConfig,
    NoStabilizerConfig,
    ProjectionConfig,
    StabilizerConfig,
    ThermalizerConfig,
)
from thermalize.config.sweeps import Point
from thermalize.config.systems import (
    KolmogorovConfig,
    KuramotoSivashinskyConfig,
    QuasiGeostrophicConfig,
    SystemConfig,
)
from thermalize.config.training import TrainingConfig

__all__ = [
    "CapConfig",
    "CosineScheduleConfig",
    "DaskConfig",
    "DiagnosticsConfig",
    "DiffusionConfig",
    "DilatedResNetConfig",
    "DimsConfig",
    "DriftConfig",
    "EmulatorConfig",
    "EmulatorSettings",
    "Experiment",
    "ExportedEmulatorConfig",
    "FNOConfig",
    "GeometricScheduleConfig",
    "ImportConfig",
    "ImportSplitConfig",
    "Imported",
    "ImportedEmulatorConfig",
    "ImportedFigureConfig",
    "ImportedMetricConfig",
    "ImportedNetworkConfig",
    "ImportedStabilizerConfig",
    "JobQueueConfig",
    "KolmogorovConfig",
    "KuramotoSivashinskyConfig",
    "LinearScheduleConfig",
    "NetworkConfig",
    "NoStabilizerConfig",
    "Own",
    "Point",
    "PointsConfig",
    "PowerScheduleConfig",
    "ProjectionConfig",
    "QuasiGeostrophicConfig",
    "RolloutsConfig",
    "ScheduleConfig",
    "SidesConfig",
    "SimulationConfig",
    "SplitConfig",
    "StabilizerConfig",
    "StableFNOConfig",
    "SystemConfig",
    "ThermalizerConfig",
    "TrainedEmulatorConfig",
    "TrainingConfig",
    "UNetConfig",
    "UnrollConfig",
]
