"""What the Snakefile relies on: the code map, the settings of each stage, the committed configurations."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from thermalize.config import Experiment
from thermalize.config.load import load_experiment
from thermalize.figures import FIGURES
from thermalize.stages.rollouts import initial_frames
from thermalize.store.fingerprint import file_of, modules, untracked
from thermalize.store.results import Results
from thermalize.workflow import resources
from thermalize.workflow.pictures import figures_of
from thermalize.workflow.plan import settings_digest
from thermalize.workflow.steps import STEPS

ROOT = Path(__file__).parents[2]
CONFIGS = [ROOT / "config.yaml", *sorted((ROOT / "configs").glob("*.yaml"))]
WILDCARDS = {
    "split": "train",
    "emulator": "small",
    "diffusion": "small",
    "stabilizer": "thermalized",
    "seed": "0",
    "figure": "spectra",
}


def tiny(**changes: object) -> Experiment:
    return Experiment.model_validate({**yaml.safe_load((ROOT / "configs" / "tiny.yaml").read_text()), **changes})


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_committed_configurations_are_valid_and_point_at_the_schema(path):
    experiment = load_experiment(path)
    first = path.read_text().splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    assert (path.parent / first.split("=", 1)[1]).resolve() == ROOT / "docs" / "config.schema.json"
    assert experiment.stabilizers


STAGES = sorted({step.stage for step in STEPS.values()})
# A process for each stage, forked from one that has imported the libraries and nothing of the package.
IMPORTING = """
import os, sys
from importlib import import_module
import dask.array, distributed, matplotlib.figure, netCDF4, pandas, scipy.stats, torch, xarray, zarr
for stage in sys.argv[1:]:
    if not os.fork():
        import_module(stage)
        print(stage, *(name for name in sys.modules if name.split(".")[0] == "thermalize"), flush=True)
        os._exit(0)
    assert os.wait()[1] == 0
"""


@pytest.fixture(scope="module")
def imported() -> dict[str, list[str]]:
    """Modules that each stage imports at once."""
    command = [sys.executable, "-c", IMPORTING, *STAGES]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return {stage: names for stage, *names in map(str.split, lines)}


@pytest.mark.parametrize("stage", STAGES)
def test_the_code_map_is_what_a_stage_really_imports(stage, imported):
    """Imported for real in a fresh process; modules that a run imports later count as well, so static may exceed it."""
    real = {name for name in imported[stage] if not untracked(name)}
    mapped = set(modules(stage))
    assert real - PLANNING <= mapped
    assert len(mapped - real) <= 3, sorted(mapped - real)
    assert "thermalize.cli" not in mapped


def test_every_registered_figure_is_made_and_captioned():
    names = figures_of(tiny())
    assert {*names, "fields", "ablation"} == set(FIGURES)
    for name in (*FIGURES, "movie", "summary", "workflow"):
        assert (ROOT / "report" / f"{name}.rst").is_file(), name


def changed_stages(other: Experiment) -> set[str]:
    base = tiny()
    digests = [{s: settings_digest(e, s, WILDCARDS) for s in STEPS} for e in (base, other)]
    return {stage for stage in STEPS if digests[0][stage] != digests[1][stage]}


ARTIFACTS = ("figure", "movie", "summary", "ablation")
AFTER_ROLLOUTS = {"rollout", "diagnose", "ensemble", "cost", *ARTIFACTS}
PLANNING = {"thermalize.store.fingerprint", "thermalize.truth"}


def test_a_stage_depends_on_its_own_settings_and_those_of_what_it_is_made_from():
    raw = yaml.safe_load((ROOT / "configs" / "tiny.yaml").read_text())
    assert changed_stages(tiny()) == set()
    assert changed_stages(tiny(device="cpu")) == set()
    assert changed_stages(tiny(simulation={**raw["simulation"], "dask": {"workers": 1}})) == set()
    judged = {"sample", "diagnose", "ensemble", "cost", *ARTIFACTS}
    assert changed_stages(tiny(diagnostics={**raw["diagnostics"], "pdf_bins": 50})) == judged
    assert changed_stages(tiny(diagnostics={**raw["diagnostics"], "samples": 9})) == {"sample", "cost", *ARTIFACTS}
    assert changed_stages(tiny(seeds=[0, 2])) == {"ensemble", "cost", *ARTIFACTS}
    small = raw["emulators"]["small"]
    retrained = {"small": {**small, "noise": 0.1}}
    assert changed_stages(tiny(emulators=retrained)) == {"emulator", *AFTER_ROLLOUTS}
    assert changed_stages(tiny(seed=8)) == set(STEPS)
    assert changed_stages(tiny(diagnostics={**raw["diagnostics"], "max_lag": 9})) == {"reference", *judged}
    other = {**raw["rollouts"]["stabilizers"], "thermalized": {"kind": "thermalizer", "start": 3}}
    assert changed_stages(tiny(rollouts={**raw["rollouts"], "stabilizers": other})) == AFTER_ROLLOUTS


def test_seeds_are_an_ensemble_where_they_start_from_the_same_states():
    raw = yaml.safe_load((ROOT / "configs" / "tiny.yaml").read_text())
    drawn = tiny(rollouts={**raw["rollouts"], "initial": "random"})
    assert [each.has_ensembles for each in (tiny(), tiny(seeds=[3]), drawn)] == [True, False, False]
    assert ["ensemble" in figures_of(each) for each in (tiny(), tiny(seeds=[3]), drawn)] == [
        True,
        False,
        False,
    ]


def test_a_stabilizer_without_a_model_runs_with_each_of_them():
    raw = yaml.safe_load((ROOT / "configs" / "tiny.yaml").read_text())
    assert list(tiny().stabilizers) == ["raw", "thermalized"]
    assert tiny().stabilizers["thermalized"].diffusion == "small"
    both = tiny(diffusion={**raw["diffusion"], "other": raw["diffusion"]["small"]}).stabilizers
    assert {label: getattr(s, "diffusion", None) for label, s in both.items()} == {
        "raw": None,
        "thermalized-small": "small",
        "thermalized-other": "other",
    }


def test_rollouts_start_at_the_first_frame_or_at_drawn_ones():
    raw = yaml.safe_load((ROOT / "configs" / "tiny.yaml").read_text())
    assert initial_frames(tiny(), 0) == ([0, 1], [0, 0])
    drawn = tiny(rollouts={**raw["rollouts"], "initial": "random"})
    members, frames = initial_frames(drawn, 0)
    assert members == [0, 1]
    assert all(0 <= frame < 60 for frame in frames)
    assert initial_frames(drawn, 0) == (members, frames)
    assert initial_frames(drawn, 1) != (members, frames)


def test_paths_take_wildcards_and_values_alike():
    results = Results("demo")
    assert str(results.rollout("{emulator}", "{stabilizer}", "{seed}")).format(
        emulator="a", stabilizer="b", seed=3
    ) == str(results.rollout("a", "b", 3))


def test_gpus_are_asked_for_only_where_they_can_be_used(monkeypatch):
    monkeypatch.setattr(resources.shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    assert [resources.gpus_of(tiny(device=device)) for device in ("auto", "cuda", "cpu")] == [1, 1, 0]
    monkeypatch.setattr(resources.shutil, "which", lambda _: None)
    monkeypatch.setattr(resources.Path, "exists", lambda _: False)
    assert [resources.gpus_of(tiny(device=device)) for device in ("auto", "cuda", "cpu")] == [0, 1, 0]


def trained(**training: object) -> Experiment:
    raw = yaml.safe_load((ROOT / "configs" / "tiny.yaml").read_text())
    network = raw["emulators"]["small"]
    changed = {**network, "training": {**network["training"], **training}}
    persistence = {"kind": "import", "target": "torch.nn:Identity", "files": ["a.pt"]}
    return tiny(emulators={"small": changed, "persistence": persistence})


def test_a_training_asks_for_its_gpus(monkeypatch):
    experiment = trained(gpus=4)
    monkeypatch.setattr(resources, "gpus_of", lambda _: 1)
    assert resources.training_gpus_of(experiment, "emulators", "small") == 4
    assert resources.training_gpus_of(experiment, "diffusion", "small") == 1
    assert resources.training_gpus_of(experiment, "emulators", "persistence") == 1
    monkeypatch.setattr(resources, "gpus_of", lambda _: 0)
    assert resources.training_gpus_of(experiment, "emulators", "small") == 0


def test_a_training_asks_for_the_memory_of_its_data():
    def asked(experiment: Experiment) -> int:
        return resources.training_memory_of(experiment, "emulators", next(iter(experiment.emulators)))

    small, large = asked(trained()), asked(load_experiment(ROOT / "configs" / "kolmogorov.yaml"))
    assert 1000 < small < 2000
    assert asked(trained(data="stream")) == resources.TRAINING_MB + 8000
    assert asked(trained(memory=16)) == resources.TRAINING_MB + 32000
    assert large == resources.TRAINING_MB + 8000 + resources.CUDA_MB
    # an emulator from elsewhere is not trained
    assert resources.training_memory_of(trained(), "emulators", "persistence") < small


def test_memory_grows_with_what_is_held():
    experiment = trained()

    def larger(section: str, **changes: object) -> Experiment:
        return experiment.model_copy(update={section: getattr(experiment, section).model_copy(update=changes)})

    long = experiment.simulation.splits["test"].model_copy(update={"frames": 400_000})
    splits = {**experiment.simulation.splits, "test": long}
    asked = resources.network_memory_of, resources.analysis_memory_of
    for function, greater in zip(
        asked, (larger("rollouts", chunk=90_000), larger("simulation", splits=splits)), strict=True
    ):
        assert function(experiment) + 100 < function(greater)
    simulated = [resources.simulation_memory_of(experiment, "train", threads) for threads in (1, 2, 200)]
    assert simulated[0] < simulated[1] == simulated[2], "one process a block is enough"
    assert resources.store_mb(larger("rollouts", steps=10**6)) > 1000 > resources.store_mb(experiment)


def test_files_of_emulators_from_elsewhere_are_inputs():
    function = str(file_of("torch.nn"))
    assert STEPS["emulator"].files(trained(), "persistence") == ["a.pt", function]
    assert STEPS["emulator"].files(trained(), "small") == []


def test_how_a_training_is_computed_is_no_reason_to_train_again():
    assert changed_stages(trained(gpus=2, tensorboard=True, checkpoint_every=9)) == changed_stages(trained())
