"""What an experiment takes is counted before anything runs: below the truth, never above it."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from config_data import changed
from networks import SMALL
from torch import nn
from typer.testing import CliRunner
from workflow_run import ROOT, snakemake

from thermalize import models
from thermalize.cli import app
from thermalize.config import Experiment, ImportedNetworkConfig, UNetConfig
from thermalize.config.load import load_experiment, parse_experiment
from thermalize.config.networksize import network_size
from thermalize.models.describe import operations
from thermalize.runtime.errors import UserError
from thermalize.workflow import estimates
from thermalize.workflow.estimates import core_hours, duration, refuse_impossible, works

COMMITTED = [ROOT / "config.yaml", *sorted((ROOT / "configs").glob("*.yaml"))]
YEARS = r"would take [\d.e+]+ years or more on the fastest machine; lower"
OWN = [*(name for name in SMALL if name != "import")]


def experiment(**changes: Any) -> Experiment:
    return parse_experiment(changed(**changes), "my.yaml")


def parameters(network: nn.Module) -> int:
    return sum(each.numel() for each in network.parameters())


@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize("grid", [(32,), (16, 32)])
def test_a_network_is_a_little_larger_than_it_is_counted(kind: str, grid: tuple[int, ...]) -> None:
    config = SMALL[kind].model_copy(update={"width": 16})
    network = models.build(config, len(grid), 2, 2)
    counted = network_size(config, grid, 2)
    assert 0.7 * parameters(network) < counted.weights <= parameters(network)
    counted_by_torch = operations(network, 2, grid)
    assert 0.2 * counted_by_torch < 2 * counted.products <= counted_by_torch


def test_a_network_of_a_user_counts_as_nothing() -> None:
    config = ImportedNetworkConfig(kind="import", target="package:factory")
    assert network_size(config, (16,), 1) == (0, 0, 0)


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_committed_configurations_are_possible(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "_disk", lambda _: 1.0)
    found = load_experiment(path)
    refuse_impossible(found, tmp_path)
    assert all(each.seconds < 0.1 * estimates.TOO_LONG for each in works(found))
    assert 0 < core_hours(found) < 10_000


IMPOSSIBLE = [
    ({"rollouts__steps": 10**12, "rollouts__members": 8}, rf"a rollout of emulators\.unet {YEARS} rollouts\.steps"),
    ({"simulation__spin_up": 1e12}, rf"simulating simulation\.splits\.\w+ {YEARS} simulation\.spin_up, or raise dt$"),
    (
        {"emulators__unet__training": {"updates": 10**12}},
        rf"emulators\.unet {YEARS} emulators\.unet\.training\.updates$",
    ),
    (
        {"diffusion__snapshot__training": {"updates": 10**12}, "device": "cuda"},
        rf"training diffusion\.snapshot {YEARS} diffusion\.snapshot\.training\.updates$",
    ),
    (
        {
            "simulation__system": {"kind": "ks", "length": 64.0, "points": 10**7},
            "emulators__unet__network": {"kind": "fno"},
            "diffusion__snapshot__network": {"kind": "fno"},
            "rollouts__chunk": 10**8,
        },
        r"a rollout of emulators\.unet would take [\d.e+]+ GB of memory, .*; lower rollouts\.chunk or members$",
    ),
    (
        {"emulators__unet__network": {"width": 65536, "multipliers": [1, 64]}},
        r"training emulators\.unet would take [\d.e+]+ GB of memory, .*; lower emulators\.unet\.network\.width",
    ),
    (
        {
            "rollouts__steps": 10**9,
            "emulators__unet__network": {"width": 1, "multipliers": [1], "kernel_size": 3},
            "seeds": list(range(9000)),
            "storage": "s3://bucket/x",
        },
        r"simulation\.splits and rollouts make [\d.e+]+ GB of trajectories, .*; lower rollouts\.steps, "
        r"or raise rollouts\.store_every$",
    ),
]


@pytest.mark.parametrize(("changes", "sentence"), IMPOSSIBLE, ids=[next(iter(changes)) for changes, _ in IMPOSSIBLE])
def test_what_no_machine_can_do_is_refused_with_the_key_to_lower(
    changes: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    found = experiment(**changes)
    with pytest.raises(UserError, match=sentence) as caught:
        refuse_impossible(found, tmp_path)
    assert str(caught.value).startswith("demo cannot be computed: ")
    assert "\n" not in str(caught.value)


def test_what_is_too_much_for_this_machine_alone_is_only_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimates, "_disk", lambda _: 0.001)
    found = load_experiment(ROOT / "configs/qg-small.yaml")
    refuse_impossible(found, tmp_path)
    assert capsys.readouterr().err == ""
    refuse_impossible(found, tmp_path, notes=True)
    assert capsys.readouterr().err == "Note: the trajectories take up to 3 GB, and the disk of the results has 0 GB\n"
    refuse_impossible(found.model_copy(update={"storage": "s3://bucket/x"}), tmp_path, notes=True)
    assert capsys.readouterr().err == ""


def test_more_of_anything_takes_longer() -> None:
    base = core_hours(experiment())
    assert core_hours(experiment(rollouts__steps=10**6)) > base
    assert core_hours(experiment(seeds=[0, 1, 2])) > base
    assert core_hours(experiment(simulation__spin_up=1e6)) > base
    assert core_hours(experiment(emulators__unet__training={"updates": 10**5})) > base
    assert UNetConfig(width=32) != UNetConfig(width=16)


@pytest.mark.parametrize(
    ("seconds", "text"), [(1.5, "1.5 seconds"), (7200, "2 hours"), (3e5, "3.47 days"), (3.2e9, "101 years")]
)
def test_a_time_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    mapping = yaml.safe_load((ROOT / "configs/tiny.yaml").read_text())
    mapping = copy.deepcopy(mapping)
    mapping["simulation"]["spin_up"] = 1e12
    path = tmp_path / "endless.yaml"
    path.write_text(yaml.safe_dump(mapping))
    return path


def test_the_command_line_refuses_before_anything_is_written(endless: Path, tmp_path: Path) -> None:
    there = tmp_path / "results"
    for command in (["resolve"], ["simulate", "--split", "train"], ["summary"]):
        run = CliRunner().invoke(app, [command[0], str(endless), *command[1:], "--results", str(there)])
        assert isinstance(run.exception, UserError)
        assert "lower simulation.spin_up" in str(run.exception)
    assert not there.exists()


def test_snakemake_refuses_in_the_same_words(endless: Path, tmp_path: Path) -> None:
    planned = snakemake(tmp_path, "--dry-run", config=endless, check=False)
    assert planned.returncode != 0
    assert "tiny cannot be computed: simulating simulation.splits." in planned.stdout + planned.stderr
    assert not (tmp_path / "results").exists()


def test_resolve_says_how_long_it_takes(tmp_path: Path) -> None:
    run = CliRunner().invoke(app, ["resolve", str(ROOT / "configs/qg-small.yaml"), "--results", str(tmp_path)])
    assert run.exit_code == 0, run.output
    assert run.stdout.startswith("qg-small: at least ")
    assert run.stdout.endswith(" of one core\n")


def test_importing_it_loads_nothing_heavy() -> None:
    heavy = ("torch", "xarray", "numpy", "zarr", "dask", "pandas", "matplotlib", "scipy")
    script = (
        f"import sys, thermalize.workflow.estimates; sys.exit(', '.join(set({heavy!r}) & set(sys.modules)) or None)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
