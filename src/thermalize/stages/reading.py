"""Files of results as figures, movie and tables read them, each checked for what the stage that writes it puts there.

A digest says that a file is as it was written, not who wrote it or which version: a variable that is missing, or lies
along other dimensions, is named here and not wherever it is first used.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Annotated

import numpy as np
import xarray as xr
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from thermalize.config import Experiment
from thermalize.metrics import ensemble, generated, reference_dataset, registry
from thermalize.metrics.declared import Variable
from thermalize.metrics.reference import Reference, field_of, system_parameters
from thermalize.metrics.reference_dataset import reference_from
from thermalize.metrics.stability import Envelope
from thermalize.rollouts.series import RECORDED, recorded
from thermalize.runtime.errors import UserError
from thermalize.store import sealed
from thermalize.store.manifest import check_system, open_store
from thermalize.store.netcdf import read_dataset
from thermalize.store.results import Results

__all__ = ["open_rollout", "read_costs", "read_diagnostics", "read_ensemble", "read_reference", "read_samples"]

NUMBERS, TEXT = "iuf", "UO"
KINDS = (["unconditional", "thermalized"], ["partial", "thermalized"])
LARGEST = 1e30

Time = Annotated[float, Field(ge=0, le=LARGEST)]


class CostForm(BaseModel):
    """Of one stabilizer."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    seconds_per_step: Time
    ratio: Time
    ratio_low: Time
    ratio_high: Time


def open_rollout(path: Path, experiment: Experiment, truth: xr.Dataset) -> xr.Dataset:
    """The store of a rollout, with where its members began in the truth, when they were lost, and its series."""
    dataset = open_store(path, storage=experiment.storage)
    check_system(dataset, experiment)
    members, frames = truth.sizes["member"], truth.sizes["time"]
    most = {"initial_member": members - 1, "initial_frame": frames - 1, "lost_step": dataset.sizes["time"] - 1}
    faults = [*_of_sizes(dataset, {"member": experiment.rollouts.members})]
    for name, last in most.items():
        found, least = dataset.attrs.get(name), -1 if name == "lost_step" else 0
        if not isinstance(found, list) or len(found) != dataset.sizes["member"]:
            faults.append(f"its attribute {name!r} is missing or not one number per member")
        elif not all(type(each) is int and least <= each <= last for each in found):
            faults.append(f"its attribute {name!r} holds what the truth or the rollout does not have")
    faults += _of_attributes(dataset, ("emulator", "stabilizer", RECORDED), str)
    faults += _of_attributes(dataset, ("seed",), int)
    faults += _of_attributes(dataset, ("emulator_evaluations",), int)
    try:
        series = recorded(dataset)
        described = {name: Variable(("member", "time"), each.long_name, each.units) for name, each in series.items()}
        faults += _of_entries(dataset, described)
    except ValueError as error:
        faults.append(str(error))
    for fault in faults:
        raise _refused(path, fault)
    return dataset


def read_diagnostics(path: Path, experiment: Experiment) -> xr.Dataset:
    """The diagnostics of a rollout."""

    def faults(dataset: xr.Dataset) -> Iterator[str]:
        thresholds = len(experiment.diagnostics.correlation_thresholds)
        yield from _of_sizes(dataset, {"member": experiment.rollouts.members, "threshold": thresholds})
        yield from _of_attributes(dataset, ("energy", "energy_units", "envelope"), str)
        if " ½" not in (energy := dataset.attrs["energy"]) and " −½" not in energy:
            yield "its attribute 'energy' says no formula"
        if not _is_envelope(dataset.attrs["envelope"]):
            yield "its attribute 'envelope' gives no range of energies"

    return _read(path, registry.coordinates() | registry.variables(), faults)


def read_reference(path: Path, truth: xr.Dataset) -> Reference:
    """The measured truth, of which `truth` is opened."""
    field = field_of(truth)

    def faults(dataset: xr.Dataset) -> Iterator[str]:
        sizes = dict(zip(("member", "time", "channel"), field.shape[:3], strict=True))
        yield from _of_sizes(dataset, sizes)
        yield from _of_attributes(dataset, ("compared_frames", "block_frames"), np.integer)
        yield from _of_attributes(dataset, ("envelope",), str)
        if not _is_envelope(dataset.attrs["envelope"]):
            yield "its attribute 'envelope' gives no thresholds"

    dataset = _read(path, reference_dataset.COORDINATES | reference_dataset.VARIABLES, faults)
    return reference_from(dataset, field, system_parameters(truth))


def read_ensemble(path: Path, experiment: Experiment) -> xr.Dataset:
    """The scores of the seeds of a rollout."""
    sizes = {"rank": len(experiment.seeds) + 1}
    return _read(path, ensemble.VARIABLES | ensemble.COORDINATES, lambda dataset: _of_sizes(dataset, sizes))


def read_samples(path: Path) -> xr.Dataset:
    """How what a diffusion model makes compares with the truth."""

    def faults(dataset: xr.Dataset) -> Iterator[str]:
        yield from _of_attributes(dataset, ("states",), np.integer)
        if dataset["kind"].to_numpy().tolist() not in KINDS:
            yield "it does not hold the kinds of states that are compared"
        if not (dataset["field_pdf_truth"] > 0).any():
            yield "its variable 'field_pdf_truth' holds no density"

    return _read(path, generated.COORDINATES | generated.VARIABLES, faults)


def read_costs(experiment: Experiment, paths: Results) -> dict[str, dict[str, dict[str, float]]]:
    """What a step costs, by emulator and stabilizer."""
    return {emulator: _costs(paths.cost(emulator), experiment) for emulator in experiment.emulators}


def _costs(path: Path, experiment: Experiment) -> dict[str, dict[str, float]]:
    content = sealed.read(path)
    try:
        report = json.loads(content)
        return {label: CostForm.model_validate(report[label]).model_dump() for label in experiment.stabilizers}
    except KeyError as error:
        raise _refused(path, f"the costs of {error.args[0]!r} are missing") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise _refused(path, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except (TypeError, ValueError, RecursionError):
        raise _refused(path, "it does not hold costs by stabilizer") from None


def _read(
    path: Path,
    entries: Mapping[str, Variable],
    faults: Callable[[xr.Dataset], Iterator[str]],
) -> xr.Dataset:
    dataset = read_dataset(path)
    # one after the other: what looks into the variables counts on them
    for fault in chain(_of_entries(dataset, entries), faults(dataset)):
        raise _refused(path, fault)
    return dataset


def _refused(path: Path, fault: str) -> UserError:
    return UserError(f"{path} is not what this version writes for this configuration: {fault}; run its stage again")


def _of_entries(dataset: xr.Dataset, entries: Mapping[str, Variable]) -> Iterator[str]:
    for name, declared in entries.items():
        if name in dataset.variables:
            found = dataset[name]
            if found.dims != declared.dims:
                yield f"its variable {name!r} lies along ({', '.join(map(str, found.dims))})"
            if found.dtype.kind not in (NUMBERS if declared.units else TEXT):
                yield f"its variable {name!r} holds {found.dtype}"
            elif declared.units and (declared.known or name in dataset.coords) and not _usable(found.to_numpy()):
                yield f"its variable {name!r} holds values that are no numbers of any use"
            if not found.size:
                yield f"its variable {name!r} is empty"
            if declared.flags and not _told(found):
                yield f"its variable {name!r} has values without a meaning"
        elif not declared.optional:
            yield f"it lacks the variable {name!r}"


def _usable(values: np.ndarray) -> bool:
    return bool((np.abs(values.astype(np.float64)) <= LARGEST).all())


def _of_sizes(dataset: xr.Dataset, sizes: Mapping[str, int]) -> Iterator[str]:
    for name, size in sizes.items():
        if dataset.sizes[name] != size:
            yield f"{dataset.sizes[name]} along {name!r} in place of {size}"


def _of_attributes(dataset: xr.Dataset, names: tuple[str, ...], kind: type) -> Iterator[str]:
    for name in names:
        if not isinstance(dataset.attrs.get(name), kind):
            yield f"its attribute {name!r} is missing or no {'text' if kind is str else 'number'}"


def _is_envelope(text: str) -> bool:
    try:
        low, high = Envelope.from_json(text).energy
    except (KeyError, TypeError, ValueError, RecursionError):
        return False
    return -LARGEST < low < high < LARGEST


def _told(variable: xr.DataArray) -> bool:
    """Whether every value of a variable of flags has a meaning."""
    values, meanings = np.atleast_1d(variable.attrs.get("flag_values", ())), variable.attrs.get("flag_meanings")
    if not isinstance(meanings, str) or len(values) != len(meanings.split()):
        return False
    return bool(np.isin(variable.to_numpy(), values).all())
