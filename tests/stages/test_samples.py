"""The stage that lets a diffusion model make states: what it writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from diagnostics_data import FRAMES, MEMBERS, experiment, flow, trajectory
from training_runs import settings, store, written

from thermalize.config.load import load_experiment
from thermalize.diffusion.denoiser import Denoiser
from thermalize.metrics.generated import COORDINATES, VARIABLES, ThinnedTruth, compared, thin
from thermalize.metrics.reference import field_of, halves_of, measure_reference
from thermalize.models.folder import save_model
from thermalize.runtime.errors import UserError
from thermalize.stages import samples
from thermalize.stages.reference import measure_truth
from thermalize.stages.samples import sample_diffusion
from thermalize.store.results import Results
from thermalize.store.sealed import seal_folder

CPU = torch.device("cpu")


def prepared(folder: Path, **changes) -> tuple[Path, Results]:
    """A configuration, its test split, and an untrained diffusion model."""
    content = settings()
    content["diagnostics"] = {"samples": 24, "resamples": 50, "max_lag": 10, "spectrum_window": 10}
    config = written(folder, {**content, **changes})
    paths = store(config, ("test",))
    chosen = load_experiment(config)
    torch.manual_seed(0)
    weights = Denoiser(chosen.diffusion["unet"], 1, 1).state_dict()
    card = {
        "kind": "diffusion",
        "system": chosen.simulation.identity,
        "config": chosen.diffusion["unet"].model_dump(),
        "dims": 1,
        "channels": 1,
        "normalization": {"mean": [0.1], "std": [0.7]},
        "calibration": {
            "level": [0],
            "predicted_mean": [0.0],
            "predicted_low": [0.0],
            "predicted_high": [0.0],
            "band": [0.05, 0.95],
            "clean_level_counts": [1],
            "clean_noise_rms": 0.1,
        },
    }
    save_model(paths.diffusion("unet"), weights, weights, card, [])
    return config, paths


def run(config: Path, paths: Results) -> xr.Dataset:
    experiment = load_experiment(config)
    if not paths.reference.exists():
        measure_truth(experiment, paths)
    sample_diffusion(experiment, "unet", paths, CPU)
    return xr.load_dataset(paths.samples("unet"))


def test_the_file_says_what_was_made_and_how(tmp_path):
    config, paths = prepared(tmp_path)
    found = run(config, paths)
    assert set(found.variables) == set(VARIABLES | COORDINATES)
    assert found["kind"].values.tolist() == ["partial", "thermalized"]
    assert found["level"].values.tolist() == [49, 12]
    assert found["evaluations"].values.tolist()[1] == 13
    np.testing.assert_allclose(found["noise"], [0.0895, 0.0303], atol=1e-3)
    assert found.attrs["states"] == 24
    assert all(np.isfinite(found[name]).all() for name in found if not name.startswith("log_spectral_distance_tail"))
    assert (found["log_spectral_distance_low"] < found["log_spectral_distance"]).all()
    assert sorted(path.name for path in paths.samples("unet").parent.iterdir()) == ["unet.nc", "unet.nc.sha256"]


def test_a_model_of_all_levels_is_sampled_from_pure_noise_whatever_the_batch(tmp_path, monkeypatch):
    network = settings()["diffusion"]["unet"]
    every = {"unet": {**network, "train_levels": 60, "schedule": {"kind": "cosine", "levels": 60}}}
    config, paths = prepared(tmp_path, diffusion=every)
    found = run(config, paths)
    assert found["kind"].values.tolist() == ["unconditional", "thermalized"]
    monkeypatch.setattr(samples.generate, "__defaults__", (5,))
    again = run(config, paths)
    xr.testing.assert_allclose(found, again, rtol=1e-4)


def test_what_does_not_fit_is_refused_in_one_sentence(tmp_path):
    config, paths = prepared(tmp_path)
    card = paths.diffusion("unet") / "model.json"
    content = json.loads(card.read_text())
    card.write_text(json.dumps({**content, "system": {**content["system"], "length": 20.0}}))
    with pytest.raises(UserError, match=r"model\.json was changed or damaged"):
        run(config, paths)
    seal_folder(card.parent, [card.name, "model.safetensors"])
    with pytest.raises(UserError, match="was trained on another system"):
        run(config, paths)
    card.unlink()
    with pytest.raises(UserError, match="train the model first"):
        run(config, paths)
    assert not paths.samples("unet").exists()


def test_states_that_are_not_finite_are_refused_and_nothing_is_written(tmp_path, monkeypatch):
    config, paths = prepared(tmp_path)
    monkeypatch.setattr(Denoiser, "noise", lambda *states: states[1] * torch.nan)
    with pytest.raises(UserError, match="'unet' made partial states that are not finite; train it for more updates"):
        run(config, paths)
    assert not paths.samples("unet").exists()


def test_a_truth_of_one_member_has_no_floor():
    with pytest.raises(UserError, match="diagnostics need two test members"):
        halves_of(field_of(trajectory(flow(0, 1, FRAMES), channel=0)))


@pytest.fixture(scope="module")
def thinned() -> ThinnedTruth:
    field = field_of(trajectory(flow(0, MEMBERS, FRAMES), channel=0).assign_coords(channel=["u"]))
    return thin(field, measure_reference(field, FRAMES, experiment().diagnostics), samples=90)


def distances(thinned: ThinnedTruth, states: np.ndarray) -> dict:
    numbers = compared(
        thinned, {"these": states}, experiment().diagnostics, lambda purpose: np.random.default_rng(len(purpose))
    )
    return {
        name: float(np.ravel(values)[0]) for name, values in numbers.items() if name.startswith(("log_", "wasserstein"))
    }


def test_states_that_were_not_touched_have_the_distance_of_their_origins(thinned):
    assert thinned.origins.shape == (3, 30, 1, 32)
    found = distances(thinned, thinned.origins)
    for name in ("log_spectral_distance", "wasserstein_field"):
        assert found[name] == found[f"{name}_origins"]
        assert 0 < found[f"{name}_floor_low"] < found[f"{name}_floor"] < found[f"{name}_floor_high"]


def test_states_twice_as_large_are_found_so(thinned):
    """Four times the variance is 0.602 decades; W₁ of 2x to x is ⟨|x|⟩."""
    reference = thinned.states[thinned.reference.reference_half].to_numpy()
    found = distances(thinned, 2 * reference)
    assert found["log_spectral_distance"] == pytest.approx(np.log10(4), rel=1e-6)
    assert found["wasserstein_field"] == pytest.approx(
        np.abs(reference).mean() / thinned.reference.standard.std[0], rel=0.01
    )
    assert found["log_spectral_distance_low"] > found["log_spectral_distance_floor_high"]


def test_independent_states_of_the_same_law_lie_within_the_floor(thinned):
    """Single states of 90 other trajectories, each a member of its own."""
    found = distances(thinned, flow(9, 90, 20)[:, -1:])
    for name in ("log_spectral_distance", "wasserstein_field"):
        assert found[name] < 1.5 * found[f"{name}_floor_high"]
