"""Names, units and numbers from files reach matplotlib, LaTeX, YAML and the terminal as text, never as commands."""

from __future__ import annotations

from dataclasses import replace

import artifact_data
import pandas as pd
import pytest
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError
from workflow_run import thermalize

from thermalize.config.load import load_experiment
from thermalize.figures import FIGURES, FigureInputs, draw
from thermalize.figures.style import styled
from thermalize.figures.tables import summarise
from thermalize.figures.tabletext import format_terminal, read_csv, write_csv, write_tex
from thermalize.runtime.errors import UserError, printable

HOSTILE = r"$\frac{$ \input{x} ^_%&#~"
ESCAPE = "\x1b]0;owned\x07\x1b[2J"


def texts(figure: Figure) -> list[str]:
    with styled():
        figure.set_layout_engine("none")
        figure.set_dpi(40)
        FigureCanvasAgg(figure).draw()
    return [text.get_text() for text in figure.findobj(Text)]


def renamed(dataset: xr.Dataset) -> xr.Dataset:
    """The same numbers under units and names that matplotlib would take for mathematics."""
    dataset = dataset.copy()
    for variable in dataset.variables.values():
        variable.attrs = {
            key: HOSTILE if key in ("units", "long_name") else each for key, each in variable.attrs.items()
        }
    called = {"energy": f"{HOSTILE} ½⟨u²⟩", "energy_units": HOSTILE}
    dataset.attrs |= {key: called[key] for key in called if key in dataset.attrs}
    return dataset


def hostile(inputs: FigureInputs) -> FigureInputs:
    changed = {
        name: {key: renamed(each) for key, each in getattr(inputs, name).items()}
        for name in ("rollouts", "diagnostics", "ensembles", "samples")
    }
    return replace(inputs, truth=renamed(inputs.truth), **changed)


@pytest.fixture(scope="module")
def inputs() -> FigureInputs:
    return artifact_data.inputs(artifact_data.experiment(stabilizers=2, seeds=2, system="qg"))


DRAWN = sorted(set(FIGURES) - {"ablation"})


@pytest.mark.parametrize("name", DRAWN)
def test_figures_show_what_files_call_things(name, inputs):
    ordinary = texts(draw(name, inputs))
    assert not [text for text in ordinary if "$" in text]  # nothing here is written as mathematics
    strange = texts(draw(name, hostile(inputs)))
    assert any(r"\frac{$" in text for text in strange) or name in (
        "calibration",
        "distributions",
        "survival",
        "training",
    )  # show neither units nor names of quantities


def table() -> pd.DataFrame:
    config = artifact_data.experiment(stabilizers=2)
    return summarise(artifact_data.inputs(config).diagnostics, artifact_data.costs(config), config)


def test_latex_tables_hold_no_command_of_a_name(tmp_path):
    strange = table().assign(emulator=r"\input{/etc/passwd}", stabilizer=r"\write18{touch x}$^%&")
    write_tex(strange, tmp_path / "summary.tex")
    text = (tmp_path / "summary.tex").read_text()
    assert r"\input" not in text
    assert r"\write" not in text
    assert r"\textbackslash input\{/etc/passwd\}" in text


def test_terminals_are_told_nothing_by_a_table(tmp_path):
    write_csv(table().assign(emulator=f"a{ESCAPE}"), tmp_path / "summary.csv")
    shown = format_terminal(read_csv(tmp_path / "summary.csv"))
    assert not [each for each in shown if not each.isprintable() and each != "\n"]
    assert r"\x1b" in shown


def test_terminals_are_told_nothing_by_an_error(tmp_path):
    path = tmp_path / f"a{ESCAPE[:5]}.yaml"
    path.write_text("a: [")
    done = thermalize("resolve", path)
    assert done.returncode == 2
    assert "\x1b" not in done.stderr
    assert r"\x1b" in done.stderr


def test_printable_text_keeps_letters_of_all_languages():
    assert printable("Wärme σ²\n→ 東京") == "Wärme σ²\n→ 東京"
    assert printable("a\x1b[31m\r\x9b\u202e") == r"a\x1b[31m\r\x9b\u202e"


TAGS = ("!!python/object/apply:os.mkdir ['{}']", "!!python/object/new:os.mkdir ['{}']")


@pytest.mark.parametrize("tag", TAGS)
def test_a_configuration_makes_no_python_objects(tag, tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(f"name: {tag.format(tmp_path / 'executed')}\n")
    with pytest.raises(UserError):
        load_experiment(path)
    with pytest.raises(WorkflowError):
        load_configfile(str(path))
    assert not (tmp_path / "executed").exists()


def test_a_configuration_with_expressions_for_snakemake_is_refused_and_not_run(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(
        f"__use_yte__: true\n__definitions__: [import os, os.mkdir({str(tmp_path / 'executed')!r})]\nname: a\n"
    )
    with pytest.raises(UserError, match="__use_yte__"):
        load_experiment(path)
    assert not (tmp_path / "executed").exists()
