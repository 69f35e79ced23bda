"""Files of results as figures, movie and tables read them, each checked for what its stage puts there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import xarray as xr
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from thermalize.config import Experiment
from thermalize.metrics import ensemble, generated, registry
from thermalize.metrics.declared import Variable
from thermalize.metrics.rollout_dataset import ARRAYS
from thermalize.rollouts.series import EVERY, RECORDED, axis_of, frames_of, recorded
from thermalize.runtime.members import STEP
from thermalize.stages.checking import (
    LARGEST,
    attribute_faults,
    entry_faults,
    is_envelope,
    read_checked,
    refused,
    size_faults,
)
from thermalize.store import sealed
from thermalize.store.manifest import check_system, open_store
from thermalize.store.results import Results

__all__ = ["open_rollout", "read_costs", "read_diagnostics", "read_ensemble", "read_samples"]

KINDS = (["unconditional", "thermalized"], ["partial", "thermalized"])

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
    most = {"initial_member": members - 1, "initial_frame": frames - 1, "lost_step": frames_of(dataset) - 1}
    faults = [*size_faults(dataset, {"member": experiment.rollouts.members})]
    for name, last in most.items():
        found, least = dataset.attrs.get(name), -1 if name == "lost_step" else 0
        if not isinstance(found, list) or len(found) != dataset.sizes["member"]:
            faults.append(f"its attribute {name!r} is missing or not one number per member")
        elif not all(type(each) is int and least <= each <= last for each in found):
            faults.append(f"its attribute {name!r} holds what the truth or the rollout does not have")
    faults += attribute_faults(dataset, ("emulator", "stabilizer", RECORDED), str)
    faults += attribute_faults(dataset, ("seed", "emulator_evaluations", EVERY), int)
    if axis_of(dataset) == STEP:
        faults += entry_faults(dataset, ARRAYS)
    if not faults and dataset.sizes["time"] != -(-frames_of(dataset) // max(1, dataset.attrs[EVERY])):
        faults.append(f"it holds other states than those of every {dataset.attrs[EVERY]} steps")
    try:
        series = recorded(dataset)
        described = {
            name: Variable(("member", axis_of(dataset)), each.long_name, each.units) for name, each in series.items()
        }
        faults += entry_faults(dataset, described)
    except ValueError as error:
        faults.append(str(error))
    for fault in faults:
        raise refused(path, fault)
    return dataset


def read_diagnostics(path: Path, experiment: Experiment) -> xr.Dataset:
    """The diagnostics of a rollout."""

    def faults(dataset: xr.Dataset) -> Iterator[str]:
        thresholds = len(experiment.diagnostics.correlation_thresholds)
        yield from size_faults(dataset, {"member": experiment.rollouts.members, "threshold": thresholds})
        yield from attribute_faults(dataset, ("energy", "energy_units", "envelope"), str)
        if " ½" not in (energy := dataset.attrs["energy"]) and " −½" not in energy:
            yield "its attribute 'energy' says no formula"
        if not is_envelope(dataset.attrs["envelope"]):
            yield "its attribute 'envelope' gives no range of energies"

    return read_checked(path, registry.coordinates() | registry.variables(), faults)


def read_ensemble(path: Path, experiment: Experiment) -> xr.Dataset:
    """The scores of the seeds of a rollout."""
    sizes = {"rank": len(experiment.seeds) + 1}
    return read_checked(path, ensemble.VARIABLES | ensemble.COORDINATES, lambda dataset: size_faults(dataset, sizes))


def read_samples(path: Path) -> xr.Dataset:
    """How what a diffusion model makes compares with the truth."""

    def faults(dataset: xr.Dataset) -> Iterator[str]:
        yield from attribute_faults(dataset, ("states",), np.integer)
        if dataset["kind"].to_numpy().tolist() not in KINDS:
            yield "it does not hold the kinds of states that are compared"
        if not (dataset["field_pdf_truth"] > 0).any():
            yield "its variable 'field_pdf_truth' holds no density"

    return read_checked(path, generated.COORDINATES | generated.VARIABLES, faults)


def read_costs(experiment: Experiment, paths: Results) -> dict[str, dict[str, dict[str, float]]]:
    """What a step costs, by emulator and stabilizer."""
    return {emulator: _costs(paths.cost(emulator), experiment) for emulator in experiment.emulators}


def _costs(path: Path, experiment: Experiment) -> dict[str, dict[str, float]]:
    content = sealed.read(path)
    try:
        report = json.loads(content)
        return {label: CostForm.model_validate(report[label]).model_dump() for label in experiment.stabilizers}
    except KeyError as error:
        raise refused(path, f"the costs of {error.args[0]!r} are missing") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise refused(path, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except (TypeError, ValueError, RecursionError):
        raise refused(path, "it does not hold costs by stabilizer") from None
