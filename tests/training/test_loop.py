"""The training loop: it learns, resumes bit-identically, and refuses what does not belong to it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_trainers import (
    NETWORK,
    TRAINING,
    UNIT,
    Killed,
    diffusion_trainer,
    emulator_trainer,
    kill_after,
    same,
    same_weights,
    travelling_waves,
)
from torch import nn

from thermalize.config import DiffusionConfig, EmulatorConfig, TrainingConfig, UnrollConfig
from thermalize.diffusion.calibration import auto_start, auto_stop
from thermalize.diffusion.schedule import CLEAN, build
from thermalize.emulators.objective import EmulatorObjective, unroll_length
from thermalize.emulators.residual import ResidualEmulator
from thermalize.models.folder import is_complete, load_weights, read_card, read_history, save_model
from thermalize.models.normalization import Normalization
from thermalize.runtime.errors import UserError
from thermalize.store.sealed import seal_folder
from thermalize.training.checkpoint import Checkpoints
from thermalize.training.data import Trajectories
from thermalize.training.passes import Passes
from thermalize.training.processes import ALONE
from thermalize.training.rates import learning_rate
from thermalize.training.watch import Best


@pytest.mark.parametrize("make", [emulator_trainer, diffusion_trainer])
@pytest.mark.parametrize("killed_at", [3, 12, 23])
def test_a_killed_training_ends_with_the_same_bits(tmp_path, make, killed_at):
    straight = make(tmp_path / "straight").run()
    interrupted = make(tmp_path / "killed")
    kill_after(interrupted, killed_at)
    with pytest.raises(Killed):
        interrupted.run()
    assert same(make(tmp_path / "killed").run(), straight)


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path):
    straight = emulator_trainer(tmp_path / "straight").run()
    interrupted = emulator_trainer(tmp_path / "k")
    kill_after(interrupted, 17)
    with pytest.raises(Killed):
        interrupted.run()
    files = sorted((tmp_path / "k" / "p").glob("*.pt"))
    assert [int(f.name.split("-")[0]) for f in files] == [10, 15]
    data = bytearray(files[-1].read_bytes())
    data[len(data) // 2] ^= 1
    files[-1].write_bytes(bytes(data))
    resumed = emulator_trainer(tmp_path / "k")
    resumed._restore()
    assert resumed.update == 10
    assert same(resumed.run(), straight)


def stopped(tmp_path, update: int, **options) -> None:
    """A training that is killed at an update; a checkpoint is written at every fifth."""
    trainer = emulator_trainer(tmp_path, **options)
    kill_after(trainer, update)
    with pytest.raises(Killed):
        trainer.run()


def names(tmp_path) -> list[str]:
    return sorted(path.name[:9] for path in (tmp_path / "p").iterdir())


def test_checkpoints_of_another_training_are_not_used_and_it_says_what_differs(tmp_path, capsys):
    other = TRAINING.model_copy(update={"batch_size": 4})
    straight = emulator_trainer(tmp_path / "straight", other).run()
    stopped(tmp_path, 17)
    trainer = emulator_trainer(tmp_path, other)
    kill_after(trainer, 3)
    with pytest.raises(Killed):
        trainer.run()
    assert "is of another training (config.training.batch_size: 8 there, 4 here); it is not used" in (
        capsys.readouterr().err
    )
    assert names(tmp_path) == ["000000010", "000000015"], "whoever made a mistake may still go back"
    assert same(emulator_trainer(tmp_path, other).run(), straight)
    assert names(tmp_path) == ["000000020", "000000024"]
    checkpoints = Checkpoints(tmp_path / "p", {**trainer.checkpoints.identity, "code": "b" * 64})
    assert list(checkpoints.states()) == []
    assert "is of another training (code)" in capsys.readouterr().err


def test_training_learns_and_reports(tmp_path):
    config = TRAINING.model_copy(update={"updates": 150, "validate_every": 50, "learning_rate": 5e-3})
    history = emulator_trainer(tmp_path, config).run().history
    assert [row["update"] for row in history] == [50, 100, 150]
    assert history[-1]["valid_loss"] < 0.2 * history[0]["valid_loss"]
    assert history[-1]["unroll"] == 3
    history = diffusion_trainer(tmp_path / "d", config).run().history
    assert history[-1]["valid_noise_mse"] < 0.6
    assert history[-1]["valid_loss"] < history[0]["valid_loss"]


def test_clipping_bounds_the_update_and_the_history_says_how_often(tmp_path):
    norms, shares = [], []
    for clip in (1e-6, 1e6):
        trainer = emulator_trainer(tmp_path / str(clip), TRAINING.model_copy(update={"clip_norm": clip, "updates": 1}))
        shares.append(trainer.run().history[0]["clipped"])
        gradients = [p.grad for p in trainer.model.parameters() if p.grad is not None]
        norms.append(float(torch.linalg.vector_norm(torch.stack([g.norm() for g in gradients]))))
    assert norms[0] == pytest.approx(1e-6, rel=1e-2)
    assert norms[1] > 1e-3
    assert shares == [1.0, 0.0]


def test_a_loss_that_is_not_finite_stops_with_samples_and_a_suggestion(tmp_path):
    trainer = emulator_trainer(tmp_path)
    with torch.no_grad():
        next(trainer.model.parameters()).fill_(torch.nan)
    with pytest.raises(UserError, match=r"t, update 0: .* became nan because weights .* try learning_rate: 0\.00033"):
        trainer.run()
    trainer = emulator_trainer(tmp_path)
    trainer.objective.train.values[4, 7] = torch.nan
    with pytest.raises(UserError, match=r"became nan on member 4 from frame [67](?!.*member [^4])"):
        trainer.run()


def test_the_best_weights_are_kept_apart_and_training_stops_when_it_no_longer_helps(tmp_path):
    training = TRAINING.model_copy(update={"updates": 80, "patience": 2})
    errors = iter([0.5, 0.3, 0.4, float("inf"), 0.1])
    trainer = emulator_trainer(tmp_path, training)
    validate, seen = trainer.objective.validate, []

    def scripted(model: nn.Module) -> dict[str, float]:
        seen.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return {**validate(model), "valid_rollout_error": next(errors)}

    trainer.objective.validate = scripted
    result = trainer.run()
    assert [row["update"] for row in result.history] == [8, 16, 24, 32]
    assert result.best_update == 16
    assert same_weights(result.best, seen[1])
    assert same_weights(result.last, seen[3])
    assert not same_weights(result.best, result.last)
    resumed = emulator_trainer(tmp_path, training).run()
    assert same(resumed, result)


def test_a_validation_that_is_not_a_number_is_never_better():
    best, model = Best(), nn.Linear(1, 1)
    for update, value in enumerate((float("nan"), 2.0, float("nan"), 3.0)):
        best.see(value, update, model)
    assert (best.value, best.update, best.waited) == (2.0, 1, 2)


@pytest.mark.parametrize("make", [emulator_trainer, diffusion_trainer])
@pytest.mark.parametrize("largest", [1, 3, 4])
def test_a_batch_in_parts_has_the_gradient_of_the_whole(tmp_path, make, largest):
    gradients = []
    for size in (None, largest):
        trainer = make(tmp_path, TRAINING.model_copy(update={"micro_batch": size}))
        trainer.update = 20  # three unrolled steps
        loss = trainer.passes.backward(trainer._batch())
        gradients.append([torch.tensor(loss), *(p.grad for p in trainer.model.parameters())])
    for whole, parts in zip(*gradients, strict=True):
        torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-7)


class Short(nn.Module):
    """Fails on more than three samples, as a small GPU would."""

    error: Exception = torch.OutOfMemoryError("CUDA out of memory")

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        if len(x) > 3:
            raise self.error
        return self.scale * x


class Square:
    def loss(self, model, batch):
        return model(batch[0]).square().mean()


@pytest.mark.parametrize("error", [Short.error, RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes")])
def test_short_memory_halves_the_parts_and_keeps_the_batch(capsys, monkeypatch, error):
    monkeypatch.setattr(Short, "error", error)
    model, x = Short(), torch.arange(8.0)[:, None]
    passes = Passes(model, Square(), ALONE, torch.autocast("cpu", enabled=False), None)
    assert passes.backward((x,)) == pytest.approx(float(x.square().mean()))
    assert float(model.scale.grad) == pytest.approx(2 * float(x.square().mean()))
    assert passes.largest == 2
    assert "2 samples per pass" in capsys.readouterr().err


def test_other_errors_are_not_taken_for_short_memory():
    class Broken(nn.Module):
        def forward(self, x):  # noqa: ARG002
            raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        Passes(Broken(), Square(), ALONE, torch.autocast("cpu", enabled=False), None).backward((torch.ones(4, 1),))


def test_pushforward_and_targets():
    """One linear parameter, so that loss and gradient are known: F(x) = (a − 1) x on x_0, x_1, x_2 = 1, 2, 5."""

    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Parameter(torch.tensor(3.0))

        def forward(self, x):
            return self.a * x

    def loss_and_slope(**options) -> tuple[float, float]:
        config = EmulatorConfig(unroll=UnrollConfig(start=2, maximum=2), training=TRAINING, **options)
        data = Trajectories(np.array([1.0, 2.0, 5.0], np.float32)[None, :, None, None], UNIT)
        model, objective = Linear(), EmulatorObjective(config, data, data, 0)
        loss = objective.loss(model, objective.batch(0, torch.Generator(), slice(None)))
        loss.backward()
        return float(loss.detach()), float(model.a.grad)

    # unrolled states 1, a, a²; increments a − 1, a² − a against 1, 3
    assert loss_and_slope() == pytest.approx((((3 - 2) ** 2 + (6 - 3) ** 2) / 2, (2 * 1 + 2 * 3 * 5) / 2))
    # states a, a² against 2, 5
    assert loss_and_slope(target="state") == pytest.approx((((3 - 2) ** 2 + (9 - 5) ** 2) / 2, (2 + 2 * 4 * 6) / 2))
    # the last step from the constant 3: 3a against 5
    assert loss_and_slope(target="state", pushforward=True) == pytest.approx(((9 - 5) ** 2, 2 * 4 * 3))


def test_input_noise_reaches_the_first_step():
    config = EmulatorConfig(input_noise=0.5, unroll=UnrollConfig(maximum=1), training=TRAINING, target="state")
    data = Trajectories(travelling_waves(60), UNIT)
    objective = EmulatorObjective(config, data, data, 0)
    generator = torch.Generator().manual_seed(0)
    windows, noise = objective.batch(0, generator, slice(None))
    assert noise.shape == (8, 1, 1, 16)
    # the identity leaves the noise and the true increment
    expected = (windows[:, 0] + 0.5 * noise[:, 0] - windows[:, 1]).square().mean()
    assert float(objective.loss(nn.Identity(), (windows, noise))) == pytest.approx(float(expected))


def test_learning_rate_rises_linearly_and_falls_as_a_cosine():
    config = TrainingConfig(updates=110, warmup=10, learning_rate=1.0, final_learning_rate=0.1)
    assert [learning_rate(config, u) for u in (0, 4, 9, 10)] == pytest.approx([0.1, 0.5, 1.0, 1.0])
    assert learning_rate(config, 60) == pytest.approx(0.55)
    assert learning_rate(config, 110) == pytest.approx(0.1)
    for decay, halfway in (("linear", 0.55), ("constant", 1.0)):
        assert learning_rate(config.model_copy(update={"decay": decay}), 60) == pytest.approx(halfway)


def test_unroll_grows():
    config = UnrollConfig(start=1, maximum=3, grow_every=10)
    assert [unroll_length(config, u) for u in (0, 9, 10, 20, 99)] == [1, 1, 2, 3, 3]


def test_a_perfect_emulator_has_no_loss(tmp_path):
    class Exact(nn.Module):
        def forward(self, x):
            spectrum = torch.fft.rfft(x)
            turned = spectrum * torch.exp(-0.3j * torch.arange(spectrum.shape[-1]))
            return torch.fft.irfft(turned, n=x.shape[-1])

    data = Trajectories(travelling_waves(), UNIT)
    config = EmulatorConfig(network=NETWORK, unroll=UnrollConfig(start=4, maximum=4), training=TRAINING)
    objective = EmulatorObjective(config, data, data, 0)
    assert float(objective.loss(Exact(), objective.batch(0, torch.Generator(), slice(None)))) < 1e-12


def model_folder(path, kind="emulator"):
    config = EmulatorConfig(network=NETWORK, training=TRAINING)
    model = ResidualEmulator(config, 1, 1, UNIT)
    card = {
        "kind": kind,
        "system": {"kind": "ks", "points": 16},
        "dims": 1,
        "channels": 1,
        "normalization": {"mean": [0.0], "std": [1.0]},
        "config": config.model_dump(mode="json"),
    }
    save_model(path, model.state_dict(), model.state_dict(), card, [{"update": 1, "train_loss": 0.5}])
    return model


def test_model_folder_round_trip(tmp_path):
    model = model_folder(tmp_path)
    card = read_card(tmp_path, "emulator", {"kind": "ks", "points": 16})
    other = ResidualEmulator(EmulatorConfig(network=NETWORK, training=TRAINING), 1, 1, Normalization((5.0,), (2.0,)))
    load_weights(tmp_path, other, card)
    assert same_weights(model.state_dict(), other.state_dict())


def test_a_folder_is_complete_only_when_nothing_is_missing_or_changed(tmp_path):
    model = model_folder(tmp_path)
    weights = model.state_dict()
    save_model(tmp_path, weights, weights, {"kind": "emulator", "fingerprint": "f"}, [{"update": 1}])
    assert is_complete(tmp_path, "f")
    assert not is_complete(tmp_path, "g")
    assert not is_complete(tmp_path / "nowhere", "f")
    (tmp_path / "history.csv").unlink()
    assert not is_complete(tmp_path, "f")
    save_model(tmp_path, weights, weights, {"kind": "emulator", "fingerprint": "f"}, [{"update": 1}])
    (tmp_path / "model.safetensors").write_bytes(b"other")
    assert not is_complete(tmp_path, "f")


def test_foreign_and_damaged_model_folders_are_refused_by_name(tmp_path):
    model = model_folder(tmp_path)
    with pytest.raises(UserError, match="trained on another system"):
        read_card(tmp_path, "emulator", {"kind": "ks", "points": 32})
    with pytest.raises(UserError, match="kind 'emulator', but a 'diffusion'"):
        read_card(tmp_path, "diffusion")
    with pytest.raises(UserError, match="not a model folder"):
        read_card(tmp_path / "nowhere", "emulator")
    card, weights = read_card(tmp_path, "emulator"), tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(UserError, match="damaged"):
        load_weights(tmp_path, model, card)
    for name in ("history.csv", "model.json", "SHA256SUMS"):
        (tmp_path / name).write_text("{")
        with pytest.raises(UserError, match=rf"{name} (was changed or damaged|is damaged)"):
            read_history(tmp_path) if name == "history.csv" else read_card(tmp_path, "emulator")
    seal_folder(tmp_path, ["model.json"])
    with pytest.raises(UserError, match="not readable as JSON"):
        read_card(tmp_path, "emulator")


def test_automatic_thresholds():
    schedule = build(DiffusionConfig(training=TRAINING).schedule)
    counts = [900, 90, 9, 1, 0, 0]
    assert [auto_start({"clean_level_counts": counts}, rate) for rate in (0.2, 0.05, 0.001, 1e-6)] == [0, 1, 2, 3]
    assert auto_stop({"clean_noise_rms": 0.3}, schedule, 10) == 6  # 0.3 √u_6 = 0.0059 < √u_0 = 0.0064 < 0.3 √u_7
    assert auto_stop({"clean_noise_rms": 5.0}, schedule, 10) == CLEAN
