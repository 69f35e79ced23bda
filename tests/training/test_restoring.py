"""What stands in the folder of an unfinished training is taken up only where it is whole and fits."""

from __future__ import annotations

import copy
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_trainers import TRAINING, Killed, emulator_trainer, kill_after, same

from thermalize.runtime.errors import UserError
from thermalize.training.checkpoint import Checkpoints
from thermalize.training.loop import Result

State = dict[str, Any]


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return emulator_trainer(tmp_path_factory.mktemp("straight")).run()


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that was killed at update 17, with checkpoints of updates 10 and 15; their folder."""
    return stopped(tmp_path_factory.mktemp("killed"))


@pytest.fixture
def folder(tmp_path: Path, killed: Path) -> Path:
    """The same checkpoints, to be damaged."""
    return shutil.copytree(killed, tmp_path / "p")


def stopped(folder: Path, **options: Any) -> Path:
    trainer = emulator_trainer(folder, **options)
    kill_after(trainer, 17)
    with pytest.raises(Killed):
        trainer.run()
    return folder / "p"


def put(folder: Path, update: int, content: object) -> Path:
    """A file whose name has the digest of what it holds."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return put_bytes(folder, update, buffer.getvalue())


def put_bytes(folder: Path, update: int, data: bytes) -> Path:
    for old in folder.glob(f"{update:09d}-*.pt"):
        old.unlink()
    path = folder / f"{update:09d}-{sha256(data).hexdigest()[:32]}.pt"
    path.write_bytes(data)
    return path


def newest(folder: Path) -> State:
    return torch.load(max(folder.glob("*.pt")), weights_only=True)


def first(weights: dict[str, torch.Tensor]) -> str:
    return next(name for name, tensor in weights.items() if tensor.ndim > 1)


def nan_weight(state: State) -> None:
    state["model"][first(state["model"])].view(-1)[0] = torch.nan


def infinite_average(state: State) -> None:
    state["average"][first(state["average"])].view(-1)[0] = torch.inf


def other_shape(state: State) -> None:
    name = first(state["model"])
    state["model"][name] = state["model"][name][:0]


def other_type(state: State) -> None:
    name = first(state["model"])
    state["model"][name] = state["model"][name].double()


def other_names(state: State) -> None:
    state["model"]["more"] = state["model"].pop(first(state["model"]))


def moments_of_another_size(state: State) -> None:
    state["optimizer"]["state"][0]["exp_avg"] = torch.zeros(3)


def moments_of_no_parameter(state: State) -> None:
    state["optimizer"]["state"][9999] = state["optimizer"]["state"][0]


def other_decay(state: State) -> None:
    state["optimizer"]["param_groups"][0]["weight_decay"] = 0.9


CHANGES: dict[str, Callable[[State], object]] = {
    **{each.__name__: each for each in (nan_weight, infinite_average, other_shape, other_type, other_names)},
    **{each.__name__: each for each in (moments_of_another_size, moments_of_no_parameter, other_decay)},
    "missing": lambda state: state.pop("average"),
    "more": lambda state: state.update(more=1),
    "no dictionary": lambda state: state.update(model=[1, 2]),
    "other update": lambda state: state.update(update=14),
    "text": lambda state: state.update(update="15"),
    "no number of seconds": lambda state: state.update(seconds=float("nan")),
    "history": lambda state: state.update(history=[{"update": 8, "valid_loss": "low"}]),
    "history of the future": lambda state: state["history"][-1].update(update=99),
    "history lost": lambda state: state.update(history=[]),
    "losses": lambda state: state.update(losses=[torch.zeros(3)]),
    "fewer norms": lambda state: state.update(norms=state["norms"][1:]),
    "best": lambda state: state["best"].update(value=float("nan")),
    "best weights": lambda state: state["best"].update(weights={}),
    "pass": lambda state: state.update(largest_pass=0),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_checkpoint_of_wrong_content_but_right_digest_is_not_used(
    tmp_path: Path, folder: Path, change: str, straight: Result, capsys: pytest.CaptureFixture[str]
) -> None:
    content = copy.deepcopy(newest(folder))
    CHANGES[change](content["state"])
    put(folder, 15, content)
    trainer = emulator_trainer(tmp_path)
    trainer._restore()
    assert trainer.update == 10
    assert "The checkpoint of update 15 does not fit this training; it is not used.\n" in capsys.readouterr().err
    if change == "nan_weight":
        assert same(trainer.run(), straight)


def compressed(folder: Path) -> Path:
    """What unpacks to more than it is."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(max(folder.glob("*.pt"))) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return put_bytes(folder, 15, buffer.getvalue())


CONTENTS: dict[str, Callable[[Path], Path]] = {
    "list": lambda folder: put(folder, 15, [1, 2]),
    "tensor": lambda folder: put(folder, 15, torch.zeros(2)),
    "no state": lambda folder: put(folder, 15, {"identity": newest(folder)["identity"]}),
    "no identity": lambda folder: put(folder, 15, {"state": newest(folder)["state"]}),
    "identity is a list": lambda folder: put(folder, 15, {**newest(folder), "identity": "[]"}),
    "identity is no JSON": lambda folder: put(folder, 15, {**newest(folder), "identity": "{"}),
    "bytes": lambda folder: put_bytes(folder, 15, b"nonsense"),
    "nothing": lambda folder: put_bytes(folder, 15, b""),
    "compressed": compressed,
}


@pytest.mark.parametrize("content", CONTENTS)
def test_what_is_no_checkpoint_is_not_used(
    tmp_path: Path, folder: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = CONTENTS[content](folder)
    trainer = emulator_trainer(tmp_path)
    trainer._restore()
    assert trainer.update == 10
    assert f"{path} is damaged, or no checkpoint; it is not used.\n" in capsys.readouterr().err


def test_checkpoints_tell_themselves_of_which_training_they_are(
    tmp_path: Path, straight: Result, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever became of other files in the folder, such as the one that once held the identity."""
    folder = stopped(tmp_path, training=TRAINING.model_copy(update={"learning_rate": 0.01}))
    for left in (None, json.dumps(emulator_trainer(tmp_path).checkpoints.identity), "{", "[]"):
        (folder / "identity.json").unlink(missing_ok=True)
        if left is not None:
            (folder / "identity.json").write_text(left)
        trainer = emulator_trainer(tmp_path)
        trainer._restore()
        assert trainer.update == 0
        assert "is of another training (config.training.learning_rate: 0.01 there" in capsys.readouterr().err
    assert same(emulator_trainer(tmp_path).run(), straight)
    assert not (folder / "identity.json").exists()


def test_files_of_other_names_are_neither_read_nor_deleted(
    tmp_path: Path, folder: Path, straight: Result, capsys: pytest.CaptureFixture[str]
) -> None:
    strange = ["zzz.pt", "1-.pt", "notes.txt", "000000099-.pt", f"{99:09d}-{'0' * 32}.pt.old"]
    for name in strange:
        (folder / name).write_bytes(b"x")
    (folder / f"{98:09d}-{'0' * 32}.pt").mkdir()
    trainer = emulator_trainer(tmp_path)
    assert same(trainer.run(), straight)
    trainer.checkpoints.discard()
    assert sorted(path.name for path in folder.iterdir()) == sorted([*strange, f"{98:09d}-{'0' * 32}.pt"])
    assert "holds files of somebody else; it was left" in capsys.readouterr().err


def test_what_claims_to_be_newer_does_not_push_checkpoints_out(tmp_path: Path, folder: Path) -> None:
    for update in (97, 98, 99):
        put_bytes(folder, update, b"nonsense")
    trainer = emulator_trainer(tmp_path)
    kill_after(trainer, 21)
    with pytest.raises(Killed):
        trainer.run()
    assert sorted(path.name[:9] for path in folder.iterdir()) == ["000000015", "000000020"]


def test_a_folder_of_somebody_else_is_not_followed(tmp_path: Path, killed: Path, straight: Result) -> None:
    theirs = shutil.copytree(killed, tmp_path / "theirs")
    before = {path.name: path.read_bytes() for path in theirs.iterdir()}
    (tmp_path / "p").symlink_to(theirs)
    trainer = emulator_trainer(tmp_path)
    assert same(trainer.run(), straight)
    trainer.checkpoints.discard()
    assert {path.name: path.read_bytes() for path in theirs.iterdir()} == before


def test_a_checkpoint_that_may_not_be_read_is_no_damage(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def refuse(path: Any, *flags: int, **more: Any) -> int:
        if str(path).endswith(".pt"):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *flags, **more)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(UserError, match=r"000000015-.*cannot be read: Permission denied; give yourself permission"):
        emulator_trainer(tmp_path)._restore()
    assert len(list(folder.iterdir())) == 2


def test_the_network_of_another_training_is_not_taken_for_ours(tmp_path: Path, folder: Path) -> None:
    trainer = emulator_trainer(tmp_path)
    trainer.model.extra = torch.nn.Linear(2, 2)
    trainer._restore()
    assert trainer.update == 0
    assert Checkpoints.begun(folder) == trainer.checkpoints.identity
