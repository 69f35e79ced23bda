"""The results of a very small experiment with every kind of artifact, made in this process by the stages themselves."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path

import pytest
import yaml
from commands import Said, run
from matplotlib.figure import Figure
from workflow_run import TINY, fingerprints

import thermalize
from thermalize.config.load import load_experiment
from thermalize.figures import scenes
from thermalize.figures.style import styled
from thermalize.runtime.errors import UserError
from thermalize.stages import artifacts, cost
from thermalize.store import sealed
from thermalize.workflow.pictures import figures_of

__all__ = [
    "LABEL",
    "OF",
    "Command",
    "Experiment",
    "experiment_of",
    "finish",
    "hurried",
    "pictures",
    "stages",
    "written",
]


def written(folder: Path) -> Path:
    """The configuration `tiny` with as little of everything as is allowed, and a sweep."""
    config = yaml.safe_load(TINY.read_text())
    config["simulation"]["spin_up"] = 5.0
    for split in config["simulation"]["splits"].values():
        split |= {"members": 2, "frames": 20}
    short = {"updates": 4, "batch_size": 4, "validate_every": 2, "checkpoint_every": 4, "warmup": 1}
    config["emulators"]["small"]["training"] = config["diffusion"]["small"]["training"] = short
    config["rollouts"] |= {"steps": 19, "chunk": 10}
    config["rollouts"]["sweeps"] = {"steps": {"of": "thermalized", "reverse_steps": [2]}}
    config["diagnostics"] |= {"resamples": 20, "samples": 8, "max_lag": 8, "spectrum_window": 5}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def stages(config: Path) -> list[list[str]]:
    """Every command that computes a part of the experiment, in an order in which all inputs are there."""
    experiment = load_experiment(config)
    of = ["--emulator", "small", "--stabilizer"]
    runs = [[*of, label, "--seed", str(seed)] for label in experiment.stabilizers for seed in experiment.seeds]
    return [
        ["resolve"],
        ["device"],
        *(["simulate", "--workers", "1", "--split", split] for split in ("train", "valid", "test")),
        ["reference"],
        ["train-emulator", "--emulator", "small"],
        ["train-diffusion", "--diffusion", "small"],
        ["sample", "--diffusion", "small"],
        *(["rollout", *words] for words in runs),
        *(["diagnose", *words] for words in runs),
        *(["ensemble", *of, label] for label in experiment.stabilizers),
        ["cost", "--emulator", "small"],
        ["summary"],
        ["ablation"],
    ]


def pictures(config: Path) -> list[list[str]]:
    """Every command that draws something."""
    return [*(["figure", "--name", name] for name in figures_of(load_experiment(config))), ["movie"]]


@contextmanager
def hurried() -> Iterator[None]:
    """Steps are timed over a moment, figures are sketches, and a movie is short."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cost, "STEPS", 2)
        patch.setattr(cost, "REPEATS", 1)
        patch.setattr(artifacts, "save", sketch)
        patch.setattr(scenes, "FRAMES", 6)
        yield


def sketch(figure: Figure, stem: Path, provenance: Mapping[str, str]) -> None:
    """All that the figure shows, coarsely and wherever it lies."""
    content = BytesIO()
    with styled():
        figure.set_layout_engine("none")
        figure.savefig(content, format="png", dpi=20)
    for kind in ("pdf", "png"):
        sealed.write(stem.with_name(f"{stem.name}.{kind}"), content.getvalue())


def finish(config: Path, results: Path) -> None:
    """Makes all results of the configuration but pictures below the folder `results`."""
    with hurried():
        for name, *words in stages(config):
            said = run(name, config, *words, "--results", results)
            assert said.status == 0, said


LABEL = "thermalized"
OF = ("--emulator", "small", "--stabilizer", LABEL, "--seed", "0")
Command = tuple[str, ...]
LIBRARY = {"load_emulator": thermalize.load_emulator, "load_diffusion": thermalize.load_diffusion}
whole = cache(fingerprints)
"""Of results that nobody changes."""


class Experiment:
    """A copy of the finished experiment in a folder that also holds what belongs to somebody else."""

    def __init__(self, folder: Path, config: Path, results: Path) -> None:
        self.root, self.config, self.results = folder, config, folder / "results"
        shutil.copytree(results, self.results)
        (folder / "precious.txt").write_text("mine")
        self.folder = self.results / "tiny"
        self.whole = whole(results / "tiny")

    def do(self, command: Command, name: str) -> Said:
        """Runs a command on the experiment, or reads the model in which the file `name` lies from Python."""
        first, *words = command
        if first in LIBRARY:
            try:
                LIBRARY[first](self.folder / Path(name).parent)
            except UserError as error:
                return Said(2, "", f"Error: {error}\n")
            return Said(0, "", "")
        with hurried():
            if first == "show":
                return run(first, self.folder / name.removesuffix(".sha256"))
            return run(first, self.config, *words, "--results", self.results)

    def changes(self) -> set[str]:
        """Files that were there and are not as they were."""
        found = fingerprints(self.folder)
        return {name for name, content in self.whole.items() if found.get(name) != content}

    def alone(self) -> bool:
        """Whether there is nothing but the results beside what belongs to somebody else."""
        return {path.name for path in self.root.iterdir()} == {"results", "precious.txt"}


def experiment_of(tiny: tuple[Path, Path], folder: Path) -> Experiment:
    return Experiment(folder, *tiny)
