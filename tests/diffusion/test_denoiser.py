"""What a denoiser predicts, what it is told of the level, and how the level is read."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gaussian import SCHEDULE, GaussianModel, steep_spectrum
from networks import SMALL, state, stirred
from pydantic import TypeAdapter

from thermalize.config import DiffusionConfig, ScheduleConfig, TrainingConfig, UNetConfig
from thermalize.diffusion.calibration import auto_start, calibrate
from thermalize.diffusion.denoiser import Denoiser
from thermalize.diffusion.levels import DRAWS, READINGS, Regressor
from thermalize.diffusion.objective import DiffusionObjective
from thermalize.diffusion.predictions import PREDICTIONS, posterior_mean
from thermalize.diffusion.schedule import build
from thermalize.figures.training import CURVES
from thermalize.models import describe
from thermalize.models.normalization import Normalization
from thermalize.training.checkpoint import Checkpoints
from thermalize.training.data import Trajectories
from thermalize.training.loop import Trainer

LEVELS = torch.tensor([0, 7, 60, 199])
TRAINING = TrainingConfig(updates=1)


def config(**options) -> DiffusionConfig:
    return DiffusionConfig(**{"network": SMALL["unet"], "training": TRAINING, **options})


def noised() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x, xi = state(4, 2, 16), state(4, 2, 16, seed=3)
    return x, xi, SCHEDULE.diffuse(x, LEVELS, xi)


@pytest.mark.parametrize("name", PREDICTIONS)
def test_the_noise_follows_from_every_prediction(name):
    x, xi, noisy = noised()
    prediction = PREDICTIONS[name](SCHEDULE)
    target = prediction.target(x, xi, LEVELS)
    torch.testing.assert_close(prediction.noise(noisy, target, LEVELS), xi, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(posterior_mean(SCHEDULE, noisy, xi, LEVELS), x, rtol=1e-10, atol=1e-10)


def test_targets_are_those_of_the_definitions():
    x, xi, _ = noised()
    signal, noise = (each(LEVELS).reshape(4, 1, 1) for each in (SCHEDULE.signal, SCHEDULE.noise))
    expected = {"noise": xi, "state": x, "velocity": signal * xi - noise * x}
    for name, target in expected.items():
        torch.testing.assert_close(PREDICTIONS[name](SCHEDULE).target(x, xi, LEVELS), target)


@pytest.mark.parametrize("name", PREDICTIONS)
@pytest.mark.parametrize("told", [False, True])
def test_the_noise_has_the_coefficients_of_the_level(name, told):
    model, (_, _, noisy) = stirred(Denoiser(config(prediction=name, level_input=told), 1, 2)), noised()
    output, _ = model(noisy, LEVELS)
    signal, noise = (each(LEVELS).reshape(4, 1, 1) for each in (SCHEDULE.signal, SCHEDULE.noise))
    expected = {
        "noise": output,
        "state": (noisy - signal * output) / noise,
        "velocity": signal * output + noise * noisy,
    }
    torch.testing.assert_close(model.noise(noisy, LEVELS), expected[name])


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("head", READINGS)
def test_a_network_that_is_told_the_level_does_not_pass_it_on_to_the_head(kind, head):
    told = config(network=SMALL[kind], level_input=True, level_head=head, train_levels=200)
    model, x = stirred(Denoiser(told, 1, 2)), state(4, 2, 16)
    first, output = model(x, LEVELS)
    second, same = model(x, LEVELS.flip(0))
    assert torch.equal(output, same)
    assert torch.equal(model.reading.level(output), model.level(x))
    assert not torch.allclose(first, second)
    assert first.shape == x.shape


def test_no_gradient_leads_from_the_level_to_the_head():
    model = stirred(Denoiser(config(level_input=True), 1, 1))
    seen = []
    model.network.encoder.lift.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))  # noqa: ARG005
    model(state(4, 1, 16), LEVELS)
    unknown, known = seen
    assert torch.equal(unknown[:, 1], torch.zeros(4, 16, dtype=torch.float64))
    told = 1 + (SCHEDULE.noise(LEVELS) / SCHEDULE.noise(0)).log()
    torch.testing.assert_close(known[:, 1], told[:, None].expand(4, 16))
    assert float(told.min()) == 1.0  # so that no level looks like an unknown one
    assert torch.equal(known[:, 0], unknown[:, 0])


def test_two_dimensions_and_the_description_of_a_network_that_is_told():
    model = stirred(Denoiser(config(level_input=True), 2, 3))
    x = state(2, 3, 8, 8)
    assert model.noise(x, torch.tensor([3, 9])).shape == x.shape
    assert describe(model.network, model.network.inputs, (8, 8))["shift"] == {"y": 4, "x": 4}


def test_a_blind_network_is_what_it_was():
    """Names of the weights, and the same answers whatever the level."""
    model, x = stirred(Denoiser(config(), 1, 2)), state(4, 2, 16)
    assert {name.split(".")[0] for name in model.state_dict()} == {"network", "head"}
    assert model.network.inputs == 2
    assert model.head.net[-1].out_features == 200
    assert torch.equal(model.noise(x, LEVELS), model.noise(x, LEVELS.flip(0)))
    assert torch.equal(model.noise(x, LEVELS), model.network(x))
    assert torch.equal(model(x)[0], model(x, LEVELS)[0])


@pytest.mark.parametrize("kind", ["cosine", "linear", "geometric", "power"])
def test_a_perfect_regressor_finds_every_level(kind):
    schedule = build(TypeAdapter(ScheduleConfig).validate_python({"kind": kind}))
    reading, level = Regressor(schedule, 200), torch.arange(200)
    assert torch.equal(reading.level(reading.table[:, None]), level)
    assert float(reading.loss(reading.table[:, None], level)) < 1e-12
    assert float(reading.loss(torch.zeros(200, 1), level)) == pytest.approx(1)
    halfway = (reading.table[:-1] + reading.table[1:]) / 2
    assert torch.equal(reading.level(halfway[:, None] - 1e-9), level[:-1])
    assert torch.equal(reading.level(halfway[:, None] + 1e-9), level[1:])
    assert reading.level(torch.tensor([[-99.0], [99.0]])).tolist() == [0, 199]


def test_levels_are_drawn_as_they_say():
    n, count = 20, 200_000
    generator = torch.Generator().manual_seed(0)
    shares = {name: np.bincount(draw(n, count, generator), minlength=n) / count for name, draw in DRAWS.items()}
    s = np.arange(n)
    expected = {"uniform": np.full(n, 1 / n), "low": np.log((s + 2) / (s + 1)) / np.log(n + 1)}
    for name, share in shares.items():
        assert np.abs(share - expected[name]).max() < 5 * np.sqrt(0.25 / count)
        assert len(share) == n
    again = torch.randint(n, (8,), generator=torch.Generator().manual_seed(3))
    assert torch.equal(DRAWS["uniform"](n, 8, torch.Generator().manual_seed(3)), again)


def test_what_a_level_input_can_be_worth():
    """The best blind prediction averages over the levels that a state may have; at level 100 that is 9 % off."""
    model = GaussianModel(steep_spectrum(64))
    clean, xi = (torch.randn(400, 1, 64, generator=torch.Generator().manual_seed(s)).double() for s in (0, 1))
    level = torch.full((400,), 100)
    x = SCHEDULE.diffuse(clean * model.variance.sqrt(), level, xi)
    c = model.marginal(torch.arange(model.levels))
    likelihood = torch.softmax(-0.5 * ((x[:, 0] ** 2) @ (1 / c).T + c.log().sum(1)), dim=1)
    blind = (likelihood @ (SCHEDULE.noise(torch.arange(model.levels))[:, None] / c))[:, None] * x
    told = model.noise(x, level)
    assert float((blind - told).square().mean().sqrt() / told.square().mean().sqrt()) == pytest.approx(0.09, abs=0.015)


def waves(members: int = 8, frames: int = 30, points: int = 16) -> Trajectories:
    x, t = np.arange(points) * 2 * np.pi / points, 0.3 * np.arange(frames)
    phase = np.linspace(0, 6, members)
    u = np.sin(x - t[None, :, None, None] + phase[:, None, None, None])
    return Trajectories(u.astype(np.float32), Normalization((0.0,), (1.0,)))


CHOICES = [
    {"prediction": "velocity", "level_head": "regressor", "level_input": True, "level_distribution": "low"},
    {"prediction": "state", "schedule": {"kind": "geometric", "levels": 100, "sigma_min": 0.05, "sigma_max": 0.9}},
    {"schedule": {"kind": "power", "levels": 100, "sigma_min": 0.05, "sigma_max": 0.9}, "level_input": True},
    {"schedule": {"kind": "linear", "levels": 100}, "level_head": "regressor", "prediction": "velocity"},
]


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: "-".join(str(each) for each in choice))
def test_every_choice_learns_and_can_be_calibrated(tmp_path, choice):
    training = TrainingConfig(updates=250, batch_size=32, validate_every=50, learning_rate=5e-3)
    chosen = config(network=UNetConfig(width=8, multipliers=(1, 2)), train_levels=100, training=training, **choice)
    schedule, data = build(chosen.schedule), waves()
    torch.manual_seed(0)
    objective, model = DiffusionObjective(chosen, schedule, data, data, seed=1), Denoiser(chosen, 1, 1)
    trainer = Trainer(model, objective, training, 1, Checkpoints(tmp_path / "p", {}), "t")
    result = trainer.run()
    first, last = result.history[0], result.history[-1]
    prediction, level = f"valid_{chosen.prediction}_mse", READINGS[chosen.level_head](schedule, 100).metric
    assert [name for name in last if name.startswith("valid_")] == ["valid_loss", prediction, level]
    assert last["valid_loss"] < 0.9 * first["valid_loss"]
    assert last[prediction] < 0.6
    model.load_state_dict(result.best)
    truth = data.spread(64, 1)[:, 0]
    found = calibrate(model.eval(), schedule, truth, 100, seed=0)
    assert np.corrcoef(found["level"], found["predicted_mean"])[0, 1] > 0.7
    assert 0 <= auto_start(found, 0.1) < 60


def test_every_loss_of_a_training_has_a_curve():
    for prediction in PREDICTIONS:
        assert f"valid_{prediction}_mse" in CURVES
    for reading in READINGS.values():
        assert reading(SCHEDULE, 20).metric in CURVES
