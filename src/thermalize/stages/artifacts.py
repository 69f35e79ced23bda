"""Figures, movie and tables of an experiment, from the files that the earlier stages wrote."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Literal

import xarray as xr

from thermalize.config import DiffusionConfig, EmulatorConfig, Experiment
from thermalize.figures import FigureInputs, draw, save
from thermalize.figures.imported import imported_figure, refusing
from thermalize.figures.movie import durations, palette, pictures
from thermalize.figures.saving import as_text, encode, provenance
from thermalize.figures.tables import summarise, sweep_table, with_point_names
from thermalize.figures.tabletext import format_terminal, read_csv, write_csv, write_tex
from thermalize.models.folder import read_card, read_history
from thermalize.runtime.errors import UserError
from thermalize.stages.reading import open_rollout, read_costs, read_diagnostics, read_ensemble, read_samples
from thermalize.store import sealed
from thermalize.store.manifest import check_system, open_store
from thermalize.store.results import Results
from thermalize.workflow.pictures import picture

__all__ = ["draw_figure", "make_movie", "print_table", "tabulate", "tabulate_sweeps"]

Key = tuple[str, str, int]
KIND = {"emulators": "emulator", "diffusion": "diffusion"}


def draw_figure(experiment: Experiment, paths: Results, name: str) -> None:
    """Draws the figure `name` as PDF and PNG."""
    inputs = (_numbers if picture(name).shows == "tables" else _inputs)(experiment, paths)
    own = experiment.figures.get(name)
    figure = draw(name, inputs) if own is None else imported_figure(name, own, inputs)
    with nullcontext() if own is None else refusing(name, own):
        save(figure, paths.figure(name), provenance(experiment))


def make_movie(experiment: Experiment, paths: Results) -> None:
    """Makes the movie as GIF, and as animated PNG for the report."""
    inputs = _inputs(experiment, paths)
    frames, times, origin = pictures(inputs), durations(inputs), as_text(provenance(experiment))
    files: dict[Path, Literal["GIF", "PNG"]] = {paths.movie: "GIF", paths.movie_in_report: "PNG"}
    for path, kind in files.items():
        sealed.write(path, encode(kind, frames, times, partial(palette, inputs), origin))


def _inputs(experiment: Experiment, paths: Results) -> FigureInputs:
    """Everything that figures and movie read of the named stabilizers, stores lazily."""
    keys = _keys(experiment, experiment.named)
    truth = open_store(paths.simulation("test"), storage=experiment.storage)
    check_system(truth, experiment)
    return FigureInputs(
        experiment=experiment,
        truth=truth,
        rollouts={key: open_rollout(paths.rollout(*key), experiment, truth) for key in keys},
        diagnostics=_diagnostics(experiment, paths, keys),
        ensembles=_ensembles(experiment, paths, keys),
        histories={
            label: read_history(folder)
            for label, folder in _models(experiment, paths).items()
            if _trained_here(experiment, label)
        },
        cards={
            label: read_card(folder, KIND[label.partition("/")[0]])
            for label, folder in _models(experiment, paths).items()
        },
        samples={name: read_samples(paths.samples(name)) for name in experiment.diffusion},
    )


def _numbers(experiment: Experiment, paths: Results) -> FigureInputs:
    """Diagnostics and cost of every stabilizer, as tables hold them."""
    return FigureInputs(
        experiment=experiment,
        truth=open_store(paths.simulation("test"), storage=experiment.storage),
        diagnostics=_diagnostics(experiment, paths, _keys(experiment, experiment.stabilizers)),
        costs=read_costs(experiment, paths),
    )


def _trained_here(experiment: Experiment, label: str) -> bool:
    group, _, name = label.partition("/")
    return isinstance(getattr(experiment, group)[name], EmulatorConfig | DiffusionConfig)


def tabulate(experiment: Experiment, paths: Results) -> None:
    """Writes the summary table as CSV and LaTeX."""
    diagnostics = _diagnostics(experiment, paths, _keys(experiment, experiment.stabilizers))
    table = summarise(diagnostics, read_costs(experiment, paths), experiment)
    write_csv(table, paths.table("csv"))
    write_tex(table, paths.table("tex"))


def tabulate_sweeps(experiment: Experiment, paths: Results) -> None:
    """Writes the table of the sweeps as CSV and LaTeX."""
    inputs = _numbers(experiment, paths)
    table = sweep_table(inputs.diagnostics, inputs.costs, experiment)
    write_csv(table, paths.table("csv", "ablation"))
    write_tex(with_point_names(table), paths.table("tex", "ablation"), "tab:ablation")


def print_table(path: Path) -> None:
    """Prints the summary table or the table of the sweeps, read from its CSV file."""
    table = read_csv(path)
    try:
        text = format_terminal(with_point_names(table) if "left_out" in table else table)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):  # edited by somebody
        raise UserError(f"{path} lacks columns or numbers of a table; `make demo` writes a whole one") from None
    print(text)


def _keys(experiment: Experiment, stabilizers: Iterable[str]) -> list[Key]:
    return [
        (emulator, stabilizer, seed)
        for emulator in experiment.emulators
        for stabilizer in stabilizers
        for seed in experiment.seeds
    ]


def _diagnostics(experiment: Experiment, paths: Results, keys: Iterable[Key]) -> dict[Key, xr.Dataset]:
    return {key: read_diagnostics(paths.diagnostics(*key), experiment) for key in keys}


def _ensembles(experiment: Experiment, paths: Results, keys: Iterable[Key]) -> dict[tuple[str, str], xr.Dataset]:
    scored = dict.fromkeys(key[:2] for key in keys if experiment.has_ensembles)
    return {key: read_ensemble(paths.ensemble(*key), experiment) for key in scored}


def _models(experiment: Experiment, paths: Results) -> dict[str, Path]:
    emulators = {f"emulators/{name}": paths.emulator(name) for name in experiment.emulators}
    return {**emulators, **{f"diffusion/{name}": paths.diffusion(name) for name in experiment.diffusion}}
