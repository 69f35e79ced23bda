"""The experiment written out in full beside its results, which all jobs of a run read: whose it is, who may change it.

    results/{name}/config.yaml          the experiment, and in its first line where it came from
    results/{name}/.config.before.yaml  the one before it, to say what changed
    results/{name}/.config.yaml.lock    held, shared, by every run of the workflow; a change needs it alone

Every job is told the fingerprint of the settings that it was planned with, and compares it with what it reads: two
experiments of one name cannot compute each other's results.
"""

from __future__ import annotations

import fcntl
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from thermalize.config import Experiment
from thermalize.config.load import load_experiment, resolved_yaml
from thermalize.runtime.errors import UserError
from thermalize.runtime.files import explaining, open_lock, read_bytes, write_bytes, write_text
from thermalize.workflow.differences import leaves, short
from thermalize.workflow.plan import settings_digest

__all__ = ["check_settings", "hold_experiment", "refuse_other", "write_experiment"]

FIRST, LAST = "# The experiment of ", ", with every default.\n"
MOST_CHANGES = 3
MOST_LINE = 10_000
"""Bytes of the first line."""


def write_experiment(experiment: Experiment, path: Path, source: str) -> str:
    """Write an experiment in full to the file `path`; what that changed there, or nothing.

    Args:
        experiment: what the file or files that `source` names describe.
        path: `config.yaml` beside the results.

    Raises:
        UserError: a run with other settings is going on, or the folder cannot be written.
    """
    lock, changed = _written(experiment, path, source)
    lock.close()
    return changed


def hold_experiment(experiment: Experiment, path: Path, source: str) -> IO[bytes]:
    """The same for a run: nobody changes the experiment while the file that is returned is open."""
    return _written(experiment, path, source)[0]


def check_settings(now: Experiment, asked: str, path: Path, stage: str, wildcards: Mapping[str, Any]) -> None:
    """Raise a UserError where the experiment that was read from `path` is not what a job of `stage` was planned with.

    Args:
        asked: fingerprint of the settings that the job depends on, as `settings_digest` gave it to the workflow.
        wildcards: which result of the stage it is.
    """
    if _settings(now, stage, wildcards) == asked:
        return
    before = _readable(_kept(path))
    known = before is not None and _settings(before, stage, wildcards) == asked
    changes = f" ({_changes(before, now)})" if before is not None and known else ""
    raise UserError(
        f"{path} no longer holds the settings that this job was planned with{changes}; it was rewritten for"
        f" {_source(path)}. If that is another experiment, give it another `name:`; then run the same command again"
    )


def refuse_other(now: Experiment, path: Path, source: Path, stage: str, wildcards: Mapping[str, Any]) -> None:
    """Raise a UserError where a stage that is called by hand would mix its result with those of another experiment.

    Args:
        now: what the file `source` describes.
        path: `config.yaml` beside the results, which need not be there.
    """
    there = _readable(path)
    if there is not None and _settings(there, stage, wildcards) != _settings(now, stage, wildcards):
        raise UserError(
            f"{path.parent} belongs to {_source(path)}, and {source} has other settings ({_changes(there, now)}); give"
            f" one of the two another `name:`, or change the experiment there with `thermalize resolve {source}`"
        )


def _written(experiment: Experiment, path: Path, source: str) -> tuple[IO[bytes], str]:
    with explaining(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = open_lock(_lock_of(path))
        try:
            return lock, _replace(experiment, path, source, lock)
        except BaseException:
            lock.close()
            raise


def _replace(experiment: Experiment, path: Path, source: str, lock: IO[bytes]) -> str:
    """Held shared, the file cannot change, so that a run that finds its own experiment there only joins the others."""
    fcntl.flock(lock, fcntl.LOCK_SH)
    there = _readable(path)
    if there == experiment:
        return ""
    changes = "" if there is None else _changes(there, experiment)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(
            f"{path.parent} belongs to a run of {_source(path)} that is going on, and {source} has other settings"
            f" ({changes}); give one of the two another `name:`, or wait for the run to end"
        ) from None
    if there is not None and (before := read_bytes(path)) is not None:
        write_bytes(_kept(path), before)
    write_text(path, f"{FIRST}{_one_line(source)}{LAST}{resolved_yaml(experiment)}")
    load_experiment(path)  # what is written out may be too long to be read
    fcntl.flock(lock, fcntl.LOCK_SH)
    return f"{path} held other settings before ({changes})" if changes else ""


def _settings(experiment: Experiment, stage: str, wildcards: Mapping[str, Any]) -> str:
    with suppress(KeyError):  # what the job is about has gone
        return settings_digest(experiment, stage, wildcards)
    return ""


def _lock_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def _kept(path: Path) -> Path:
    return path.with_name(f".{path.stem}.before{path.suffix}")


def _readable(path: Path) -> Experiment | None:
    with suppress(UserError):
        return load_experiment(path)
    return None


def _source(path: Path) -> str:
    """The file that the experiment came from, as the first line says."""
    with suppress(UserError, UnicodeDecodeError):
        line = (read_bytes(path, head=MOST_LINE) or b"").partition(b"\n")[0].decode() + "\n"
        line = line.removesuffix(LAST)
        if line.startswith(FIRST) and line.isprintable():
            return line.removeprefix(FIRST)
    return "another configuration"


def _one_line(text: str) -> str:
    return text if text.isprintable() else repr(text)


def _changes(before: Experiment, now: Experiment) -> str:
    """`seed: 7 → 8`, of the first keys that differ."""
    old, new = (dict(leaves(each.model_dump(mode="json"))) for each in (before, now))
    keys = [key for key in dict.fromkeys([*old, *new]) if old.get(key) != new.get(key)]
    shown = [f"{key}: {short(old, key)} → {short(new, key)}" for key in keys[:MOST_CHANGES]]
    more = [f"{len(keys) - MOST_CHANGES} more"] if len(keys) > MOST_CHANGES else []
    return ", ".join([*shown, *more])
