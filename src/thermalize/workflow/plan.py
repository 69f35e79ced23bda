"""All results of an experiment, and whether each still is what would be made now; and if not, why.

    current      outputs there ∧ recorded fingerprint = fingerprint of today's recipe

Nothing depends on times of change or on Snakemake's memory: a copy, a clone or `touch` makes nothing outdated, and a
changed setting, input or module does, whatever else was lost. A result that has gone but whose recipe is that of today
will be made again with the same content, so that what was made from it stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from thermalize.config import Experiment, ImportConfig
from thermalize.config.texts import is_url
from thermalize.runtime.files import read_bytes, read_json
from thermalize.store.results import DIGEST, SUMS, Results
from thermalize.truth.imported.patterns import matches, stamp
from thermalize.workflow.needs import Result
from thermalize.workflow.records import (
    Recipe,
    differences,
    fingerprint_of,
    mapping,
    read_record,
    record_of,
    write_record,
)
from thermalize.workflow.settings import Settings, whole_of
from thermalize.workflow.steps import STEPS, results_of

__all__ = ["NEVER", "Plan", "Status", "result_of", "settings_digest"]

MANIFEST, METADATA = ".manifest.json", ".zarr/zarr.json"
HEAD = 120
"""Bytes at the beginning of a manifest that hold its digest."""
MEASURED = "README.md"
"""Of a model, with the time that a training took."""
NEVER = "it was never made"


@dataclass(frozen=True)
class Status:
    """Of a result: nothing is wrong with one that is current."""

    result: Result
    faults: tuple[str, ...]
    """Why it would be made again."""
    content: str | None
    """What those that are made from it count on; None where nobody knows before it is made."""

    @property
    def current(self) -> bool:
        return not self.faults


def settings_digest(experiment: Experiment, step: str, wildcards: Mapping[str, Any]) -> str:
    """Digest of the settings that a result depends on; see `Plan.settings`. KeyError where there is no such result."""
    return Plan(experiment, Results(experiment.name)).settings(result_of(step, wildcards))


def result_of(step: str, wildcards: Mapping[str, Any]) -> Result:
    """The result of a step that wildcards name."""
    return Result(step, tuple(str(wildcards[name]) for name in STEPS[step].keys))


@dataclass
class Plan:
    """All results of an experiment, as they are now."""

    experiment: Experiment
    paths: Results
    _known: dict[Result, Status] = field(default_factory=dict)
    _settings: dict[Result, str] = field(default_factory=dict)
    _outputs: dict[Result, list[str]] = field(default_factory=dict)

    def settings(self, result: Result) -> str:
        """Digest of the settings that a result depends on, by itself or through what it is made from.

        KeyError where there is no such result.
        """
        if result not in self._settings:
            step = STEPS[result.step]
            needs = sorted({self.settings(need) for need in step.needs(self.experiment, *result.key)})
            parts = {"own": step.reads(self._whole, *result.key), "needs": needs}
            self._settings[result] = fingerprint_of(parts)[:16]
        return self._settings[result]

    def look_at_sources(self) -> None:
        """Raise a UserError where what is imported from this machine is not a file or a store."""
        if isinstance(self.experiment.simulation, ImportConfig):
            found = [path for pattern in self.experiment.simulation.source for path in _matching(pattern)]
            stamp([path for path in found if path.exists()])

    def results(self) -> Iterator[Status]:
        """Every result, in the order of the table of steps."""
        return map(self.status, results_of(self.experiment))

    def status(self, result: Result) -> Status:
        """Whether a result is what would be made now."""
        if result not in self._known:
            self._known[result] = self._look(result)
        return self._known[result]

    def contents(self, result: Result) -> dict[str, str | None]:
        """Contents of the results that one is made from, by name; of what has gone, that of which it is known."""
        needs = STEPS[result.step].needs(self.experiment, *result.key)
        return {str(need): self.content(need) or self.status(need).content for need in needs}

    def recipe(self, result: Result, inputs: Mapping[str, str | None]) -> Recipe:
        """What a result would be made from, from inputs of these contents."""
        step = STEPS[result.step]
        return {
            "step": result.step,
            "key": list(result.key),
            "settings": step.reads(self._whole, *result.key),
            "inputs": dict(inputs),
            "files": self._files(step.files(self.experiment, *result.key)),
            "code": step.code(self.experiment, *result.key),
        }

    def content(self, result: Result) -> str | None:
        """Digest of what a result holds, by the digests that lie beside it; None where a part of it has gone."""
        found = sha256()
        for name in self.outputs(result):
            path = Path(name)
            if name.endswith(MANIFEST):
                text = _head(path)
            elif path.name == SUMS or name.endswith(DIGEST):
                text = read_bytes(path)
            else:
                text = b"" if path.exists() else None
            if text is None:
                return None
            lines = (line for line in text.splitlines(keepends=True) if MEASURED.encode() not in line)
            found.update(f"{path.name}\n".encode() + b"".join(lines))
        return found.hexdigest()[:16]

    def outputs(self, result: Result) -> list[str]:
        """Files of a result."""
        if result not in self._outputs:
            self._outputs[result] = STEPS[result.step].outputs(self.paths, *result.key)
        return self._outputs[result]

    def inputs(self, result: Result) -> list[str]:
        """Files that a result waits for: the records of other results, which stand for their files, and the user's own.

        So a file that was lost is made again, and what was made from it stays.
        """
        step = STEPS[result.step]
        found = [str(path) for name in step.files(self.experiment, *result.key) for path in _matching(name)]
        needs = step.needs(self.experiment, *result.key)
        return found + [str(self.record(need)) for need in needs]

    def record(self, result: Result) -> Path:
        """Where it is recorded what a result was made from."""
        return record_of(self.paths, result.step, *result.key)

    def everything(self) -> list[str]:
        """The records of all results, which stand for their files, and the files that nothing else is made from."""
        results = [*results_of(self.experiment)]
        needed = {need for each in results for need in STEPS[each.step].needs(self.experiment, *each.key)}
        last = [name for result in results if result not in needed for name in self.outputs(result)]
        return [*last, *(str(self.record(result)) for result in results)]

    def finish(self, result: Result, inputs: Mapping[str, str | None]) -> None:
        """Record that a result is finished, and that it was made from inputs of these contents.

        Args:
            inputs: by name, as `contents` gave them before it was made.
        """
        write_record(self.record(result), self.recipe(result, inputs), self.content(result))

    def _look(self, result: Result) -> Status:
        path = self.record(result)
        record, there = read_record(path), self.content(result)
        if record is None:
            return Status(result, (NEVER if there is None else "it is not known what it was made from",), None)
        needs = [self.status(need) for need in STEPS[result.step].needs(self.experiment, *result.key)]
        recipe = self.recipe(result, {str(each.result): each.content for each in needs})
        if record.get("fingerprint") != fingerprint_of(recipe):
            return Status(result, tuple(differences(record, recipe)), None)
        if there is None or not path.exists() or self._has_gone(result):
            return Status(result, ("a part of it has gone",), record.get("content"))
        if there != record.get("content"):
            return Status(result, ("it is not the one that was made",), None)
        return Status(result, (), there)

    def _has_gone(self, result: Result) -> bool:
        """Whether the store beside a manifest is not there; what lies at a URL is not looked at."""
        for name in self.outputs(result):
            if name.endswith(MANIFEST) and not Path(name.removesuffix(MANIFEST) + METADATA).exists():
                return not self._elsewhere
        return False

    @cached_property
    def _whole(self) -> Settings:
        return whole_of(self.experiment)

    @cached_property
    def _elsewhere(self) -> bool:
        return self.experiment.storage is not None

    def _files(self, names: list[str]) -> dict[str, str]:
        """Contents of the user's files by name; of imported ones as they were digested when they were last read."""
        if not names:
            return {}
        if not isinstance(self.experiment.simulation, ImportConfig) or names != [*self.experiment.simulation.source]:
            return {name: _digest(Path(name)) for name in names}
        known = mapping(read_json(self.paths.simulation("train").with_name(".sources.json"))) or {}
        found = {}
        for pattern in names:
            if is_url(pattern):
                found[pattern] = "at a URL"
                continue
            for path in matches(pattern) or [Path(pattern)]:
                entry = mapping(known.get(str(path))) or {}
                same = path.exists() and entry.get("stamp") == stamp([path])
                # the folder does not count: data may be moved
                name = f"{path.name} ({len(found) + 1})" if path.name in found else path.name
                found[name] = str(entry.get("digest")) if same else "changed, or never read"
        return found


def _matching(pattern: str) -> list[Path]:
    """Of this machine; a pattern that matches nothing stands for itself, as a missing input."""
    return [] if is_url(pattern) else [*matches(pattern)] or [Path(pattern)]


def _head(path: Path) -> bytes | None:
    """The digest that a manifest begins with."""
    with suppress(IndexError):
        return (read_bytes(path, head=HEAD) or b"").splitlines()[1]
    return None


@cache
def _digest(path: Path) -> str:
    try:
        path = path.expanduser()
        if path.is_file():  # a pipe would be waited for
            return f"sha256:{sha256(path.read_bytes()).hexdigest()}"
    except OSError:
        pass
    return "missing"
