"""The diagnostics on real Kuramoto–Sivashinsky trajectories: held-out truth must pass as a rollout."""

import json

import numpy as np
import pytest
import torch
import xarray as xr

from thermalize import systems
from thermalize.config import Experiment
from thermalize.metrics.dataset import diagnose
from thermalize.runtime.streams import stream

MEMBERS, FRAMES, STEPS = 16, 400, 1200
LENGTH, POINTS = 22.0, 64


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    splits = {split: {"members": MEMBERS, "frames": FRAMES} for split in ("train", "valid", "test")}
    system = {"kind": "ks", "length": LENGTH, "points": POINTS}
    return Experiment.model_validate(
        {
            "name": "ks",
            "simulation": {"system": system, "dt": 0.25, "frame_interval": 1.0, "splits": splits},
            "emulators": {"unet": {"training": {"updates": 1}}},
            "rollouts": {"members": MEMBERS, "steps": STEPS, "stabilizers": {"none": {"kind": "none"}}},
            "diagnostics": {"resamples": 300},
        }
    )


@pytest.fixture(scope="module")
def ensemble(experiment) -> np.ndarray:
    """Two independent ensembles, (2 · member, time, channel, x)."""
    system = systems.build(experiment.simulation.system)
    start = torch.stack([system.initial_condition(stream(0, "diagnostics test", m)) for m in range(2 * MEMBERS)])
    states = systems.frames(
        system, start, systems.Timing(dt=0.25, steps_per_frame=4, frames=STEPS + 1, spin_up_steps=800)
    )
    return np.stack([state.numpy().astype(np.float32) for state in states], axis=1)


def dataset(u: np.ndarray) -> xr.Dataset:
    dims = ("member", "time", "channel", "x")
    health = {name: (dims[:2], np.zeros(u.shape[:2], np.int16)) for name in ("level", "reverse_steps", "rescaled")}
    coords = {"x": LENGTH * np.arange(POINTS) / POINTS}
    return xr.Dataset({"velocity": (dims, u), **health}, coords, {"variable": "velocity"})


def found(experiment: Experiment, ensemble: np.ndarray, rollout: np.ndarray) -> xr.Dataset:
    """The rollouts follow other members than those of the truth; where each began does not matter here."""
    attributes = {"initial_member": list(range(MEMBERS)), "initial_frame": [0] * MEMBERS}
    labels = {"emulator": "unet", "stabilizer": "none", "seed": 0}
    return diagnose(dataset(ensemble[:MEMBERS, :FRAMES]), dataset(rollout), experiment, labels, attributes)


@pytest.mark.slow
def test_the_equation_itself_is_as_good_as_truth(experiment, ensemble):
    result = found(experiment, ensemble, ensemble[MEMBERS:])
    assert result.stable_fraction == result.truth_stable_fraction == 1
    assert int(result.energy_containing.sum()) in {6, 7, 8}
    for name in ("log_spectral_distance", "wasserstein_field", "wasserstein_increment"):
        assert result[f"{name}_floor_low"] < result[name] < 1.3 * result[f"{name}_floor_high"], name
    assert result.integral_time_rollout == pytest.approx(float(result.integral_time_truth), rel=0.2)
    np.testing.assert_array_equal(result.window_start, [1, 401, 801])
    assert (result.log_spectral_distance_window < 2 * result.log_spectral_distance_floor_high).all()


@pytest.mark.slow
@pytest.mark.parametrize("growth", [1.02, 0.98])
def test_slow_drift_leaves_the_envelope_no_later_than_its_energy_does(experiment, ensemble, growth):
    factor = growth ** np.maximum(0, np.arange(STEPS + 1) - 200)
    drifting = (ensemble[MEMBERS:] * factor[None, :, None, None]).astype(np.float32)
    result = found(experiment, ensemble, drifting)
    low, high = json.loads(result.attrs["envelope"])["energy"]
    energy = 0.5 * (drifting.astype(float) ** 2).mean((-1, -2))
    crossing = np.argmax((energy < low) | (energy > high), axis=1)
    assert (result.stable_horizon > 200).all()
    assert (result.stable_horizon <= crossing).all()
    causes = np.array(result.horizon_cause.attrs["flag_meanings"].split())[result.horizon_cause]
    assert (causes[result.stable_horizon == crossing] == "energy").all()
    assert "energy" in causes


@pytest.mark.slow
def test_blocked_small_scales_and_stopped_motion_are_named(experiment, ensemble):
    rollout = ensemble[MEMBERS:].copy()
    u_hat = np.fft.rfft(rollout[:8, 100:])
    u_hat[..., 4:] *= 0.2
    rollout[:8, 100:] = np.fft.irfft(u_hat)
    rollout[8:, 100:] = rollout[8:, 100:101]
    result = found(experiment, ensemble, rollout)
    causes = np.array(result.horizon_cause.attrs["flag_meanings"].split())[result.horizon_cause]
    assert (causes == ["spectrum"] * 8 + ["frozen"] * 8).all()
    assert ((result.stable_horizon[:8] > 100) & (result.stable_horizon[:8] <= 150)).all()
    assert (result.stable_horizon[8:] == 120).all()
