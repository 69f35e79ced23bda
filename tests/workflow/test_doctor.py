"""What the doctor says of this machine, of others, and of configurations on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from thermalize.cli import app
from thermalize.config.load import load_experiment
from thermalize.workflow import machine
from thermalize.workflow.doctor import fit, page
from thermalize.workflow.machine import Machine, look
from thermalize.workflow.resources import store_mb

CONFIGS = Path(__file__).parents[2] / "configs"
WORKSTATION = Machine(
    processor="Z80 (no vector extensions known)", bfloat16=False, cores=8, memory=64.0, available=60.0, disk=2000.0,
    folder=Path("results"), gpus=(("H100", 80.0),), cuda="13.0", apple=False, programs=("sbatch",),
    versions={"torch": "9"},
)  # fmt: skip


def test_this_machine(tmp_path: Path) -> None:
    machine = look(tmp_path / "not" / "yet")
    assert machine.cores >= 1
    assert 0 < machine.available <= machine.memory
    assert machine.disk > 0
    assert {"thermalize", "python", "torch", "snakemake"} <= set(machine.versions)
    assert "missing" not in machine.versions.values()


@pytest.mark.parametrize("name", ["kolmogorov", "qg-jet"])
def test_a_large_configuration_lacks_what_is_not_there(name: str) -> None:
    experiment = load_experiment(CONFIGS / f"{name}.yaml")
    assert fit(experiment, WORKSTATION).missing == ()
    assert fit(experiment, replace(WORKSTATION, gpus=())).missing == ("a CUDA GPU",)
    needed = fit(experiment, WORKSTATION)
    small = replace(WORKSTATION, disk=needed.disk, memory=needed.memory / 2)
    assert fit(experiment, small).missing == (f"{needed.memory:.1f} GB of memory", f"{needed.disk:.0f} GB of disk")


def test_trajectories_elsewhere_need_no_disk_here() -> None:
    experiment = load_experiment(CONFIGS / "kolmogorov.yaml").model_copy(update={"storage": "s3://bucket"})
    found = fit(experiment, replace(WORKSTATION, disk=1.0))
    assert found.missing == ()
    assert found.notes == ("stored at s3://bucket",)


def test_several_gpus_of_one_training_are_counted() -> None:
    experiment = load_experiment(CONFIGS / "kolmogorov.yaml")
    network = experiment.diffusion["unet"]
    four = network.model_copy(update={"training": network.training.model_copy(update={"gpus": 4})})
    found = fit(experiment.model_copy(update={"diffusion": {"unet": four}}), WORKSTATION)
    assert found.missing == ("4 CUDA GPUs",)


def test_bfloat16_without_instructions_for_it_is_noted_on_the_cpu_only() -> None:
    experiment = load_experiment(CONFIGS / "qg-small.yaml")
    (note,) = fit(experiment, replace(WORKSTATION, gpus=())).notes
    assert "precision: float32" in note
    assert fit(experiment, replace(WORKSTATION, gpus=(), bfloat16=True)).notes == ()
    assert fit(experiment, WORKSTATION).notes == ()


def test_trajectories_are_counted_by_channel() -> None:
    """Two layers of 32²: (48·400 + 8·200 + 32·500) true states, 2 · 3 rollouts of 16 members over 3,001 frames."""
    frames = 48 * 400 + 8 * 200 + 32 * 500 + 2 * 3 * 16 * 3001
    assert store_mb(load_experiment(CONFIGS / "qg-small.yaml")) == pytest.approx(frames * 4 * 2 * 32**2 / 1e6)


def test_the_page_names_every_configuration_and_keeps_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "look", lambda _: WORKSTATION)
    found = CliRunner().invoke(app, ["doctor", *map(str, sorted(CONFIGS.glob("*.yaml")))])
    assert found.exit_code == 0, found.output
    assert all(path.stem in found.output for path in CONFIGS.glob("*.yaml"))
    assert "H100, 80 GB" in found.output
    assert max(map(len, found.output.splitlines())) <= 100
    assert "configuration" not in page(WORKSTATION, [])
