"""Checkpoints of a running training, and whether what one holds may be its state.

Checkpoints of a running training: the last two, each with its digest and with all that the training depends on.

A checkpoint is written beside its final name, synced and renamed, so a killed process leaves either the old or the new
one. Reading never executes code (``weights_only=True``). What is damaged, or is of another training, is not taken up:
the training says so and goes on from the checkpoint before it, or begins anew. It deletes such files, and no others,
with its next checkpoint.

Whether what a checkpoint holds may be the state of this training: every part has the form that it must have.

The digest in the name of a checkpoint tells damage and not intent: anybody can compute it. So nothing of a checkpoint
is used before all of it is known to fit: the network, its average and its best weights by name, shape, type and finite
values, the optimizer's moments by the parameters they belong to, and counters and history by their bounds.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import sys
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import torch
from torch import Tensor

from thermalize.runtime.files import read_bytes, remove, write_bytes
from thermalize.store.ours import is_folder

__all__ = ["Checkpoints", "differences", "fits"]

KEEP = 2
NAME = re.compile(r"(\d{9})-([0-9a-f]{32})\.pt")
LEFT_OVER = re.compile(r"\..*\.tmp\.pt|identity\.json")
"""What a writer that was killed leaves, and what earlier versions kept here."""
MOST = 1 << 36
DIGEST = 64  # a hexadecimal number of that length tells nobody anything

State = dict[str, Any]


class Checkpoints:
    """The undeclared folder in which one training keeps its state until it has finished."""

    def __init__(self, folder: Path, identity: dict[str, Any], quiet: bool = False) -> None:
        """`identity`: JSON values that the result depends on; `quiet`: others say what is not taken up."""
        self.folder, self.identity, self.quiet = folder, json.loads(json.dumps(identity)), quiet
        self._newest: list[Path] = []

    @staticmethod
    def begun(folder: Path) -> dict[str, Any]:
        """The identity of the training whose checkpoints a folder holds; nothing where there are none."""
        found = (content for path in _newest_first(folder) if (content := _read(path)) is not None)
        return next(found, {"identity": {}})["identity"]

    def save(self, update: int, state: State) -> None:
        """Write a checkpoint, and delete all but it and the one before."""
        if not is_folder(self.folder):
            remove(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        torch.save({"identity": json.dumps(self.identity), "state": state}, buffer)
        data = buffer.getvalue()
        path = self.folder / f"{update:09d}-{hashlib.sha256(data).hexdigest()[:32]}.pt"
        write_bytes(path, data)
        self._newest = [path, *(each for each in self._newest if each != path)][:KEEP]
        self._tidy()

    def states(self) -> Iterator[tuple[int, State]]:
        """Update and content of each checkpoint of this training that is whole, the newest first.

        The one that was taken last is kept by `save`; whoever asks for another one had no use for it.
        """
        for path in _newest_first(self.folder):
            content = _read(path)
            if content is None:
                self.say(f"{path} is damaged, or no checkpoint; it is not used.")
            elif different := differences(content["identity"], self.identity):
                self.say(
                    f"{path} is of another training ({'; '.join(different)}); it is not used, and is deleted with the "
                    "first checkpoint of this one."
                )
            else:
                self._newest = [path]
                yield int(path.name.partition("-")[0]), content["state"]
        self._newest = []

    def say(self, sentence: str) -> None:
        if not self.quiet:
            print(sentence, file=sys.stderr, flush=True)

    def discard(self) -> None:
        """Delete the checkpoints, and the folder unless somebody else keeps something in it."""
        self._newest = []
        if not is_folder(self.folder):
            return
        self._tidy()
        if any(self.folder.iterdir()):
            self.say(f"{self.folder} holds files of somebody else; it was left.")
        else:
            self.folder.rmdir()

    def _tidy(self) -> None:
        for path in self.folder.iterdir():
            ours = NAME.fullmatch(path.name) or LEFT_OVER.fullmatch(path.name)
            if ours and path not in self._newest and (path.is_symlink() or not path.is_dir()):
                remove(path)


def _newest_first(folder: Path) -> list[Path]:
    found = folder.iterdir() if is_folder(folder) else iter(())
    return sorted((path for path in found if NAME.fullmatch(path.name)), reverse=True)


def _read(path: Path) -> State | None:
    """{"identity": JSON values, "state": …} of a checkpoint that is what its name says."""
    data = read_bytes(path, MOST)
    if data is None or hashlib.sha256(data).hexdigest()[:32] != path.stem.split("-")[1]:
        return None
    try:
        with ZipFile(io.BytesIO(data)) as parts:
            if any(part.compress_type != ZIP_STORED for part in parts.infolist()):  # it could be of any size
                return None
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        identity = json.loads(content["identity"])
    except Exception:  # whatever torch makes of bytes that it did not write
        return None
    whole = isinstance(identity, dict) and isinstance(content.get("state"), dict)
    return {"identity": identity, "state": content["state"]} if whole else None


def differences(old: Any, new: Any, at: str = "") -> list[str]:
    """Where two JSON values differ, such as ``config.training.learning_rate: 0.001 there, 0.002 here``."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        return [each for key in keys for each in differences(old.get(key), new.get(key), f"{at}.{key}".lstrip("."))]
    if old == new:
        return []
    return [
        at if any(isinstance(v, str) and len(v) == DIGEST for v in (old, new)) else f"{at}: {old} there, {new} here"
    ]


MOMENTS = {"step", "exp_avg", "exp_avg_sq"}


def fits(state: dict[str, Any], fresh: dict[str, Any], parameters: list[Tensor], update: int, updates: int) -> bool:
    """Whether `state` may be what a training that began as `fresh` is after `update` of at most `updates` updates.

    Args:
        state, fresh: as the trainer keeps them.
        parameters: of the network, in the order of the optimizer.
        update, updates: by the name of the checkpoint, and by the configuration.
    """
    try:
        return (
            state.keys() == fresh.keys()
            and type(state["update"]) is int
            and state["update"] == update <= updates
            and all(_same_form(state[name], fresh[name]) for name in ("model", "average"))
            and _fitting_optimizer(state["optimizer"], fresh["optimizer"], parameters)
            and _fitting_history(state["history"], update)
            and _fitting_best(state["best"], fresh["model"], bool(state["history"]), update)
            and _numbers(state["losses"], finite=True)
            and _numbers(state["norms"])
            and len(state["losses"]) == len(state["norms"])
            and _numbers([state["seconds"]], finite=True)
            and (state["largest_pass"] is None or (type(state["largest_pass"]) is int and state["largest_pass"] > 0))
        )
    except (AttributeError, KeyError, TypeError):
        return False


def _same_form(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(_alike(found[name], tensor) for name, tensor in expected.items())


def _alike(found: Any, expected: Tensor) -> bool:
    form = isinstance(found, Tensor) and found.shape == expected.shape and found.dtype == expected.dtype
    return form and bool(torch.isfinite(found).all() or not torch.isfinite(expected).all())


def _fitting_optimizer(found: dict[str, Any], fresh: dict[str, Any], parameters: list[Tensor]) -> bool:
    """The groups of hyperparameters but for the learning rate, and the moments of parameters that had a gradient."""
    known = {index: parameters[index] for index in range(len(parameters))}
    groups = [
        [{key: value for key, value in group.items() if key != "lr"} for group in each["param_groups"]]
        for each in (found, fresh)
    ]
    moments = found["state"]
    return (
        found.keys() == {"state", "param_groups"}
        and groups[0] == groups[1]
        and moments.keys() <= known.keys()
        and all(_fitting_moments(each, known[index]) for index, each in moments.items())
    )


def _fitting_moments(found: dict[str, Tensor], parameter: Tensor) -> bool:
    like = parameter.detach().cpu()
    return found.keys() == MOMENTS and all(
        _alike(value, torch.ones(()) if name == "step" else torch.zeros_like(like)) for name, value in found.items()
    )


def _fitting_history(rows: list[dict[str, float]], update: int) -> bool:
    steps = [row["update"] for row in rows]
    return (
        isinstance(rows, list)
        and all(_numbers(list(row.values())) and row.keys() == rows[0].keys() for row in rows)
        and all(type(step) is int for step in steps)
        and steps == sorted(set(steps))
        and (not steps or 0 < steps[0] <= steps[-1] <= update)
    )


def _fitting_best(best: dict[str, Any], model: dict[str, Tensor], validated: bool, update: int) -> bool:
    weights = best["weights"]
    return (
        best.keys() == {"value", "update", "waited", "weights"}
        and _numbers([best["value"]])
        and best["value"] == best["value"]
        and all(type(best[name]) is int and 0 <= best[name] <= update for name in ("update", "waited"))
        and (_same_form(weights, model) if validated else weights == {})
    )


def _numbers(values: Any, finite: bool = False) -> bool:
    return isinstance(values, list) and all(
        type(value) in (int, float) and (isfinite(value) or not finite) for value in values
    )
