"""The page on networks: examples run as printed, tables hold what `describe` measures."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
import torch
import yaml
from pydantic import TypeAdapter

from thermalize.config import DiffusionConfig, NetworkConfig, TrainingConfig
from thermalize.diffusion.denoiser import Denoiser
from thermalize.models import NETWORKS, build, describe

PAGE = (Path(__file__).parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")
NETWORK: TypeAdapter[NetworkConfig] = TypeAdapter(NetworkConfig)
ROW = re.compile(r"^\| `(\{.*\})` \| ([\d,]+) \| ([\d.]+) ([MG]) \| (\d+) \| (\d+) \|$", flags=re.MULTILINE)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def tables() -> list[tuple[tuple[int, ...], re.Match[str]]]:
    line, plane = (PAGE.index(f"grid of {grid} points |") for grid in ("128", "64 × 64"))
    return [((128,) if line < row.start() < plane else (64, 64), row) for row in ROW.finditer(PAGE)]


@pytest.mark.parametrize(("grid", "row"), tables(), ids=lambda each: each[1] if isinstance(each, re.Match) else "")
def test_tables_hold_what_is_measured(grid: tuple[int, ...], row: re.Match[str]) -> None:
    config, parameters, operations, scale, sees, shift = row.groups()
    found = describe(build(NETWORK.validate_python(yaml.safe_load(config)), len(grid), 1, 1), 1, grid)
    assert f"{found['parameters']:,}" == parameters
    assert f"{found['flops'] / {'M': 1e6, 'G': 1e9}[scale]:#.3g}" == operations
    assert set(found["receptive_field"].values()) == {int(sees)}
    assert set(found["shift"].values()) == {int(shift)}


def test_reach_on_a_large_grid() -> None:
    stated = re.search(r"above see ([\d, and]+) points", PAGE)
    assert stated
    local = [row[1] for _, row in tables() if "kind: unet" in row[1] or "kind: drn" in row[1]]
    found = [
        describe(build(NETWORK.validate_python(yaml.safe_load(config)), 1, 1, 1), 1, (512,))["receptive_field"]["x"]
        for config in local
    ]
    assert found == [int(number) for number in re.findall(r"\d+", stated[1])]


def test_every_kind_is_in_the_first_table() -> None:
    assert re.findall(r"^\| \[`(\w+)`\]", PAGE, flags=re.MULTILINE) == list(NETWORKS)


def test_first_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(blocks("python")[0], "networks.md", "exec"), {})
    shape, measured = capsys.readouterr().out.splitlines()
    assert shape == "torch.Size([8, 1, 128])"
    assert ast.literal_eval(measured)["shift"] == {"x": 4}


def test_own_network_serves_both_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = blocks("python")[1]
    assert source.startswith("# mynets.py\n")
    (tmp_path / "mynets.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    config = NETWORK.validate_python(yaml.safe_load(blocks("yaml")[1])["network"])
    assert build(config, 2, 1, 3)(torch.zeros(2, 1, 8, 8)).shape == (2, 3, 8, 8)
    model = Denoiser(DiffusionConfig(network=config, training=TrainingConfig(updates=1)), 1, 1)
    assert model.level(torch.zeros(2, 1, 8)).shape == (2,)
    assert model.network.features == 32


def test_channel_of_the_page() -> None:
    config = NETWORK.validate_python(yaml.safe_load(blocks("yaml")[0])["network"])
    assert config.edges(2) == ("replicate", "periodic")
