"""Figures of the user's own, and what a figure of ours says of itself where nothing is imported."""

from __future__ import annotations

import sys
from pathlib import Path

import artifact_data
import pytest
from matplotlib.figure import Figure

from thermalize.config import Experiment
from thermalize.figures import FIGURES
from thermalize.figures.imported import imported_figure, refusing
from thermalize.figures.saving import save
from thermalize.runtime.errors import UserError
from thermalize.workflow.pictures import CONDITIONS, caption_of, figures_of, pictures
from thermalize.workflow.steps import STEPS, settings_of

SOURCE = """
from matplotlib.figure import Figure


def portrait(inputs, title="none"):
    figure = Figure()
    figure.suptitle(f"{title} of {len(inputs.rollouts)} rollouts")
    return figure


def nothing(inputs):
    return None


def sized(inputs, width, height):
    figure = Figure()
    figure.set_size_inches(width, height)
    return figure


def leaving(inputs):
    raise SystemExit(0)


def undrawable(inputs):
    figure = Figure()
    figure.add_axes((0, 0, 1, 1)).xaxis.set_major_formatter(lambda value, place: 1 / 0)
    return figure
"""


@pytest.fixture(autouse=True)
def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_figures.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_figures", raising=False)


def asking(**figures: dict) -> Experiment:
    plain = artifact_data.experiment().model_dump()
    own = {name: {"kind": "import", "target": "own_figures:portrait", **told} for name, told in figures.items()}
    return Experiment.model_validate({**plain, "figures": own})


def test_figures_are_declared_as_they_are_registered():
    assert set(pictures()) == set(FIGURES)
    assert {each.when for each in pictures().values()} <= set(CONDITIONS)
    assert {each.shows for each in pictures().values()} == {"rollouts", "tables"}


def test_a_figure_of_the_users_own_is_drawn_from_what_the_others_are_drawn_from():
    config = asking(mine={"options": {"title": "portrait"}})
    figure = imported_figure("mine", config.figures["mine"], artifact_data.inputs(config))
    assert isinstance(figure, Figure)
    assert figure.get_suptitle() == "portrait of 1 rollouts"
    assert figures_of(config)[-1] == "mine"


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"target": "own_figures:nothing"}, "returns NoneType; it must return a matplotlib.figure.Figure"),
        ({"options": {"colour": 1}}, r"raises TypeError: portrait\(\) got an unexpected keyword argument 'colour'"),
        ({"target": "own_figures:missing"}, "has no function or class 'missing'"),
        ({"target": "own_figures:leaving"}, "raises SystemExit: 0"),
        (
            {"target": "own_figures:sized", "options": {"width": 0, "height": 3}},
            "0 × 3 inches; make it 0.1 to 50 inches",
        ),
        ({"target": "own_figures:sized", "options": {"width": 3, "height": 1e-9}}, "3 × 1e-09 inches; make it"),
        ({"target": "own_figures:sized", "options": {"width": 3, "height": 1e4}}, "3 × 10000 inches; make it"),
        ({"target": "own_figures:sized", "options": {"width": -3, "height": 3}}, "raises ValueError: "),
    ],
)
def test_a_wrong_answer_is_refused_in_one_sentence(told, sentence):
    config = asking(mine=told)
    with pytest.raises(UserError, match=sentence):
        imported_figure("mine", config.figures["mine"], artifact_data.inputs(config))


def test_what_cannot_be_drawn_is_refused_in_one_sentence_and_leaves_nothing(tmp_path):
    config = asking(mine={"target": "own_figures:undrawable"}).figures["mine"]
    with (
        pytest.raises(
            UserError, match="own_figures:undrawable returns a figure that raises ZeroDivisionError: division"
        ),
        refusing("mine", config),
    ):
        save(imported_figure("mine", config, artifact_data.inputs(asking())), tmp_path / "figures" / "mine")
    assert not (tmp_path / "figures").exists()


def test_a_name_of_ours_is_refused():
    with pytest.raises(UserError, match=r"figures\.spectra has the name of a figure that there is already"):
        figures_of(asking(spectra={}))


def test_a_figure_depends_on_its_module_its_caption_and_its_own_settings(tmp_path):
    plain, own = asking(), asking(mine={"caption": "mine.rst"})
    assert STEPS["figure"].files(own, "mine") == ["mine.rst", str(tmp_path / "own_figures.py")]
    assert STEPS["figure"].files(own, "spectra") == []
    assert caption_of(own, "mine") == str(Path("mine.rst").absolute())
    assert caption_of(own, "spectra") == "../report/spectra.rst"
    for figure, differs in (("spectra", False), ("mine", True)):
        before, after = (settings_of(each, "figure", {"figure": figure}) for each in (plain, own))
        assert (before != after) == differs
    for step in ("summary", "movie"):
        assert settings_of(plain, step, {}) == settings_of(own, step, {})
