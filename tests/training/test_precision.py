"""bfloat16 against float32 at the same budget, and memory layouts, on Kolmogorov flow."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from benchmarks.precision import VARIANTS, compare, turbulence

from thermalize.config import UNetConfig
from thermalize.config.load import load_experiment
from thermalize.models import build


@pytest.mark.slow
def test_held_out_errors_agree_within_five_percent():
    """With small networks: processors without bfloat16 of their own take ten times as long as for float32."""
    experiment = load_experiment(Path(__file__).parents[2] / "configs" / "kolmogorov-small.yaml")
    small = {"network": UNetConfig(width=8, multipliers=(1, 2))}
    groups = {
        group: {name: model.model_copy(update=small) for name, model in getattr(experiment, group).items()}
        for group in ("emulators", "diffusion")
    }
    experiment = experiment.model_copy(update=groups)
    variants = {name: VARIANTS[name] for name in ("float32", "bfloat16")}
    emulator, diffusion = compare(experiment, turbulence(10, 60, points=16), 80, variants)
    assert (emulator.model, diffusion.model) == ("emulator", "diffusion model")
    for found in (emulator, diffusion):
        assert found.error.keys() == found.seconds.keys() == variants.keys()
        assert found.error["bfloat16"] == pytest.approx(found.error["float32"], rel=0.05), found.model
        assert found.error["bfloat16"] != found.error["float32"], found.model


@pytest.mark.parametrize("dims", [1, 2])
def test_a_memory_layout_changes_no_result(dims):
    torch.manual_seed(0)
    network, x = build(UNetConfig(width=8), dims, 2, 2), torch.randn(3, 2, *(16,) * dims)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.1)
        expected = network(x)
        torch.testing.assert_close(network.to(memory_format=torch.channels_last)(x), expected, rtol=1e-4, atol=1e-5)
