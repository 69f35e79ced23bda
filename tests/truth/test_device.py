"""Simulation on a GPU: found or refused before anything is computed, one process, part of what a store is made from."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from store_data import experiment, settings
from workflow_run import snakemake
from workflow_run import thermalize as command

import thermalize.truth.simulate
from thermalize.runtime.errors import UserError
from thermalize.truth.simulate import simulate
from thermalize.truth.simulated import Ensemble, device_of
from thermalize.workflow import resources

JOBQUEUE = {"kind": "slurm", "memory": "4 GB", "walltime": "01:00:00"}
ELSEWHERE: list[dict[str, Any]] = [{"workers": 6, "scheduler": "tcp://a:1"}, {"workers": 6, "jobqueue": JOBQUEUE}]


@pytest.fixture(params=[True, False], ids=["with a GPU", "without a GPU"])
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param)
    monkeypatch.setattr(resources.shutil, "which", lambda _: "/usr/bin/nvidia-smi" if request.param else None)
    monkeypatch.setattr(resources, "Path", lambda _: SimpleNamespace(exists=lambda: False))
    return bool(request.param)


def test_the_device_is_the_one_that_is_there_and_granted(gpu: bool) -> None:
    automatic = experiment(device="auto").simulation
    assert device_of(automatic) == ("cuda" if gpu else "cpu")
    assert device_of(automatic, gpus=0) == "cpu"
    assert device_of(experiment().simulation, gpus=1) == "cpu"


@pytest.mark.parametrize("dask", ELSEWHERE, ids=["scheduler", "jobs"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_what_other_machines_have_is_not_looked_up_here(gpu: bool, dask: dict[str, Any], device: str) -> None:
    assert device_of(experiment(device=device, dask=dask).simulation, gpus=0) == device


def test_a_worker_without_the_gpu_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        UserError, match=r"^simulation\.device: cuda was asked for, but this machine has no usable CUDA"
    ):
        next(Ensemble(experiment(), "train", "cuda").shards(0))


@pytest.mark.parametrize(
    ("there", "gpus", "sentence"),
    [
        (False, 1, "simulation.device: cuda was asked for, but this machine has no usable CUDA GPU"),
        (True, 0, "simulation.device: cuda was asked for, but the scheduler granted none"),
    ],
)
def test_a_demanded_gpu_is_refused_before_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool, gpus: int, sentence: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    with pytest.raises(UserError, match=sentence):
        simulate(experiment(device="cuda"), "train", tmp_path / "store" / "train.manifest.json", gpus=gpus)
    assert list(tmp_path.iterdir()) == []


def workers_of(config: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, workers: int | None) -> list[Any]:
    """What `each` is called with for the simulation of a split: workers and devices of the tasks."""
    called: list[Any] = []

    def instead(function: Any, tasks: Any, number: int, *_: Any) -> Any:
        called.extend([number, {task.device for task in tasks}])
        raise UserError("far enough")
        yield

    monkeypatch.setattr(thermalize.truth.simulate, "each", instead)
    with pytest.raises(UserError, match="far enough"):
        simulate(config, "train", folder / "train.manifest.json", workers)
    return called


@pytest.mark.parametrize("wanted", [None, 2])
def test_one_process_has_the_gpu(
    gpu: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: int | None
) -> None:
    config = experiment(device="auto", dask={"workers": 6})
    expected = [1, {"cuda"}] if gpu else [wanted or 6, {"cpu"}]
    assert workers_of(config, tmp_path, monkeypatch, wanted) == expected


@pytest.mark.parametrize("dask", ELSEWHERE, ids=["scheduler", "jobs"])
def test_workers_elsewhere_are_those_of_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dask: dict[str, Any]
) -> None:
    config = experiment(device="cuda", dask=dask)
    assert workers_of(config, tmp_path, monkeypatch, 2) == [6, {"cuda"}]


def test_a_store_of_another_device_is_another_store() -> None:
    assert len({Ensemble(experiment(), "train", device).made_from("code") for device in ("cpu", "cuda")}) == 2


def test_the_rule_asks_for_a_gpu_only_where_it_is_used(gpu: bool) -> None:
    asked = [resources.simulation_gpus_of(experiment(device=device)) for device in ("auto", "cuda", "cpu")]
    assert asked == [int(gpu), 1, 0]
    for dask in ELSEWHERE:
        assert resources.simulation_gpus_of(experiment(device="cuda", dask=dask)) == 0
        assert resources.simulation_threads_of(experiment(device="cuda", dask=dask)) == 1
    assert resources.simulation_threads_of(experiment(device="cuda", dask={"workers": 6})) == 1
    assert resources.simulation_threads_of(experiment(dask={"workers": 6})) == 6


@pytest.mark.parametrize(
    ("simulation", "options"),
    [
        ({"device": "cuda", "dask": {"workers": 2}}, "--workers 1 --gpus 1"),
        ({"device": "cpu", "dask": {"workers": 2}}, "--workers 2 --gpus 0"),
        ({"device": "cuda", "dask": ELSEWHERE[1]}, "--workers 1 --gpus 0"),
    ],
    ids=["GPU", "processes", "jobs"],
)
def test_the_rule_passes_on_what_was_granted(tmp_path: Path, simulation: dict[str, Any], options: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(settings(**simulation)))
    target = "results/small/simulation/train.manifest.json"
    done = snakemake(tmp_path, "--dry-run", "--printshellcmds", target, config=config)
    assert f"--split train {options} " in " ".join(done.stdout.split())


def test_the_command_refuses_a_gpu_that_was_not_granted(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(settings(device="cuda")))
    done = command("simulate", config, "--split", "train", "--gpus", "0", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: simulation.device: cuda was asked for, but")
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]
