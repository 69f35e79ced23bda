"""What a command is about: the experiment of its configuration, held against what the workflow planned the job with."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path

from thermalize.config import Experiment
from thermalize.config.load import load_experiment
from thermalize.runtime.errors import UserError
from thermalize.store.ours import refuse_links
from thermalize.store.results import Results
from thermalize.workflow.estimates import refuse_impossible
from thermalize.workflow.resolved import check_settings, refuse_other

__all__ = ["SETTINGS", "known", "load_job"]

SETTINGS: ContextVar[str | None] = ContextVar("settings", default=None)
"""Fingerprint of the settings that the workflow planned this job with; None where a stage is called by hand."""


def load_job(config: Path, root: Path, stage: str | None, **wildcards: object) -> tuple[Experiment, Results]:
    """The experiment of a job, which is the one that it was planned with, and where its results lie."""
    experiment, asked = load_experiment(config), SETTINGS.get()
    paths = Results(experiment.name, root)
    if stage is not None and asked is not None:
        check_settings(experiment, asked, config, stage, wildcards)
    elif stage is not None:
        refuse_other(experiment, paths.config, config, stage, wildcards)
    refuse_links(paths.folder, root)
    refuse_impossible(experiment, root)
    return experiment, paths


def known(section: str, name: str, available: Mapping[str, object]) -> None:
    """Raise a UserError where `section` of the configuration has nothing of this name."""
    if name not in available:
        raise UserError(f"{name!r} is not under {section}; there is {', '.join(available) or 'nothing'}")
