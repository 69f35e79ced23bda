"""The truth measured once: back from its file to the last bit, what it depends on, and who counts on it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
import yaml
from diagnostics_data import (
    FRAMES,
    LABELS,
    MEMBERS,
    STEPS,
    experiment,
    flow,
    oceanic,
    rolled,
    started,
    trajectory,
)
from diagnostics_data import ocean as layers_of
from training_runs import settings, store, written

from thermalize.config import Experiment
from thermalize.config.load import load_experiment
from thermalize.metrics.dataset import diagnose
from thermalize.metrics.reference import Reference, field_of, measure_reference, system_parameters
from thermalize.metrics.reference_dataset import COORDINATES, VARIABLES, reference_dataset, reference_from
from thermalize.models.normalization import Normalization
from thermalize.runtime.errors import UserError
from thermalize.stabilizers.drift import BandStatistics
from thermalize.stages.bands import measure_bands, read_bands
from thermalize.stages.reference import measure_truth, read_reference
from thermalize.store.manifest import open_store, read_manifest
from thermalize.store.netcdf import read_dataset, write_dataset
from thermalize.store.results import Results
from thermalize.workflow.needs import Result
from thermalize.workflow.plan import settings_digest
from thermalize.workflow.steps import STEPS as TABLE
from thermalize.workflow.steps import results_of

ROOT = Path(__file__).parents[2]


def measured(truth: xr.Dataset, compared: int, config: Experiment) -> Reference:
    return measure_reference(field_of(truth), compared, config.diagnostics, system_parameters(truth))


def through_a_file(reference: Reference, truth: xr.Dataset, folder: Path) -> tuple[Reference, xr.Dataset]:
    """Written and read as the stages do."""
    path = folder / "truth.nc"
    write_dataset(path, reference_dataset(reference, field_of(truth), {"experiment": "small"}))
    return read_reference(path, truth), read_dataset(path)


@pytest.mark.parametrize("layers", [False, True])
def test_diagnostics_with_the_file_are_those_of_a_truth_that_is_measured_anew(layers, tmp_path):
    if layers:
        truth, run = oceanic(layers_of(flow(4, 4, 40, 2, (16, 16)))), layers_of(flow(5, 4, 61, 2, (16, 16)))
        rollout, config, attributes = oceanic(run, True), experiment(max_lag=5, energy_fraction=0.9), started(4)
    else:
        truth, rollout = trajectory(flow(0, MEMBERS, FRAMES)), rolled(flow(1, MEMBERS, STEPS + 1))
        config, attributes = experiment(), started()
    frames = truth.sizes["time"]
    reference, file = through_a_file(measured(truth, frames, config), truth, tmp_path)
    expected = diagnose(truth, rollout, config, LABELS, attributes)
    assert diagnose(truth, rollout, config, LABELS, attributes, reference).identical(expected)
    for name, each in {**VARIABLES, **COORDINATES}.items():
        assert each.optional or name in file.variables, name
        assert name not in file.variables or file[name].dims == each.dims, name
        assert name not in file.variables or file[name].attrs["long_name"], name
    assert ("block_energy_spectrum" in file) == layers
    assert file["energy"].attrs["units"] == ("m2 s-2" if layers else "1")
    assert file["block_values"].attrs["sample_dimension"] == "value"


def test_a_reference_of_other_lengths_or_another_truth_is_refused():
    truth, config = trajectory(flow(0, MEMBERS, FRAMES)), experiment()
    reference = measured(truth, FRAMES, config)
    with pytest.raises(UserError, match="measured for rollouts of 120 frames, not of 40"):
        diagnose(truth, rolled(flow(1, MEMBERS, 41)), config, LABELS, started(), reference)
    dataset = reference_dataset(reference, field_of(truth), {})
    with pytest.raises(UserError, match="measured on a truth of other members, frames or channels"):
        reference_from(dataset, field_of(trajectory(flow(0, MEMBERS, FRAMES - 1))))


def test_the_sample_of_the_reference_half_is_a_part_of_that_of_both():
    reference = measured(trajectory(flow(0, MEMBERS, FRAMES)), FRAMES, experiment())
    assert sorted({*reference.reference.member.tolist()}) == [0, 2, 4]
    both = reference.sample
    count = reference.reference.field.size
    np.testing.assert_array_equal(reference.reference.field, both.field[:count])
    other = both.select([1, 3, 5])
    np.testing.assert_array_equal(other.field, both.field[count:])
    assert other.field_block.max() == other.frames.size - 1
    np.testing.assert_array_equal(other.spectrum, both.spectrum[len(reference.reference.spectrum) :])


def prepared(folder: Path) -> tuple[Experiment, Results]:
    config = written(folder, settings())
    return load_experiment(config), store(config, ("train", "test"))


def test_the_stage_writes_what_it_measures_for_the_configured_length(tmp_path):
    config, paths = prepared(tmp_path)
    measure_truth(config, paths)
    truth = open_store(paths.simulation("test"))
    found, frames = read_reference(paths.reference, truth), truth.sizes["time"]
    assert found.compared == min(frames, config.rollouts.steps)
    assert found.members == truth.sizes["member"]
    assert sorted(path.name for path in paths.reference.parent.iterdir()) == ["truth.nc", "truth.nc.sha256"]
    with pytest.raises(UserError, match=r"truth\.nc is not what this version writes .*: .* along 'time' in place of"):
        read_reference(paths.reference, truth.isel(time=slice(frames - 1)))


def test_statistics_of_band_energies_follow_from_their_file_at_once(tmp_path):
    config, paths = prepared(tmp_path)
    measure_bands(config, paths)
    found = read_bands(paths.bands)
    train = open_store(paths.simulation("train"))
    mean, std = Normalization.of(read_manifest(paths.simulation("train")).statistics).tensors(1)
    truth = (torch.from_numpy(field_of(train).values) - mean) / std
    assert found.grid == tuple(truth.shape[3:])
    for memory in (3.0, 1e6):
        expected, other = BandStatistics.of(truth, memory), BandStatistics.of_energies(found.energy, memory)
        assert torch.equal(expected.mean, other.mean)
        assert torch.equal(expected.spread, other.spread)
    for held in ('{"grid": [32], "along": [1, 2], "shell": 3}', '{"grid": ["x"], "along": [1], "shell": 3}', "[", "7"):
        write_dataset(paths.bands, read_dataset(paths.bands).assign_attrs(held=held))
        with pytest.raises(UserError, match="holds no band energies of this version; run its stage again"):
            read_bands(paths.bands)
    write_dataset(paths.bands, xr.Dataset({"band_energy": ("member", [1.0])}))
    with pytest.raises(UserError, match="holds no band energies of this version; run its stage again"):
        read_bands(paths.bands)


def planned(name: str) -> tuple[Experiment, list[Result]]:
    experiment = load_experiment(ROOT / name)
    return experiment, [*results_of(experiment)]


def test_an_experiment_of_many_rollouts_measures_its_truth_once():
    experiment, results = planned("configs/ablation-ks.yaml")
    diagnosed = [result for result in results if result.step == "diagnose"]
    assert len(diagnosed) > 20
    assert results.count(Result("reference")) == 1
    for result in diagnosed:
        assert Result("reference") in {*TABLE["diagnose"].needs(experiment, *result.key)}


def test_band_energies_are_measured_where_a_stabilizer_controls_them():
    demo, of_demo = planned("config.yaml")
    assert of_demo.count(Result("bands")) == 1
    assert Result("bands") in {*TABLE["rollout"].needs(demo, "unet", "controlled", "0")}
    assert Result("bands") not in {*TABLE["rollout"].needs(demo, "unet", "thermalized", "0")}
    assert Result("bands") not in planned("configs/tiny.yaml")[1]


def test_the_reference_depends_on_how_the_truth_is_measured_and_on_nothing_else():
    raw = yaml.safe_load((ROOT / "configs" / "tiny.yaml").read_text())

    def digest(**changes: dict) -> str:
        told = json.loads(json.dumps(raw))
        for section, values in changes.items():
            told[section] |= values
        return settings_digest(Experiment.model_validate(told), "reference", {})

    same = digest()
    for key, value in {"pdf_bins": 50, "resamples": 7, "confidence": 0.9, "samples": 9}.items():
        assert digest(diagnostics={key: value}) == same, key
    assert digest(rollouts={"members": 1, "chunk": 10}) == same
    for key, value in {"max_lag": 9, "energy_fraction": 0.5, "spectrum_window": 3, "frozen_steps": 4}.items():
        assert digest(diagnostics={key: value}) != same, key
    assert digest(rollouts={"steps": 49}) != same
