"""Methods of the user's own: docs/extending.md as it stands there, and what is refused."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
import yaml
from training_runs import settings, store, written

import thermalize
from thermalize.config import Experiment, ImportedStabilizerConfig
from thermalize.config.load import load_experiment, resolved_yaml
from thermalize.emulators.projection import projected
from thermalize.metrics.families.health import rates
from thermalize.rollouts.engine import Rollout
from thermalize.rollouts.series import RECORDED, described, recorded
from thermalize.runtime.errors import UserError
from thermalize.runtime.members import MemberNoise, Series, member_keys
from thermalize.stabilizers.base import Inputs, Stabilized
from thermalize.stabilizers.build import build
from thermalize.stages.emulator import train_emulator
from thermalize.stages.rollouts import Job, rollout
from thermalize.store.fingerprint import file_of
from thermalize.store.manifest import open_store
from thermalize.store.results import Results
from thermalize.training.processes import ALONE
from thermalize.workflow.needs import Result
from thermalize.workflow.steps import STEPS, results_of

PAGE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
CPU = torch.device("cpu")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    """The page followed: its module, its settings, and data."""
    content: dict[str, Any] = settings()
    content["emulators"] = {}
    for text in blocks("yaml"):
        for section, found in yaml.safe_load(text).items():
            content[section] |= found
    config = written(tmp_path, content)
    store(config, ("train", "valid", "test"))
    (tmp_path / "own_methods.py").write_text("\n\n".join(blocks("python")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "own_methods", raising=False)
    importlib.invalidate_caches()
    return load_experiment(config)


def rolled(experiment: Experiment, stabilizer: str, folder: str = "results") -> xr.Dataset:
    paths = Results(experiment.name, Path(folder))
    manifest = paths.rollout("noisy", stabilizer, 0)
    rollout(Job(experiment, paths, "noisy", stabilizer, 0), manifest, CPU)
    return open_store(manifest)


def test_the_page_runs_to_stores_that_say_what_was_recorded(experiment: Experiment) -> None:
    train_emulator(experiment, "noisy", Results(experiment.name), ALONE)
    assert [*experiment.stabilizers] == ["raw", "shrunk", "shrunk.options.limit-1.2", "shrunk.options.limit-2.0"]
    raw, shrunk = (rolled(experiment, name) for name in ("raw", "shrunk.options.limit-1.2"))
    assert [*recorded(raw)] == ["kick"]
    assert [*recorded(shrunk)] == ["kick", "excess"]
    assert shrunk["excess"].attrs["long_name"].startswith("root mean square beyond the limit")
    assert shrunk.attrs["emulator_evaluations"] == 2
    assert shrunk.attrs["initial_frame"] == [1, 1], "the first frame has none before it"
    np.testing.assert_array_equal(raw["kick"][:, 0], np.nan)
    kick = raw["kick"].values[:, 1:]
    assert abs(kick.mean() / 0.02 - 1) < 0.1
    assert len(np.unique(kick)) == kick.size, "every member draws its own numbers at every step"


def test_what_a_stepper_reads_is_the_true_frame_before_and_then_its_own(experiment: Experiment) -> None:
    emulator = train(experiment)
    truth = open_store(Results(experiment.name).simulation("test"))["velocity"].values[:2]
    u = rolled(experiment, "raw")["velocity"].values
    frames = emulator.normalize(torch.from_numpy(np.concatenate((truth[:, :1], u), axis=1)))
    noise = [MemberNoise(member_keys(3, 0, 2), step) for step in range(1, 21)]
    for step, draws in enumerate(noise):
        expected = 0.9 * frames[:, step + 1] + 0.1 * frames[:, step]
        expected = projected(expected + 0.02 * draws.draw(torch.arange(2), frames[:, 0]), emulator.held)
        torch.testing.assert_close(frames[:, step + 2], expected, rtol=1e-4, atol=1e-5)


def train(experiment: Experiment) -> Any:
    train_emulator(experiment, "noisy", Results(experiment.name), ALONE)
    return thermalize.load_emulator(Results(experiment.name).emulator("noisy"), trust_code=True)


def test_a_stepper_that_is_stopped_goes_on_to_the_same_bits(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = experiment.model_copy(update={"rollouts": experiment.rollouts.model_copy(update={"chunk": 6})})
    train(short)
    advance, calls = Rollout.advance, []

    def dying(self: Rollout, state: Any, steps: int) -> Any:
        calls.append(state.step)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return advance(self, state, steps)

    with monkeypatch.context() as patched:
        patched.setattr(Rollout, "advance", dying)
        with pytest.raises(KeyboardInterrupt):
            rolled(short, "shrunk")
    stopped = rolled(short, "shrunk")
    manifest = Results(short.name).rollout("noisy", "shrunk", 0)
    manifest.unlink()
    whole = rolled(short, "shrunk")
    xr.testing.assert_identical(stopped, whole)


def test_in_a_loop_of_ones_own_the_past_is_given(experiment: Experiment) -> None:
    emulator, x = train(experiment), torch.randn(2, 2, 1, 32)
    found = thermalize.rollout(emulator, x[:, 1], 3, past=x[:, :1])
    assert found.record["kick"].shape == (2, 3)
    alone = thermalize.rollout(emulator, x[:1, 1], 3, past=x[:1, :1])
    assert torch.equal(alone.x[0], found.x[0]), "a member takes the same path alone"
    with pytest.raises(UserError, match=r"reads 1 earlier frames: give `past` of shape \(2, 1, 1, 32\)"):
        thermalize.rollout(emulator, x[:, 1], 3)
    with pytest.raises(UserError, match=r"call thermalize\.rollout"):
        emulator(x[:, 1])


def test_the_function_and_its_module_are_what_a_rollout_depends_on(experiment: Experiment) -> None:
    step = STEPS["rollout"]
    assert step.files(experiment, "noisy", "shrunk", "0") == [str(Path("own_methods.py").absolute())]
    assert step.files(experiment, "noisy", "raw", "0") == []
    assert "thermalize.stabilizers.imported" in step.code(experiment, "noisy", "shrunk", "0")
    assert "thermalize.stabilizers.drift" not in step.code(experiment, "noisy", "raw", "0")
    assert Result("rollout", ("noisy", "shrunk.options.limit-2.0", "0")) in [*results_of(experiment)]


STATES = torch.linspace(-1, 1, 12).reshape(2, 1, 6)


def stabilized(make: Any, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any] | None = None) -> Stabilized:
    """One step of the stabilizer that `make` makes."""
    monkeypatch.setattr("thermalize.runtime.targets.factory", lambda _: make)
    config = ImportedStabilizerConfig(kind="import", target="own:make", options=options or {})
    made = build(config, Inputs())
    memory = made.memory(2)
    assert isinstance(made.series, tuple)
    return made(STATES, 1, torch.arange(2), MemberNoise(member_keys(0, 0, 2), 1), memory)


def test_a_function_of_states_is_a_stabilizer(monkeypatch: pytest.MonkeyPatch) -> None:
    def halved(x: torch.Tensor) -> torch.Tensor:
        return x.mul_(0.5)

    before = STATES.clone()
    found = stabilized(lambda: halved, monkeypatch)
    assert torch.equal(found.x, before / 2)
    assert torch.equal(STATES, before), "it may work in place"
    assert found.record == {}


class Wrong:
    """A stabilizer of which the keywords are answered in place of the right ones."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {"series": (Series("seen", "what is seen"),), "memory": {}, **answers}
        self.series = self.answers["series"]

    def memory(self, members: int) -> Any:  # noqa: ARG002
        return self.answers["memory"]

    def __call__(self, x: torch.Tensor, *_: Any) -> Any:
        if "call" in self.answers:
            return self.answers["call"](x)
        return Stabilized(x, self.answers.get("lost", torch.zeros(2, dtype=torch.bool)), self.answers.get("record", {}))


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ({"series": ("level",)}, "`series` holds what is no thermalize.Series"),
        ({"series": 3}, "`series` holds what is no thermalize.Series"),
        ({"series": (Series("a", "one"), Series("a", "two"))}, "`series` names 'a' twice"),
        ({"series": (Series("level", "mine"),)}, "called 'level', as something of the package is"),
        ({"memory": [1]}, "`memory` must be a dictionary of tensors"),
        ({"memory": {"past": torch.zeros(3)}}, "`memory` must be a dictionary of tensors"),
        ({"call": lambda x: x}, "returns Tensor and no thermalize.Stabilized"),
        ({"call": lambda x: Stabilized.of(x[..., :3])}, r"maps states of shape \(2, 1, 6\) to \(2, 1, 3\)"),
        ({"call": lambda x: x.nothing}, "the call raises AttributeError"),
        ({"call": lambda x: Stabilized.of(x.to(torch.complex64))}, "to torch.complex64; keep"),
        ({"call": lambda x: Stabilized(x, torch.zeros(2, dtype=torch.bool), None)}, "no thermalize.Stabilized"),
        ({"lost": torch.zeros(2)}, "`lost` must be true or false"),
        (
            {"call": lambda x: Stabilized(x, torch.zeros(2, dtype=torch.bool), {"seen": torch.zeros(2) + 1j})},
            "'seen' must",
        ),
        ({"record": {"other": torch.zeros(2)}}, "records 'other', which `series` does not name"),
        ({"record": {"seen": torch.zeros(2, 2)}}, "'seen' must be a tensor of one number per member"),
        ({"lost": torch.zeros(3)}, "'lost' must be a tensor of one number per member"),
    ],
)
def test_what_is_no_stabilizer_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence) as error:
        stabilized(lambda: Wrong(**answers), monkeypatch)
    assert str(error.value).startswith("target 'own:make'")


def test_what_a_function_raises_is_said_with_what_it_was_called_with(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(limit: float) -> None:
        raise ValueError(f"{limit} is too low")

    with pytest.raises(UserError, match=r"^target 'own:make': called with limit=0.1 it raises ValueError: 0.1 is too"):
        stabilized(make, monkeypatch, {"limit": 0.1})
    with pytest.raises(UserError, match="returns int, which is no map of states"):
        stabilized(lambda: 3, monkeypatch)


@pytest.mark.parametrize(
    ("series", "words"),
    [
        ({"dtype": "int8"}, "store float32 or int16"),
        ({"dtype": "int16"}, "needs one for `missing`"),
        ({"missing": float("inf")}, "leave it out for NaN"),
        ({"long_name": 3}, "needs a text and units"),
        *(({"name": name}, "write small letters") for name in ("a/b", "", ".", "zarr.json", "x" * 99, "Ä", 3)),
    ],
)
def test_a_series_that_cannot_be_stored_is_refused(series: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Series(**{"name": "own", "long_name": "of my own", **series})


def test_states_of_another_precision_are_those_of_the_rollout(monkeypatch: pytest.MonkeyPatch) -> None:
    assert stabilized(lambda: lambda x: x.double(), monkeypatch).x.dtype == torch.float32


def test_what_changes_its_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Growing(Wrong):
        def __call__(self, x: torch.Tensor, *more: Any) -> Any:
            more[-1]["past"] = more[-1]["past"].double()
            return Stabilized.of(x)

    with pytest.raises(UserError, match="changes the names, shapes or types of its `memory`"):
        stabilized(lambda: Growing(memory={"past": torch.zeros(2)}), monkeypatch)


def test_a_stabilizer_that_writes_into_its_states_loses_members_when_it_does(experiment: Experiment) -> None:
    module = Path("own_methods.py")
    spoiling = "        if step == 7:\n            x[0] = float('nan')\n        size ="
    module.write_text(module.read_text().replace("        size =", spoiling))
    train(experiment)
    assert rolled(experiment, "shrunk").attrs["lost_step"] == [7, -1]


def test_another_module_makes_another_rollout(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    train(experiment)
    job, module = Job(experiment, Results(experiment.name), "noisy", "shrunk", 0), Path("own_methods.py")
    before = job.fingerprint()
    module.write_text(module.read_text() + "\nchanged = 1\n")
    assert job.fingerprint() != before


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_options_are_finite_and_points_of_a_sweep_have_names_of_their_own(number: float) -> None:
    def refused(**changes: Any) -> str:
        with pytest.raises(ValueError, match="rollouts") as error:
            Experiment.model_validate({**settings(), "rollouts": {"members": 2, "steps": 5, **changes}})
        return str(error.value)

    own = {"kind": "import", "target": "own:make", "options": {"limit": 1.0}}
    assert "not finite" in refused(stabilizers={"own": {**own, "options": {"a": [{"b": number}]}}})
    swept = {"stabilizers": {"own": own}, "sweeps": {"s": {"of": "own", "options": {"limit": [number]}}}}
    assert "not finite" in refused(**swept)
    swept["sweeps"]["s"]["options"]["limit"] = [1, "1"]
    assert "two points would be named 'own.options.limit-1'" in refused(**swept)


def test_series_that_do_not_fit_their_type_are_refused(experiment: Experiment) -> None:
    module, end = Path("own_methods.py"), 'beyond the limit, in standard deviations of the data"'
    text = module.read_text().replace(end, f'{end}, dtype="int16", missing=0')
    module.write_text(text.replace("excess=excess", "excess=70000 + 0 * excess"))
    train(experiment)
    with pytest.raises(UserError, match=r"series 'excess' holds 70000.*declare it as float32"):
        rolled(experiment, "shrunk")


def test_two_series_of_one_name_are_refused(experiment: Experiment) -> None:
    module = Path("own_methods.py")
    module.write_text(
        module.read_text().replace('Series("excess"', 'Series("kick"').replace("excess=excess", "kick=excess")
    )
    train(experiment)
    with pytest.raises(UserError, match="emulator and stabilizer both record 'kick'"):
        rolled(experiment, "shrunk")


def test_evaluations_that_are_recorded_now_and_then_count_where_they_are() -> None:
    values = np.array([[np.nan, 4.0, np.nan, 4.0, np.nan]], np.float32)
    own = Series("solves", "solutions of a linear system", evaluations=True)
    rollout = xr.Dataset({"solves": (("member", "time"), values)}, attrs={RECORDED: described([own])})
    assert rates(rollout, np.array([4]))["network_evaluations_per_step"] == 1 + 2


def test_a_module_in_the_working_directory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_alone.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    assert file_of("mine_alone") == tmp_path / "mine_alone.py"


@pytest.mark.parametrize(
    "name", ["stabilizer", "members", "stable_fraction_low", "mean", "seconds_per_step", "value_1"]
)
def test_a_metric_is_not_called_like_a_column(name: str) -> None:
    own = {"diagnostics": {"metrics": {name: {"kind": "import", "target": "own:make"}}}}
    with pytest.raises(ValueError, match="like a column of the tables"):
        Experiment.model_validate({**settings(), **own})


@pytest.mark.parametrize("text", ["1e5", "-1E-3", "12", "true", ".5"])
def test_text_in_options_stays_text(tmp_path: Path, text: str) -> None:
    own = {"kind": "import", "target": "own:make", "options": {"text": text}}
    content = {**settings(), "rollouts": {"members": 2, "steps": 5, "stabilizers": {"own": own}}}
    (tmp_path / "again.yaml").write_text(resolved_yaml(Experiment.model_validate(content)))
    again = load_experiment(tmp_path / "again.yaml").rollouts.stabilizers["own"]
    assert again.model_dump()["options"] == {"text": text}
