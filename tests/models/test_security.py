"""A model folder from somebody else runs no Python code, unless the caller says so or names the same code."""

from __future__ import annotations

import io
import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from malicious import Doubled, Order, exported, in_sizes, rewritten
from training_runs import settings, store, written

import thermalize
from thermalize.config import Experiment
from thermalize.config.load import load_experiment
from thermalize.models.folder import save_model
from thermalize.runtime.errors import UserError
from thermalize.stages.bands import measure_bands
from thermalize.stages.cost import measure_cost
from thermalize.stages.emulator import train_emulator
from thermalize.stages.rollouts import Job, rollout
from thermalize.stages.samples import sample_diffusion
from thermalize.store.results import SUMS, Results
from thermalize.store.sealed import seal_folder, sums
from thermalize.training.checkpoint import Checkpoints
from thermalize.training.processes import ALONE

SYSTEM = {"kind": "ks"}
STRANGE = {"kind": "import", "target": "os:mkdir", "options": {"path": "executed"}}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def folder(
    kind: str, config: dict[str, Any], system: dict[str, Any] | None = None, program: bytes | None = None
) -> Path:
    """What somebody may send."""
    card = {
        "kind": kind,
        "name": "strange",
        "config": config,
        "system": SYSTEM if system is None else system,
        "normalization": {"mean": [0.0], "std": [1.0]},
        "dims": 1,
        "channels": 1,
        "calibration": {
            "level": [0],
            "predicted_mean": [0.0],
            "predicted_low": [0.0],
            "predicted_high": [0.0],
            "band": [0.05, 0.95],
            "clean_level_counts": [1],
            "clean_noise_rms": 0.1,
        },
    }
    if program is not None:
        Path("strange").mkdir()
        Path("strange/program.pt2").write_bytes(program)
        card["program_digest"] = f"sha256:{sha256(program).hexdigest()}"
    weights = {"w": torch.zeros(1)}
    save_model(Path("strange"), weights, weights, card, [{"update": 0.0}])
    return Path("strange")


def as_emulator() -> Path:
    return folder("emulator", {**STRANGE, "files": [], "units": "physical"})


def as_network() -> Path:
    return folder("emulator", {"kind": "residual", "network": STRANGE, "training": {"updates": 1}})


def as_diffusion() -> Path:
    return folder("diffusion", {"network": STRANGE, "training": {"updates": 1}})


@pytest.mark.parametrize(
    ("make", "load"),
    [
        (as_emulator, thermalize.load_emulator),
        (as_network, thermalize.load_emulator),
        (as_diffusion, thermalize.load_diffusion),
    ],
)
def test_a_folder_that_names_code_is_refused(make, load):
    with pytest.raises(
        UserError, match=r"^strange calls Python code, 'os:mkdir' with .*; load it with trust_code=True"
    ):
        load(make())
    assert not Path("executed").exists()


def test_code_runs_where_the_caller_trusts_it():
    with pytest.raises(UserError, match="returned NoneType"):  # os.mkdir is no emulator, but it was called
        thermalize.load_emulator(as_emulator(), trust_code=True)
    assert Path("executed").exists()


def experiment(home: Path) -> tuple[Experiment, Results]:
    """Emulators and a diffusion model of the experiment's own, with data."""
    content = settings()
    content["emulators"] = {"own": {"kind": "import", "target": "own:make", "options": {"by": 0.5}}}
    content["diffusion"] = {"own": {"network": {"kind": "unet", "width": 4}, "training": {"updates": 1}}}
    content["rollouts"]["stabilizers"] = {"raw": {"kind": "none"}, "own": {"kind": "thermalizer", "start": 5}}
    (home / "own.py").write_text("import torch\n\ndef make(by):\n    return lambda u: by * u\n")
    sys.modules.pop("own", None)
    store(written(home, content), ("train", "valid", "test"))
    loaded = load_experiment(home / "config.yaml")
    return loaded, Results(loaded.name)


def test_the_workflow_runs_the_code_of_its_own_configuration_alone(home):
    configured, paths = experiment(home)
    train_emulator(configured, "own", paths, ALONE)
    job, cpu = Job(configured, paths, "own", "raw", 0), torch.device("cpu")
    rollout(job, paths.rollout("own", "raw", 0), cpu)
    model = paths.emulator("own")
    card = model / "model.json"
    sound = json.loads(card.read_text())
    for changed in ({"target": "os:mkdir", "options": {"path": "executed"}}, {"options": {"by": 0.6}}):
        card.write_text(json.dumps({**sound, "config": {**sound["config"], **changed}}))
        seal_folder(model, sums(model / SUMS))
        for call in (
            lambda: rollout(job, paths.rollout("own", "raw", 1), cpu),
            lambda: measure_cost(configured, "own", paths, cpu),
        ):
            with pytest.raises(UserError, match="which is not what the configuration names"):
                call()
    assert not Path("executed").exists()


def test_neither_samples_nor_thermalizers_run_the_code_of_a_diffusion_model(home):
    configured, paths = experiment(home)
    train_emulator(configured, "own", paths, ALONE)
    measure_bands(configured, paths)
    strange = folder("diffusion", {"network": STRANGE, "training": {"updates": 1}}, configured.simulation.identity)
    paths.diffusion("own").parent.mkdir(parents=True)
    strange.rename(paths.diffusion("own"))
    cpu = torch.device("cpu")
    for call in (
        lambda: sample_diffusion(configured, "own", paths, cpu),
        lambda: rollout(Job(configured, paths, "own", "own", 0), paths.rollout("own", "own", 0), cpu),
        lambda: measure_cost(configured, "own", paths, cpu),
    ):
        with pytest.raises(UserError, match="which is not what the configuration names"):
            call()
    assert not Path("executed").exists()


def test_a_checkpoint_unpickles_nothing(home):
    checkpoints = Checkpoints(home / "checkpoints", {})
    checkpoints.save(1, {"x": torch.zeros(1)})
    assert [update for update, _ in checkpoints.states()] == [1]
    (path,) = checkpoints.folder.glob("*.pt")
    content = io.BytesIO()
    torch.save({"x": Order(home / "executed")}, content)
    digest = sha256(content.getvalue()).hexdigest()
    path.with_name(f"{path.stem.split('-')[0]}-{digest[:32]}.pt").write_bytes(content.getvalue())
    path.unlink()
    assert list(checkpoints.states()) == []
    assert not Path("executed").exists()


def test_a_program_is_read_alike_on_its_way_in_and_out(home):
    """Through `train-emulator` of `kind: exported`, and through the program in a model folder."""
    content = settings()
    content["emulators"] = {"exported": {"kind": "exported", "program": "a.pt2"}}
    store(written(home, content), ("train", "valid"))
    configured = load_experiment(home / "config.yaml")
    paths = Results(configured.name)
    sound = exported(Doubled(32), (2, 1, 32))
    strange = rewritten(sound, lambda program: in_sizes(program, home / "executed"))
    Path("a.pt2").write_bytes(strange)
    with pytest.raises(UserError, match=r"a\.pt2 is not run: it states a size as"):
        train_emulator(configured, "exported", paths, ALONE)
    card = {"kind": "exported", "program": "a.pt2", "units": "physical"}
    made = folder("emulator", card, program=strange)
    with pytest.raises(UserError, match=r"program\.pt2 is not run: it states a size as"):
        thermalize.load_emulator(made)
    assert not Path("executed").exists()
