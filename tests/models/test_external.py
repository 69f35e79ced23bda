"""Networks from outside: found, built, wrapped, and refused with one sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from networks import state
from torch import nn

from thermalize.config import DiffusionConfig, ImportedNetworkConfig, TrainingConfig
from thermalize.diffusion.denoiser import Denoiser
from thermalize.models import Network, build, describe, level_fault
from thermalize.runtime.errors import UserError

SOURCE = """
import torch
from torch import nn

class Small(nn.Module):
    def __init__(self, dims, inputs, outputs, depth=1):
        super().__init__()
        conv = {1: nn.Conv1d, 2: nn.Conv2d}[dims]
        self.layers = nn.Sequential(conv(inputs, 4, 1), *(conv(4, 4, 1) for _ in range(depth)), conv(4, outputs, 1))

    def forward(self, x):
        return self.layers(x)

class Split(Small):
    features = 4

    def encode(self, x):
        return [self.layers[:-1](x)]

    def decode(self, features):
        return self.layers[-1](features[-1])

    def forward(self, x):
        raise AssertionError("encode and decode are enough")

class Narrow(Small):
    def forward(self, x):
        return super().forward(x)[..., :-1]

class Pair(Small):
    def forward(self, x):
        return x, x

def text(**sizes):
    return "no module"

def fails(**sizes):
    raise ValueError("out of luck")

number = 3
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a module of one's own."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "nets.py").write_text(SOURCE)
    (tmp_path / "broken.py").write_text("import thermalize.nowhere")
    (tmp_path / "raises.py").write_text("1 / 0")
    for name in [each for each in sys.modules if each.split(".")[0] in ("own", "broken", "raises")]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


def config(name: str, **options: object) -> ImportedNetworkConfig:
    return ImportedNetworkConfig(kind="import", target=f"own.nets:{name}", options=options)


def made(name: str, dims: int = 1, **options: object) -> Network:
    return build(config(name, **options), dims, 2, 3)


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("name", ["Small", "Split"])
def test_network_of_the_working_directory(name: str, dims: int) -> None:
    net, x = made(name, dims, depth=3), state(2, 2, *(8,) * dims).float()
    assert len(net.network.layers) == 5
    assert torch.equal(net(x), net.network.layers(x))
    assert torch.equal(net.decode(net.encode(x)), net(x))
    assert describe(net, 2, (8,) * dims)["receptive_field"]["x"] == 1
    assert all(name.startswith("network.") for name in net.state_dict())


def test_checkpointing_serves_imported_networks() -> None:
    saving = build(config("Small").model_copy(update={"checkpointing": True}), 1, 2, 3).train()
    calls = []
    saving.network.register_forward_pre_hook(lambda *_: calls.append(1))
    saving(state(2, 2, 8).float()).square().sum().backward()
    assert len(calls) == 2
    assert all(each.grad is not None for each in saving.parameters())


def test_diffusion_model_needs_features() -> None:
    assert level_fault(made("Split")) is None
    training = TrainingConfig(updates=1)
    x = state(2, 2, 8).float()
    noise, logits = Denoiser(DiffusionConfig(network=config("Split"), training=training), 1, 2)(x)
    assert noise.shape == x.shape
    assert logits.shape == (2, 200)
    with pytest.raises(UserError, match=r"has no encode, decode and features.*use the network for an emulator"):
        Denoiser(DiffusionConfig(network=config("Small"), training=training), 1, 2)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("own.none:Small", r"no module 'own\.none' is installed or in "),
        ("elsewhere:Small", r"no module 'elsewhere' is installed"),
        ("broken:Small", r"no module 'thermalize\.nowhere' is installed"),
        ("raises:Small", r"importing raises raises ZeroDivisionError: division by zero"),
        ("own.nets:Big", r"own\.nets .*nets\.py\) has no function or class 'Big'"),
        ("own.nets:number", r"has no function or class 'number'"),
        ("own.nets:text", r"returns str; it must return a torch\.nn\.Module"),
        ("own.nets:fails", r"called with dims=1, inputs=2, outputs=3 it raises ValueError: out of luck"),
    ],
)
def test_refusals(target: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        build(ImportedNetworkConfig(kind="import", target=target), 1, 2, 3)
    assert "\n" not in str(caught.value)


def test_options_that_the_factory_does_not_take() -> None:
    with pytest.raises(UserError, match=r"with dims=1, inputs=2, outputs=3, width=8 it raises TypeError"):
        made("Small", width=8)


@pytest.mark.parametrize(("name", "found"), [("Narrow", r"shape \(2, 3, 7\)"), ("Pair", "tuple")])
def test_outputs_of_the_wrong_shape(name: str, found: str) -> None:
    with pytest.raises(UserError, match=rf"returns {found} where a tensor of \(2, 3, 8\) is needed"):
        made(name)(state(2, 2, 8).float())


def test_installed_packages_come_first(home: Path) -> None:
    (home / "json.py").write_text("def decoder(**sizes): raise AssertionError")
    from thermalize.runtime.targets import factory

    assert factory("json.decoder:JSONDecoder").__module__ == "json.decoder"
    assert isinstance(factory("torch.nn:Identity")(), nn.Identity)
