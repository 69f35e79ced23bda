"""What a training shows: TensorBoard events beside the history, also of one that was interrupted."""

from __future__ import annotations

import builtins
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_runs import settings, store, written

from thermalize.config.load import load_experiment
from thermalize.runtime.errors import UserError
from thermalize.stages.emulator import train_emulator
from thermalize.store.results import Results
from thermalize.training import loop
from thermalize.training.processes import ALONE
from thermalize.training.watch import Events


def prepared(folder: Path, **training: object) -> Results:
    config = written(folder, settings(validate_every=3, **training))
    return store(config)


def train(folder: Path, paths: Results) -> None:
    train_emulator(load_experiment(folder / "config.yaml"), "unet", paths, ALONE)


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


class Killed(Exception):
    pass


def test_events_are_the_history_also_of_an_interrupted_training(tmp_path, monkeypatch):
    paths = prepared(tmp_path, tensorboard=True)
    step = loop.Trainer._step

    def stopping(trainer: loop.Trainer) -> None:
        if trainer.update == 9:  # validated, but the last checkpoint is that of update 8
            raise Killed
        step(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Trainer, "_step", stopping)
        with pytest.raises(Killed):
            train(tmp_path, paths)
    train(tmp_path, paths)
    history = (paths.emulator("unet") / "history.csv").read_text().splitlines()
    names, rows = history[0].split(","), [line.split(",") for line in history[1:]]
    found = scalars(paths.tensorboard("emulators", "unet"))
    assert set(found) == set(names) - {"update"}
    for tag, points in found.items():
        expected = [(int(row[0]), float(row[names.index(tag)])) for row in rows]
        assert [step for step, _ in points] == [step for step, _ in expected] == [3, 6, 9, 12]
        assert [value for _, value in points] == pytest.approx([value for _, value in expected], rel=1e-5)


def test_without_being_asked_there_are_no_events(tmp_path):
    paths = prepared(tmp_path)
    train(tmp_path, paths)
    assert not paths.tensorboard("emulators", "unet").exists()


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name: str, *arguments: object, **options: object) -> object:
        if name.startswith("torch.utils.tensorboard"):
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match="needs the package tensorboard"):
        Events(tmp_path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those that the compiler itself raises
def test_a_compiled_network_learns_the_same(tmp_path):
    """On Linux this needs a C++ compiler, as the page on training says."""
    histories = []
    for compiled in (False, True):
        folder = tmp_path / str(compiled)
        paths = prepared(folder, compile=compiled)
        train(folder, paths)
        torch.compiler.reset()
        lines = (paths.emulator("unet") / "history.csv").read_text().splitlines()
        histories.append([line.split(",") for line in lines])
    assert histories[0][0] == histories[1][0]
    for eager, fast in zip(histories[0][1:], histories[1][1:], strict=True):
        assert [float(v) for v in fast] == pytest.approx([float(v) for v in eager], rel=1e-3)
