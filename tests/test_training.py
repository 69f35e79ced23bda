"""The training loop: it learns, resumes bit-identically, and refuses what does not belong to it."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from thermalize.config import DiffusionConfig, EmulatorConfig, TrainingConfig, UNetConfig, UnrollConfig
from thermalize.diffusion.calibration import auto_start, auto_stop
from thermalize.diffusion.denoiser import Denoiser, DiffusionObjective
from thermalize.diffusion.schedule import CLEAN, build
from thermalize.emulators import EmulatorObjective, ResidualEmulator, unroll_length
from thermalize.errors import UserError
from thermalize.training.checkpoint import Checkpoints
from thermalize.training.data import EpochOrder, Normalization, Trajectories
from thermalize.training.folder import is_complete, load_weights, read_card, save_model
from thermalize.training.loop import Trainer, learning_rate

UNIT = Normalization((0.0,), (1.0,))
NETWORK = UNetConfig(width=4, multipliers=(1, 2))
TRAINING = TrainingConfig(updates=24, batch_size=8, validate_every=8, checkpoint_every=5, warmup=4)


def travelling_waves(members: int = 6, frames: int = 30, points: int = 16) -> np.ndarray:
    """u = sin(x − t + φ): the exact emulator is a shift."""
    x, t = np.arange(points) * 2 * np.pi / points, 0.3 * np.arange(frames)
    phase = np.linspace(0, 6, members)
    return np.sin(x - t[None, :, None, None] + phase[:, None, None, None]).astype(np.float32)


def emulator_trainer(tmp_path, training: TrainingConfig = TRAINING, fingerprint: str = "a") -> Trainer:
    config = EmulatorConfig(
        network=NETWORK, unroll=UnrollConfig(maximum=3, grow_every=8), noise=0.01, training=training
    )
    data = Trajectories(travelling_waves(), UNIT)
    torch.manual_seed(0)
    model = ResidualEmulator(config, 1, 1, UNIT)
    objective = EmulatorObjective(config, data, data, seed=1)
    return Trainer(
        model, objective, training, 1, Checkpoints(tmp_path / "p", fingerprint), contextlib.nullcontext(), "t"
    )


def diffusion_trainer(tmp_path, training: TrainingConfig = TRAINING) -> Trainer:
    config = DiffusionConfig(network=NETWORK, train_levels=400, training=training)
    data = Trajectories(travelling_waves(), UNIT)
    torch.manual_seed(0)
    objective = DiffusionObjective(config, build(config.schedule), data, data, seed=1)
    model = Denoiser(config, 1, 1)
    return Trainer(model, objective, training, 1, Checkpoints(tmp_path / "p", "d"), contextlib.nullcontext(), "t")


class Killed(Exception):
    pass


def kill_after(trainer: Trainer, update: int) -> None:
    step = trainer._step

    def stepping() -> None:
        if trainer.update == update:
            raise Killed
        step()

    trainer._step = stepping  # type: ignore[method-assign]


def same_weights(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize("make", [emulator_trainer, diffusion_trainer])
@pytest.mark.parametrize("killed_at", [3, 12, 23])
def test_a_killed_training_ends_with_the_same_bits(tmp_path, make, killed_at):
    straight, history = make(tmp_path / "straight").run()
    interrupted = make(tmp_path / "killed")
    kill_after(interrupted, killed_at)
    with pytest.raises(Killed):
        interrupted.run()
    resumed = make(tmp_path / "killed")
    model, again = resumed.run()
    assert same_weights(model, straight)
    assert again == history


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path):
    straight, _ = emulator_trainer(tmp_path / "straight").run()
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
    model, _ = resumed.run()
    assert same_weights(model, straight)


def test_checkpoints_of_another_training_are_refused(tmp_path):
    trainer = emulator_trainer(tmp_path)
    trainer.checkpoints.save(1, {"update": 1})
    with pytest.raises(UserError, match="another configuration, data or code; move or delete"):
        emulator_trainer(tmp_path, fingerprint="b")


def test_training_learns_and_reports(tmp_path):
    config = TRAINING.model_copy(update={"updates": 150, "validate_every": 50, "learning_rate": 5e-3})
    _, history = emulator_trainer(tmp_path, config).run()
    assert [row["update"] for row in history] == [50, 100, 150]
    assert history[-1]["valid_loss"] < 0.2 * history[0]["valid_loss"]
    assert history[-1]["unroll"] == 3
    _, history = diffusion_trainer(tmp_path / "d", config).run()
    assert history[-1]["valid_noise_mse"] < 0.6
    assert history[-1]["valid_loss"] < history[0]["valid_loss"]


def test_clipping_bounds_the_update(tmp_path):
    norms = []
    for clip in (1e-6, 1.0):
        trainer = emulator_trainer(tmp_path / str(clip), TRAINING.model_copy(update={"clip_norm": clip, "updates": 1}))
        trainer._step()
        gradients = [p.grad for p in trainer.model.parameters() if p.grad is not None]
        norms.append(float(torch.linalg.vector_norm(torch.stack([g.norm() for g in gradients]))))
    assert norms[0] == pytest.approx(1e-6, rel=1e-2)
    assert norms[1] > 1e-3


def test_a_loss_that_is_not_finite_stops_with_a_suggestion(tmp_path):
    trainer = emulator_trainer(tmp_path)
    with torch.no_grad():
        next(trainer.model.parameters()).fill_(torch.nan)
    with pytest.raises(UserError, match=r"became nan at update 0; try learning_rate: 0\.00033"):
        trainer.run()


def test_learning_rate_rises_linearly_and_falls_as_a_cosine():
    config = TrainingConfig(updates=110, warmup=10, learning_rate=1.0, final_learning_rate=0.1)
    assert [learning_rate(config, u) for u in (0, 4, 9, 10)] == pytest.approx([0.1, 0.5, 1.0, 1.0])
    assert learning_rate(config, 60) == pytest.approx(0.55)
    assert learning_rate(config, 110) == pytest.approx(0.1)


@given(count=st.integers(1, 40), batch=st.integers(1, 50), seed=st.integers(0, 5))
def test_an_epoch_visits_no_sample_twice_and_order_is_stateless(count, batch, seed):
    order = EpochOrder(count, batch, seed)
    updates = count // min(batch, count)
    epoch = np.concatenate([order.batch(u) for u in range(updates)])
    assert len(set(epoch.tolist())) == len(epoch) > count - min(batch, count)
    assert np.array_equal(EpochOrder(count, batch, seed).batch(updates - 1), order.batch(updates - 1))


def test_windows_are_consecutive_frames_of_one_member():
    values = (100 * np.arange(3)[:, None] + np.arange(5)).astype(np.float32)[:, :, None, None]
    data = Trajectories(values, Normalization((10.0,), (2.0,)))
    assert data.count(3) == 9
    windows = data.windows(np.array([0, 2, 3, 8]), 3)[:, :, 0, 0] * 2 + 10
    assert windows.tolist() == [[0, 1, 2], [2, 3, 4], [100, 101, 102], [202, 203, 204]]
    assert len(data.spread(4, 3)) == 4


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
    assert float(EmulatorObjective(config, data, data, 0).loss(Exact(), 0, torch.Generator())) < 1e-12


def model_folder(path, kind="emulator"):
    config = EmulatorConfig(network=NETWORK, training=TRAINING)
    model = ResidualEmulator(config, 1, 1, UNIT)
    save_model(path, model, {"kind": kind, "system": {"kind": "ks", "points": 16}}, [{"update": 1, "train_loss": 0.5}])
    return model


def test_model_folder_round_trip(tmp_path):
    model = model_folder(tmp_path)
    card = read_card(tmp_path, "emulator", {"kind": "ks", "points": 16})
    other = ResidualEmulator(EmulatorConfig(network=NETWORK, training=TRAINING), 1, 1, Normalization((5.0,), (2.0,)))
    load_weights(tmp_path, other, card)
    assert same_weights(model, other)
    assert card["parameters"] == sum(p.numel() for p in model.parameters())


def test_a_folder_is_complete_only_when_nothing_is_missing_or_changed(tmp_path):
    model = model_folder(tmp_path)
    save_model(tmp_path, model, {"kind": "emulator", "fingerprint": "f"}, [{"update": 1}])
    assert is_complete(tmp_path, "f")
    assert not is_complete(tmp_path, "g")
    assert not is_complete(tmp_path / "nowhere", "f")
    (tmp_path / "history.csv").unlink()
    assert not is_complete(tmp_path, "f")
    save_model(tmp_path, model, {"kind": "emulator", "fingerprint": "f"}, [{"update": 1}])
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
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(UserError, match="not readable as JSON"):
        read_card(tmp_path, "emulator")


def test_automatic_thresholds():
    schedule = build(DiffusionConfig(training=TRAINING).schedule)
    counts = [900, 90, 9, 1, 0, 0]
    assert [auto_start({"clean_level_counts": counts}, rate) for rate in (0.2, 0.05, 0.001, 1e-6)] == [0, 1, 2, 3]
    assert auto_stop({"clean_noise_rms": 0.3}, schedule, 10) == 6  # 0.3 √u_6 = 0.0059 < √u_0 = 0.0064 < 0.3 √u_7
    assert auto_stop({"clean_noise_rms": 5.0}, schedule, 10) == CLEAN
