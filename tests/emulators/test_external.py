"""Emulators from elsewhere: docs/emulators.md as it stands there, what is refused, files that want to be executed."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file
from training_runs import settings, store, written

import thermalize
from thermalize.config import Experiment
from thermalize.config.load import load_experiment
from thermalize.emulators.exported import load_program
from thermalize.emulators.external import ForeignEmulator
from thermalize.models.normalization import Normalization
from thermalize.runtime.errors import UserError
from thermalize.stages.emulator import train_emulator
from thermalize.stages.rollouts import Job, rollout
from thermalize.store.manifest import open_store
from thermalize.store.results import Results
from thermalize.training.processes import ALONE

ROOT = Path(__file__).parents[2]
PARAMETER = {"damped": "network.keep", "exported": "network.module.keep"}
PAGE = (ROOT / "docs" / "emulators.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page followed: its files, its emulators in a configuration, data, and the exported one adopted."""
    folder = tmp_path_factory.mktemp("page")
    module, export = blocks("python")
    content = settings()
    content["emulators"] = {k: v for text in blocks("yaml") for k, v in yaml.safe_load(text)["emulators"].items()}
    store(written(folder, content), ("train", "valid", "test"))
    (folder / "my_emulator.py").write_text(module)
    with pytest.MonkeyPatch.context() as patch:
        enter(folder, patch)
        exec(compile(export, "docs/emulators.md", "exec"), {})
        adopt(folder, "exported")
    return folder


def enter(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.chdir(folder)
    patch.setattr(sys, "path", [str(folder), *sys.path])
    patch.delitem(sys.modules, "my_emulator", raising=False)


@pytest.fixture
def project(page, tmp_path, monkeypatch) -> Path:
    """A copy of the folder in which the page was followed."""
    shutil.copytree(page, tmp_path, dirs_exist_ok=True)
    enter(tmp_path, monkeypatch)
    return tmp_path


@pytest.fixture
def exported(project) -> Path:
    """The model folder of the exported emulator."""
    return Results("small").emulator("exported")


def adopt(project: Path, name: str) -> Path:
    """The model folder of an emulator of the configuration."""
    experiment = load_experiment(project / "config.yaml")
    paths = Results(experiment.name)
    train_emulator(experiment, name, paths, ALONE)
    return paths.emulator(name)


@pytest.mark.parametrize("name", ["damped", "exported"])
def test_the_page_runs_to_a_rollout_and_a_model_folder(project, name):
    folder, experiment = adopt(project, name), load_experiment(project / "config.yaml")
    paths = Results(experiment.name)
    manifest = paths.rollout(name, "raw", 0)
    rollout(Job(experiment, paths, name, "raw", 0), manifest, torch.device("cpu"))
    u = open_store(manifest)["velocity"].values
    assert u[:, 20] == pytest.approx(0.95**20 * u[:, 0], rel=1e-4, abs=1e-6)
    emulator, start = thermalize.load_emulator(folder, trust_code=name == "damped"), torch.from_numpy(u[:, 0])
    torch.testing.assert_close(emulator.step(start), 0.95 * start)
    history = pd.read_csv(folder / "history.csv")
    assert history["update"].tolist() == [0]
    assert history["valid_loss"][0] > 0
    assert "load_emulator" in (folder / "README.md").read_text()
    assert float(load_file(folder / "model.safetensors")[PARAMETER[name]]) == pytest.approx(0.95)


def test_units_say_what_an_emulator_maps(project):
    model = ForeignEmulator(lambda x: x + 1, "normalized", 1, Normalization((2.0,), (3.0,)))
    u = torch.zeros(1, 1, 4)
    assert model(u).unique().tolist() == [1.0]
    assert model.step(u).unique().tolist() == [3.0]
    model.units = "physical"
    assert model.step(u).unique().tolist() == [1.0]
    assert model(u).unique().item() == pytest.approx(1 / 3)


def test_another_factory_makes_another_emulator(project, monkeypatch):
    before = json.loads((adopt(project, "damped") / "model.json").read_text())
    again = json.loads((adopt(project, "damped") / "model.json").read_text())
    source = project / "my_emulator.py"
    source.write_text(source.read_text().replace("1 - share", "1 - 2 * share"))
    monkeypatch.delitem(sys.modules, "my_emulator")
    importlib.invalidate_caches()
    after = json.loads((adopt(project, "damped") / "model.json").read_text())
    assert again == before
    assert after["fingerprint"] != before["fingerprint"]
    assert after["weights_digest"] != before["weights_digest"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("return lambda u: u[..., :16]", r"maps states of shape \[1, 1, 32\] to \[1, 1, 16\]; it must keep the shape"),
        ("return lambda u: u / 0", "to one that is not finite; check `units`"),
        ("return lambda u: torch.fft.nothing(u)", r"fails on states of shape \[1, 1, 32\]: AttributeError"),
        ("return 3", "returned int, which is no map of states"),
        ("raise OSError('no weights')", "target 'own:make': it raises OSError: no weights"),
    ],
)
def test_an_emulator_that_is_none_is_refused_in_one_sentence(project, monkeypatch, body, sentence):
    monkeypatch.delitem(sys.modules, "own", raising=False)
    (project / "own.py").write_text(f"import torch\ndef make():\n    {body}\n")
    importlib.invalidate_caches()
    written(project, {**settings(), "emulators": {"own": {"kind": "import", "target": "own:make"}}})
    with pytest.raises(UserError, match=sentence):
        adopt(project, "own")
    assert not Results("small").emulator("own").exists()


def test_a_damaged_or_missing_program_is_refused_by_name(project, exported):
    stored = exported / "program.pt2"
    data = bytearray(stored.read_bytes())
    data[len(data) // 2] ^= 1
    stored.write_bytes(bytes(data))
    with pytest.raises(UserError, match=r"program\.pt2 is damaged"):
        thermalize.load_emulator(stored.parent)
    (project / "damped.pt2").unlink()
    with pytest.raises(UserError, match=r"^damped\.pt2 cannot be read: No such file"):
        adopt(project, "exported")


@pytest.mark.parametrize("data", [b"", b"PK\x05\x06" + 18 * b"\0", b"not an archive"])
def test_other_files_are_no_programs(data):
    with pytest.raises(UserError, match=r"other\.bin is not a file of torch\.export\.save"):
        load_program(Path("other.bin"), data)


@pytest.mark.parametrize("target", ["my_emulator", "my_emulator.make", ":make", "a b:make"])
def test_a_target_names_module_and_function(target):
    with pytest.raises(ValueError, match="target"):
        Experiment.model_validate({**settings(), "emulators": {"own": {"kind": "import", "target": target}}})


def test_an_emulator_with_shared_weights_is_kept(project, monkeypatch):
    monkeypatch.delitem(sys.modules, "tied", raising=False)
    (project / "tied.py").write_text(
        "import torch\n"
        "def make():\n"
        "    first, second = torch.nn.Conv1d(1, 1, 1), torch.nn.Conv1d(1, 1, 1)\n"
        "    second.weight = first.weight\n"
        "    return torch.nn.Sequential(first, second)\n"
    )
    importlib.invalidate_caches()
    written(
        project, {**settings(), "emulators": {"tied": {"kind": "import", "target": "tied:make", "project": "none"}}}
    )
    folder = adopt(project, "tied")
    stored = load_file(folder / "model.safetensors")
    first, second = (stored[f"network.{n}.weight"] for n in (0, 1))
    assert torch.equal(first, second)
    expected = first * (first + stored["network.0.bias"]) + stored["network.1.bias"]
    torch.testing.assert_close(thermalize.load_emulator(folder, trust_code=True).step(torch.ones(1, 1, 1)), expected)


class Counting(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(1), persistent=False)

    def forward(self, u: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return u.clone()


class Remembering(torch.nn.Module):
    """What no list of tensors shows."""

    calls = 0

    def forward(self, u: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return u + 0.1 * self.calls


class Mixing(torch.nn.Module):
    def forward(self, u: torch.Tensor) -> torch.Tensor:
        return u + 0.5 * (u.mean(0, keepdim=True) - u)


UNSOUND = {
    "counting": (Counting, r"^emulators\.own changes 'network\.calls' when it runs"),
    "remembering": (Remembering, r"^emulators\.own gives one state two next states"),
    "random": (lambda: lambda u: u + 0.1 * torch.randn_like(u), r"^emulators\.own gives one state two next states"),
    "mixing": (Mixing, r"^emulators\.own gives a state another next state beside other members"),
}


@pytest.mark.parametrize("name", UNSOUND)
def test_an_emulator_that_is_no_map_of_states_is_not_adopted(project, monkeypatch, name):
    make, sentence = UNSOUND[name]
    own = ModuleType("own")
    own.make = make
    own.__file__ = str(project / "my_emulator.py")
    monkeypatch.setitem(sys.modules, "own", own)
    written(project, {**settings(), "emulators": {"own": {"kind": "import", "target": "own:make"}}})
    with pytest.raises(UserError, match=sentence):
        adopt(project, "own")
    assert not Results("small").emulator("own").exists()


def test_an_emulator_that_works_in_place_leaves_its_state_as_it_was():
    for units in ("physical", "normalized"):
        model = ForeignEmulator(lambda u: u.mul_(2), units, 1, Normalization((0.0,), (1.0,)))
        u = torch.ones(3, 1, 8)
        model.check(u[:, None])
        assert torch.equal(model.step(u), 2 * u)
        assert torch.equal(model(u), 2 * u)
        assert u.unique().tolist() == [1.0]


def test_an_emulator_in_training_mode_with_its_statistics_is_adopted_in_evaluation_mode(project, monkeypatch):
    monkeypatch.delitem(sys.modules, "own", raising=False)
    (project / "own.py").write_text("import torch\ndef make():\n    return torch.nn.BatchNorm1d(1)\n")
    importlib.invalidate_caches()
    written(project, {**settings(), "emulators": {"own": {"kind": "import", "target": "own:make"}}})
    folder = adopt(project, "own")
    before = (folder / "model.safetensors").read_bytes()
    first, second = (thermalize.load_emulator(folder, trust_code=True) for _ in range(2))
    u = torch.randn(4, 1, 32)
    assert torch.equal(first.step(first.step(u)), second.step(second.step(u)))
    assert torch.equal(first.step(u)[1:2], first.step(u[1:2]))
    assert (folder / "model.safetensors").read_bytes() == before
    assert int(load_file(folder / "model.safetensors")["network.num_batches_tracked"]) == 0


def as_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def as_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("change", [as_pipe, as_folder, as_device], ids=lambda each: each.__name__)
@pytest.mark.parametrize("name", ["program.pt2", "model.json", "model.safetensors", "SHA256SUMS"])
def test_a_part_of_a_model_folder_that_is_no_file_is_refused_and_not_waited_for(exported, name, change):
    change(exported / name)
    with pytest.raises(UserError, match=rf"{name} is not a file"):
        thermalize.load_emulator(exported)


def test_a_card_larger_than_any_is_not_read(exported):
    with (exported / "model.json").open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(UserError, match=r"model\.json has 1099511627776 bytes"):
        thermalize.load_emulator(exported)


def test_a_program_that_is_no_file_is_refused_and_not_waited_for(project):
    as_pipe(project / "damped.pt2")
    with pytest.raises(UserError, match=r"damped\.pt2 is not a file"):
        adopt(project, "exported")


def test_a_loaded_program_that_fails_says_so_in_one_sentence(exported):
    emulator = thermalize.load_emulator(exported)
    with pytest.raises(UserError, match=r"program\.pt2|exported for states of shape"):
        emulator(torch.ones(2, 1, 16))
