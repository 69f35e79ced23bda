"""How large everything is: as published, for a GPU, or tiny, to try the check itself on a CPU in seconds.

The published settings are those of configs/kolmogorov.yaml and configs/qg-eddy.yaml, written out here because a bare
machine may have no YAML; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from thermalize.config import (
    DiffusionConfig,
    DilatedResNetConfig,
    EmulatorConfig,
    FNOConfig,
    KolmogorovConfig,
    KuramotoSivashinskyConfig,
    QuasiGeostrophicConfig,
    StableFNOConfig,
    TrainingConfig,
    UNetConfig,
    UnrollConfig,
)

__all__ = ["SIZES", "Flow", "Size"]


@dataclass(frozen=True)
class Flow:
    """A system as it is integrated: solver steps of `dt`, and how many a trajectory of the comparison has."""

    label: str
    system: Any
    stepper: str
    dt: float
    steps: int


@dataclass(frozen=True)
class Size:
    """Everything that is larger on a GPU.

    Attributes:
        flows: solvers that are compared and timed.
        block: members that are integrated together when a solver is timed.
        data: the flow that networks learn from, on the grid of the stored fields.
        windows: members and frames of that flow, the solver steps before the first frame and between two.
        networks: that are compared, by name, with fields of the shape of `data`.
        batch: fields in that comparison.
        emulator, diffusion: what is trained.
        updates: of each training.
        members, steps: of the timed rollouts.
        sample: members, steps and updates behind the rollouts that are compared statistically.
    """

    flows: tuple[Flow, ...]
    block: int
    data: Flow
    windows: tuple[int, int, int, int]
    networks: dict[str, Any]
    batch: int
    emulator: EmulatorConfig
    diffusion: DiffusionConfig
    updates: int
    members: int
    steps: int
    sample: tuple[int, int, int]


def published() -> Size:
    flow = {"kind": "kolmogorov", "stored_points": 64, "drag": 0.1}
    eddies = {"kind": "qg", "preset": "eddy", "points": 256, "stored_points": 64, "filter": "none", "smagorinsky": 0.1}
    unet = UNetConfig(kind="unet", width=64, multipliers=(1, 2, 4, 8), blocks=2, kernel_size=3)
    return Size(
        flows=(
            Flow("KS 64", KuramotoSivashinskyConfig(kind="ks", length=22.0, points=64), "etdrk4", 0.25, 80),
            Flow(
                "Kolmogorov 512^2",
                KolmogorovConfig(points=512, viscosity=2e-4, **flow),
                "etdrk4", 1e-3, 40,
            ),
            Flow("QG 256^2", QuasiGeostrophicConfig(**eddies), "etdab3", 3600.0, 40),
        ),
        block=50,
        data=Flow("data", KolmogorovConfig(points=128, viscosity=5e-3, **flow), "etdrk4", 5e-3, 0),
        windows=(50, 12, 1500, 10),
        networks={
            "U-Net": unet,
            "DRN": DilatedResNetConfig(kind="drn"),
            "FNO": FNOConfig(kind="fno"),
            "stable FNO": StableFNOConfig(kind="stable_fno"),
        },
        batch=4,
        emulator=EmulatorConfig(
            network=unet,
            unroll=UnrollConfig(start=1, maximum=4, grow_every=20000),
            noise=1e-5,
            project="none",
            training=TrainingConfig(
                updates=187500, batch_size=32, learning_rate=5e-4, weight_decay=0.05,
                validate_every=2000, checkpoint_every=2000,
            ),
        ),
        diffusion=DiffusionConfig(
            network=unet,
            train_levels=1000,
            training=TrainingConfig(
                updates=390000, batch_size=64, learning_rate=2e-5, weight_decay=0.05,
                validate_every=5000, checkpoint_every=5000,
            ),
        ),
        updates=40,
        members=50,
        steps=20,
        sample=(64, 150, 600),
    )  # fmt: skip


def tiny() -> Size:
    flow = {"kind": "kolmogorov", "viscosity": 0.02, "drag": 0.1, "initial_speed": 1.0}
    unet = UNetConfig(width=4, multipliers=(1, 2))
    training = {"batch_size": 4, "validate_every": 100, "checkpoint_every": 100, "learning_rate": 2e-3}
    eddies = {"kind": "qg", "preset": "eddy", "points": 32, "stored_points": 16, "filter": "none", "smagorinsky": 0.1}
    return Size(
        flows=(
            Flow("KS 32", KuramotoSivashinskyConfig(kind="ks", length=22.0, points=32), "etdrk4", 0.25, 20),
            Flow("Kolmogorov 32^2", KolmogorovConfig(points=32, stored_points=16, **flow), "etdrk4", 1e-2, 10),
            Flow("QG 32^2", QuasiGeostrophicConfig(**eddies), "etdab3", 3600.0, 10),
        ),
        block=2,
        data=Flow("data", KolmogorovConfig(points=32, stored_points=16, **flow), "etdrk4", 2e-2, 0),
        windows=(4, 8, 50, 10),
        networks={
            "U-Net": unet,
            "DRN": DilatedResNetConfig(kind="drn", width=4, blocks=1, dilations=(1, 2)),
            "FNO": FNOConfig(kind="fno", width=4, modes=4, blocks=2),
            "stable FNO": StableFNOConfig(kind="stable_fno", width=4, modes=4, blocks=2),
        },
        batch=2,
        emulator=EmulatorConfig(
            network=unet, unroll=UnrollConfig(start=1, maximum=2, grow_every=1000), noise=1e-5,
            training=TrainingConfig(updates=1000, **training),
        ),
        diffusion=DiffusionConfig(
            network=unet, train_levels=50, training=TrainingConfig(updates=1000, **training)
        ),
        updates=12,
        members=3,
        steps=3,
        sample=(16, 20, 100),
    )  # fmt: skip


SIZES: dict[str, Callable[[], Size]] = {"published": published, "tiny": tiny}
