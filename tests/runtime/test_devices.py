"""Where networks run: a demanded GPU must be there and granted; bfloat16 only where it is asked for or native."""

from __future__ import annotations

import contextlib

import pytest
import torch
from tiny_trainers import diffusion_trainer

from thermalize.runtime import devices
from thermalize.runtime.errors import UserError


@pytest.fixture
def fake_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)


def test_auto_takes_the_gpu_that_was_granted(fake_gpu):
    assert devices.resolve("auto").type == "cuda"
    assert devices.resolve("auto", gpus=1).type == "cuda"
    assert devices.resolve("auto", gpus=0).type == "cpu"
    assert devices.resolve("cpu", gpus=1).type == "cpu"
    assert devices.resolve("cuda", gpus=1).type == "cuda"


def test_a_demanded_gpu_must_be_granted(fake_gpu):
    with pytest.raises(UserError, match="granted none; raise its limit: --resources gpu=1"):
        devices.resolve("cuda", gpus=0)


@pytest.mark.parametrize("kind", ["auto", "cuda"])
def test_all_gpus_that_are_needed_must_be_granted_and_visible(fake_gpu, monkeypatch, kind):
    assert devices.resolve(kind, gpus=2, needed=2).type == "cuda"
    with pytest.raises(UserError, match="2 GPUs are needed, but the scheduler granted 1; raise its limit, --resources"):
        devices.resolve(kind, gpus=1, needed=2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(UserError, match=r"^3 GPUs are needed, but 2 can be used \(CUDA_VISIBLE_DEVICES=0,1\); lower"):
        devices.resolve(kind, gpus=3, needed=3)


def test_hidden_gpus_are_named_in_the_refusal(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(UserError, match=r"no usable CUDA GPU \(CUDA_VISIBLE_DEVICES=\); set device: auto or cpu"):
        devices.resolve("cuda", gpus=1)


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_a_demanded_gpu_must_be_there(monkeypatch, kind):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UserError, match=f"device: {kind} was asked for, but this machine has no usable"):
        devices.resolve(kind)


def test_bfloat16_is_automatic_on_capable_gpus_only(fake_gpu):
    enabled = {
        (precision, kind): devices.autocast(precision, torch.device(kind))._enabled
        for precision in ("auto", "float32", "bfloat16")
        for kind in ("cpu", "cuda")
    }
    assert {choice for choice, on in enabled.items() if on} == {
        ("auto", "cuda"),
        ("bfloat16", "cpu"),
        ("bfloat16", "cuda"),
    }


def test_training_in_bfloat16_stays_close_to_float32(tmp_path):
    losses = []
    for context in (contextlib.nullcontext(), devices.autocast("bfloat16", torch.device("cpu"))):
        trainer = diffusion_trainer(tmp_path / str(len(losses)))
        trainer.passes.autocast = context
        trainer.advance()
        losses.append(trainer.recent.losses[0])
        assert all(p.dtype == torch.float32 for p in trainer.model.parameters())
    assert losses[1] == pytest.approx(losses[0], rel=2e-2)
    assert losses[1] != losses[0]
