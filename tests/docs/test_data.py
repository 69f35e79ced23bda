"""What docs/data.md shows works, and what it says of names and attributes is so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from store_data import experiment, settings

from thermalize.store.manifest import open_store, verify
from thermalize.truth.simulate import simulate

PAGE = Path(__file__).parents[2] / "docs" / "data.md"


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The store that the page speaks of, in the current folder."""
    monkeypatch.chdir(tmp_path)
    path = Path("results/ks/simulation/train.manifest.json")
    simulate(experiment(), "train", path, workers=1)
    Path("config.yaml").write_text(json.dumps(settings(dask={"workers": 1})))
    return path


def test_the_examples_run(manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 3
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks:
        exec(block, names)
    assert capsys.readouterr().out == "u_t = -1/2 (u^2)_x - u_xx - u_xxxx time units\n"
    verify(Path("results/ks/simulation/test.manifest.json"))


def test_every_attribute_is_explained(manifest: Path) -> None:
    words = set(re.findall(r"`(\w+)`", PAGE.read_text(encoding="utf-8")))
    dataset = open_store(manifest)
    plain = {name for name in dataset.attrs if not name.startswith("system_") and name != "title"}
    assert plain <= words
    assert {*map(str, dataset.variables)} <= words
    assert all("units" in dataset[name].attrs for name in dataset.variables if name != "channel")


def test_every_file_that_appears_is_named(manifest: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    for path in manifest.parent.iterdir():
        assert path.name in text or path.suffix == ".lock"
