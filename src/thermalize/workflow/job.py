"""What a command is about: the experiment of its configuration, held against what the workflow planned the job with."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from thermalize.config import Experiment
from thermalize.config.load import load_experiment
from thermalize.runtime.errors import UserError
from thermalize.store.fingerprint import remember
from thermalize.store.ours import refuse_links
from thermalize.store.results import Results
from thermalize.workflow.estimates import refuse_impossible
from thermalize.workflow.marks import MARKS, SOURCES
from thermalize.workflow.plan import Plan, result_of
from thermalize.workflow.resolved import check_settings, refuse_other

__all__ = ["SETTINGS", "load_job", "making", "run_package_of"]

MOST_NAMES = 100
SETTINGS: ContextVar[str | None] = ContextVar("settings", default=None)
"""Fingerprint of the settings that the workflow planned this job with; None where a stage is called by hand."""


def load_job(config: Path, root: Path) -> tuple[Experiment, Results]:
    """The experiment of a command, and where its results lie."""
    return _placed(load_experiment(config), root)


@contextmanager
def making(config: Path, root: Path, step: str, **wildcards: object) -> Iterator[tuple[Experiment, Results]]:
    """The experiment of a job, which is the one that it was planned with, and where its results lie.

    Where the job ends without an error it is recorded what its result was made from.
    """
    experiment, asked = load_experiment(config), SETTINGS.get()
    if asked is not None:
        check_settings(experiment, asked, config, step, wildcards)
    else:
        refuse_other(experiment, Results(experiment.name, root).config, config, step, wildcards)
    _refuse_unknown(experiment, wildcards)
    experiment, paths = _placed(experiment, root)
    remember(MARKS / SOURCES)
    result = result_of(step, wildcards)
    inputs = Plan(experiment, paths).contents(result)
    yield experiment, paths
    if os.environ.get("RANK", "0") == "0":  # of the processes of torchrun one speaks
        Plan(experiment, paths).finish(result, inputs)


def run_package_of(source: Path) -> None:
    """From here on, processes that are started import the package from the folder `source`, wherever they run."""
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(source), os.environ.get("PYTHONPATH"))))


def _placed(experiment: Experiment, root: Path) -> tuple[Experiment, Results]:
    paths = Results(experiment.name, root)
    refuse_links(paths.folder, root)
    refuse_impossible(experiment, root)
    return experiment, paths


def _refuse_unknown(experiment: Experiment, wildcards: Mapping[str, object]) -> None:
    sections = {
        "emulator": "emulators",
        "diffusion": "diffusion",
        "stabilizer": "rollouts.stabilizers",
        "seed": "seeds",
    }
    for wildcard, section in sections.items():
        available = getattr(experiment, section.rpartition(".")[2])
        if wildcard in wildcards and wildcards[wildcard] not in available:
            names = [str(name) for name in available]
            more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
            there = ", ".join(names[:MOST_NAMES]) + more if names else "nothing"
            raise UserError(f"{wildcards[wildcard]!r} is not under {section}; there is {there}")
