"""Which results are current, and what differs where they are not, in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from thermalize.config.load import load_experiment
from thermalize.runtime.errors import UserError
from thermalize.store.results import Results
from thermalize.workflow.plan import Plan, Status

__all__ = ["say"]

MOST = 5
"""Differences of one result that are named."""


def say(paths: list[Path], config: Path | None = None) -> Iterator[str]:
    """Lines about the results in files or folders.

    Args:
        paths: below `results/{name}`.
        config: what is asked for; what stands beside the results where it is left out.

    Raises:
        UserError: a path lies beside no configuration, or is none of its results.
    """
    for path in paths:
        plan = _plan(path.absolute(), config)
        found = [status for status in plan.results() if _concerns(plan, status, path.absolute())]
        if not found:
            raise UserError(
                f"{path} is no result of {plan.paths.config}; name a file or a folder below {plan.paths.folder}"
            )
        outdated = [status for status in found if not status.current]
        for status in outdated:
            yield f"{status.result}: {_words(status)}"
        if len(found) == 1 and not outdated:
            yield f"{found[0].result}: current"
        else:
            yield f"{len(found) - len(outdated)} of {len(found)} results of {plan.experiment.name} are current"


def _plan(path: Path, config: Path | None) -> Plan:
    for folder in (path, *path.parents):
        paths = Results(folder.name, folder.parent)
        if paths.config.is_file():
            return Plan(load_experiment(config or paths.config), paths)
    if not path.exists():
        raise UserError(f"{path} does not exist, nor the config.yaml of an experiment above it; run the workflow first")
    raise UserError(f"{path} does not lie below a folder with the config.yaml of an experiment, as results/NAME has it")


def _concerns(plan: Plan, status: Status, path: Path) -> bool:
    outputs = [Path(name).absolute() for name in plan.outputs(status.result)]
    stores = [output.with_name(output.name.replace(".manifest.json", ".zarr")) for output in outputs]
    return any(path in (each, *each.parents) or each in path.parents for each in (*outputs, *stores))


def _words(status: Status) -> str:
    more = len(status.faults) - MOST
    return "; ".join([*status.faults[:MOST], *([f"{more} more"] if more > 0 else [])])
