"""The configurations of the repository: each is valid, and the workflow knows what to do with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from workflow_run import ROOT, snakemake

from thermalize.config.load import load_experiment

CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
PAPER = {"kolmogorov", "qg-eddy", "qg-jet"}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configuration_is_valid_and_named_after_its_file(path: Path) -> None:
    assert load_experiment(path).name == path.stem


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_workflow_plans_every_stage(path: Path, tmp_path: Path) -> None:
    planned = snakemake(tmp_path, "--dry-run", "--quiet", "rules", config=path)
    words = (planned.stdout + planned.stderr).split()
    for rule in ("simulate", "train_emulator", "train_diffusion", "rollout", "cost", "diagnose", "summary"):
        assert rule in words
    assert ("device" in words) == (path.stem in PAPER)
    assert ("ensemble" in words) == load_experiment(path).has_ensembles


def test_the_ablation_has_its_table_and_runs_equal_points_once(tmp_path: Path) -> None:
    planned = snakemake(tmp_path, "--dry-run", config=ROOT / "configs/ablation-ks.yaml").stdout
    counts = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", planned, re.MULTILINE)}
    found = load_experiment(ROOT / "configs/ablation-ks.yaml")
    assert counts["rollout"] == counts["diagnose"] == len(found.stabilizers)
    assert counts["cost"] == counts["ablation"] == counts["figure_ablation"] == 1
    runs = [point for points in found.sweeps.values() for point in points if not point.left_out]
    swept = sum(point.stabilizer == "thermalized" for point in runs)
    assert swept > 1
    assert len(found.stabilizers) == len(found.named) + len(runs) - swept


def test_published_volume() -> None:
    """500,000 windows of five frames at 64², about 40 GB, never the 512² grid."""
    simulation = load_experiment(ROOT / "configs/kolmogorov.yaml").simulation
    train = simulation.splits["train"]
    assert (train.stored_members, train.frames, simulation.grid) == (500_000, 5, (64, 64))
    assert 40e9 < 4 * train.stored_members * train.frames * 64 * 64 < 42e9


@pytest.mark.parametrize("name", ["kolmogorov-small", "qg-small"])
def test_small_configurations_store_a_truncation_of_a_finer_run(name: str) -> None:
    simulation = load_experiment(ROOT / f"configs/{name}.yaml").simulation
    assert simulation.grid == (32, 32)
    assert simulation.system.points == 64
