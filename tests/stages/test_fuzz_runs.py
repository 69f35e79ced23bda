"""Odd but accepted configurations really run, from the simulation to the tables: no setting fails late."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from mutations import Mutations, at, places, put
from workflow_run import TINY

from thermalize.config import Experiment
from thermalize.config.load import parse_experiment
from thermalize.runtime.errors import UserError
from thermalize.stages import cost
from thermalize.stages.artifacts import draw_figure, tabulate
from thermalize.stages.bands import measure_bands
from thermalize.stages.cost import measure_cost
from thermalize.stages.diagnose import diagnose_rollout
from thermalize.stages.diffusion import train_diffusion
from thermalize.stages.emulator import train_emulator
from thermalize.stages.ensemble import score_ensemble
from thermalize.stages.reference import measure_truth
from thermalize.stages.rollouts import Job, rollout
from thermalize.stages.samples import sample_diffusion
from thermalize.store.results import Results
from thermalize.training.processes import ALONE
from thermalize.truth.simulate import simulate
from thermalize.workflow.estimates import refuse_impossible, works
from thermalize.workflow.steps import results_of

CPU = torch.device("cpu")
DRAWN = ("distributions", "survival", "calibration", "samples")
"""Figures of what the settings tried here change most."""

LARGEST = 2**63 - 1
SMALL = 0.5
"""Seconds of a core that a job may take at least, to be tried here."""

LEAST: dict[str, Any] = {
    "seeds": [0],
    "simulation": {
        "spin_up": 0.0,
        "block": 1,
        "shard_frames": 1,
        "splits": {split: {"members": 2, "frames": 2} for split in ("train", "valid", "test")},
    },
    "emulators": {
        "small": {
            "unroll": {"start": 1, "maximum": 1, "grow_every": 1},
            "training": {"updates": 1, "batch_size": 1, "warmup": 0},
        }
    },
    "diffusion": {"small": {"schedule": {"levels": 2}, "train_levels": 2, "training": {"updates": 1, "batch_size": 1}}},
    "rollouts": {
        "members": 1,
        "steps": 1,
        "chunk": 2,
        "stabilizers": {"thermalized": {"start": "auto", "reverse_steps": 1}},
    },
    "diagnostics": {
        **dict.fromkeys(("spectrum_window", "frozen_steps", "max_lag", "samples", "resamples"), 1),
        "pdf_bins": 2,
        "confidence": 1e-9,
        "energy_fraction": 1e-9,
        "correlation_thresholds": [-0.999],
    },
}
MOST: dict[str, Any] = {
    "seed": LARGEST,
    "seeds": [LARGEST, LARGEST - 1],
    "simulation": {"shard_frames": 10**8},
    "emulators": {
        "small": {
            "unroll": {"start": 37, "maximum": 10_000, "grow_every": 1},
            "training": {
                **dict.fromkeys(("warmup", "validate_every", "checkpoint_every"), 10**12),
                "updates": 3,
                "batch_size": 10**6,
            },
        }
    },
    "diffusion": {
        "small": {"schedule": {"levels": 10**5}, "training": {"patience": 10**12, "updates": 3}, "level_weight": 1e6}
    },
    "rollouts": {
        "chunk": 10**4,
        "lost_above": 1e6,
        "initial": "random",
        "stabilizers": {
            "thermalized": {"start": 48, "stop": 47, "sampler": "ddpm", "reverse_steps": 10**5, "check_every": 10**12},
        },
    },
    "diagnostics": {
        **dict.fromkeys(("spectrum_window", "frozen_steps"), 10**8),
        "max_lag": 10**5,
        "samples": 10**6,
        "pdf_bins": 10**4,
        "confidence": 0.999999999,
        "energy_fraction": 0.999999999,
        "frozen_fraction": 0.999,
        "correlation_thresholds": [0.0, 0.999999],
    },
}
NAMES_AND_LEVELS: dict[str, Any] = {
    "name": "n" * 100,
    "emulators": {"e" * 100: {"training": {"updates": 2, "batch_size": 4}, "network": {"width": 4}}},
    "diffusion": {
        "none": {"level_head": "regressor", "level_input": True, "train_levels": 2, "training": {"updates": 2}}
    },
    "rollouts": {
        "stabilizers": {
            "raw.nc": {"kind": "none"},
            "0": {
                "kind": "thermalizer",
                "diffusion": "none",
                "guard": 10**5,
                "drift": {"memory": 1e9, "threshold": 1e6, "floor": 0.9},
            },
        }
    },
}
CHOSEN = {"least": LEAST, "most": MOST, "names": NAMES_AND_LEVELS}


def merged(mapping: Any, changes: Any) -> Any:
    """The mapping with these values in place of its own, section by section."""
    if not isinstance(mapping, dict) or not isinstance(changes, dict):
        return changes
    return {**mapping, **{key: merged(mapping.get(key), value) for key, value in changes.items()}}


def tiny() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(TINY.read_text())
    return found


def by_chance(seed: int) -> Experiment:
    """An accepted experiment that is small enough to run, a few numbers of which are drawn."""
    mutations = Mutations(seed)
    while True:
        mapping = tiny()
        leaves = [path for path in places(mapping) if type(at(mapping, path)) in (int, float)]
        for path in mutations.draw.sample(leaves, 6):
            value = at(mapping, path)
            put(mapping, path, type(value)(mutations.draw.choice((1, 2, 3, value / 2, 2 * value, value + 1))))
        try:
            experiment = parse_experiment(copy.deepcopy(mapping), "chance.yaml")
            refuse_impossible(experiment)
        except UserError:
            continue
        if all(each.seconds < SMALL for each in works(experiment)):
            return experiment


def run_everything(experiment: Experiment, folder: Path) -> None:
    """The stages in the order of the workflow."""
    results = Results(experiment.name, folder)
    for split in ("train", "valid", "test"):
        simulate(experiment, split, results.simulation(split), workers=1)
    measure_truth(experiment, results)
    if any(result.step == "bands" for result in results_of(experiment)):
        measure_bands(experiment, results)
    for name in experiment.diffusion:
        train_diffusion(experiment, name, results, ALONE)
        sample_diffusion(experiment, name, results, CPU)
    for name in experiment.emulators:
        train_emulator(experiment, name, results, ALONE)
        for label in experiment.stabilizers:
            run_stabilizer(experiment, name, label, results)
        measure_cost(experiment, name, results, CPU)
    tabulate(experiment, results)
    for figure in DRAWN:
        draw_figure(experiment, results, figure)
    assert results.table("csv").is_file()


def run_stabilizer(experiment: Experiment, emulator: str, label: str, results: Results) -> None:
    for seed in experiment.seeds:
        manifest = results.rollout(emulator, label, seed)
        rollout(Job(experiment, results, emulator, label, seed), manifest, CPU)
        diagnose_rollout(experiment, emulator, label, seed, results)
    if experiment.has_ensembles:
        score_ensemble(experiment, emulator, label, results)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps are timed over a moment."""
    monkeypatch.setattr(cost, "STEPS", 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", CHOSEN)
def test_extremes_that_are_accepted_run_to_the_end(name: str, tmp_path: Path) -> None:
    mapping = merged(tiny(), CHOSEN[name])
    if name == "names":
        mapping |= {"emulators": CHOSEN[name]["emulators"], "diffusion": CHOSEN[name]["diffusion"]}
        mapping["rollouts"]["stabilizers"] = CHOSEN[name]["rollouts"]["stabilizers"]
    experiment = parse_experiment(mapping, "odd.yaml")
    refuse_impossible(experiment)
    run_everything(experiment, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_what_is_drawn_and_accepted_runs_to_the_end(seed: int, tmp_path: Path) -> None:
    run_everything(by_chance(seed), tmp_path)
