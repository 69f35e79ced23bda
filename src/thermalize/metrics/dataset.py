"""All diagnostics of one rollout as one CF dataset; definitions are in docs/diagnostics.md and in the modules beside.

The stage opens the trajectories and writes the result; nothing here touches a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from thermalize.config import Experiment
from thermalize.metrics.declared import dataset_of, definitions, units_of
from thermalize.metrics.reference import Reference, comparable, measure_reference, system_parameters
from thermalize.metrics.registry import Case, coordinates, ordered, variables
from thermalize.metrics.rollout import measure_rollout
from thermalize.metrics.rollout_dataset import measured_from
from thermalize.rollouts.series import axis_of, frames_of
from thermalize.runtime.errors import UserError
from thermalize.runtime.members import STEP

__all__ = ["diagnose"]


def diagnose(
    truth: xr.Dataset,
    rollout: xr.Dataset,
    experiment: Experiment,
    labels: Mapping[str, Any],
    rollout_attributes: Mapping[str, Any],
    reference: Reference | None = None,
) -> xr.Dataset:
    """Diagnostics of a rollout (frame 0 is its initial condition) against the test truth, both opened lazily.

    Args:
        truth: trajectories that nothing was trained on.
        rollout: what is judged, with the series that its stabilizer recorded.
        experiment: how it is measured.
        labels: emulator, stabilizer and seed.
        rollout_attributes: per member, `initial_member` (position in the truth) and `initial_frame`, and optionally
            `lost_step` (−1 if never).
        reference: the truth as it was measured for rollouts of this length; it is measured here where there is none.

    Raises:
        UserError: the two do not fit.
    """
    reality, field = comparable(truth, rollout)
    frames = min(reality.shape[1], frames_of(rollout) - 1)
    if reference is None:
        reference = measure_reference(reality, frames, experiment.diagnostics, system_parameters(truth))
    elif reference.compared != frames:
        raise UserError(f"the truth was measured for rollouts of {reference.compared} frames, not of {frames}")
    starts = list(zip(rollout_attributes["initial_member"], rollout_attributes["initial_frame"], strict=True))
    case = Case(
        truth=reality,
        reference=reference,
        states=field,
        rollout=measured_from(rollout, reference)
        if axis_of(rollout) == STEP
        else measure_rollout(field, reality, reference, starts),
        series=rollout,
        lost=np.asarray(rollout_attributes.get("lost_step", [-1] * len(starts))),
        config=experiment.diagnostics,
        seed=experiment.seed,
        labels={
            "emulator": str(labels["emulator"]),
            "stabilizer": str(labels["stabilizer"]),
            "seed": int(labels["seed"]),
        },
    )
    return _measured(case, experiment)


def _measured(case: Case, experiment: Experiment) -> xr.Dataset:
    """What all families measure, as a CF dataset."""
    reference, members = case.reference, len(case.rollout.last_finite)
    numbers: dict[str, Any] = {
        "member": case.series["member"].to_numpy() if "member" in case.series.coords else np.arange(members),
        "channel": np.array([str(name) for name in case.truth["channel"].to_numpy()]),
        "truth_mean": reference.standard.mean,
        "truth_std": reference.standard.std,
        "truth_increment_std": reference.standard.increment_std,
    }
    for each in ordered():
        numbers |= each.measure(case)
    measures = reference.invariants
    units = units_of(case.truth, measures)
    attributes = {
        "title": "Diagnostics of a rollout against held-out truth",
        "experiment": experiment.name,
        "steps": case.rollout.steps,
        "members": members,
        "frame_interval": experiment.simulation.frame_interval,
        "confidence": experiment.diagnostics.confidence,
        "block_frames": reference.block,
        **definitions(measures, units),
        "envelope": reference.envelope.to_json(),
        **case.labels,
    }
    dataset = dataset_of(variables(), coordinates(), numbers, units, attributes, measures.names)
    return dataset.assign({name: value for name, value in numbers.items() if isinstance(value, xr.Variable)})
