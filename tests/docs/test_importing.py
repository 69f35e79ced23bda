"""What docs/importing.md shows works as it stands there: its preparation, its configuration, its commands."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from import_data import ocean, waves, write
from workflow_run import ROOT, snakemake, thermalize

from thermalize.config.load import load_experiment
from thermalize.store.manifest import open_store, verify
from thermalize.store.results import Results
from thermalize.truth.imported.source import CACHE
from thermalize.truth.simulate import simulate

PAGE = (ROOT / "docs" / "importing.md").read_text(encoding="utf-8")
FILES, FRAMES, POINTS = 3, 220, 32


def blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return [text for found, text in fenced if found == language]


def commands(program: str) -> list[list[str]]:
    return [line.split() for block in blocks("") for line in block.splitlines() if line.startswith(f"{program} ")]


def model_output(folder: Path) -> np.ndarray:
    """The files that the page begins with; returns their fields."""
    values = 1e-5 * waves(FILES * FRAMES, POINTS)
    for number in range(FILES):
        part = slice(number * FRAMES, (number + 1) * FRAMES)
        write(ocean(values[part], first=part.start, spacing=5e5 / POINTS), folder / "model" / f"ocean_{number + 1}.nc")
    return values


class Prepared(NamedTuple):
    """A folder as the page leaves it before the commands, the fields in the model's files, and what was printed."""

    folder: Path
    values: np.ndarray
    printed: str


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder, printed, names = tmp_path_factory.mktemp("ocean"), io.StringIO(), dict[str, object]()
    values = model_output(folder)
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        for block in blocks("python"):
            exec(block, names)
    (text,) = blocks("yaml")
    (folder / "ocean.yaml").write_text(text, encoding="utf-8")
    return Prepared(folder, values, printed.getvalue())


def test_the_example_is_imported_as_the_page_says(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(prepared.folder)
    assert prepared.printed.count("correlation after") == 4
    experiment, paths = load_experiment("ocean.yaml"), Results("ocean")
    cells = prepared.values.reshape(FILES * FRAMES, 2, POINTS // 2, 2, POINTS // 2, 2)
    coarse = cells.mean((3, 5)).astype(np.float32)
    for split, starts in {"train": [0], "valid": [340], "test": [440, 480, 520, 560]}.items():
        simulate(experiment, split, paths.simulation(split), workers=1)
        dataset = open_store(paths.simulation(split))
        frames = dataset.sizes["time"]
        truth = np.stack([coarse[start : start + frames] for start in starts])
        np.testing.assert_allclose(dataset["q"], truth, rtol=1e-5, atol=1e-12)
        assert dataset["q"].attrs == {"long_name": "potential vorticity", "units": "s-1"}
        assert dataset["x"].attrs["units"] == "m"
    assert dataset.attrs["source_files"] == ["ocean_3.nc"]


def test_every_attribute_and_every_key_is_explained(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(prepared.folder)
    manifest = Results("ocean").simulation("valid")
    simulate(load_experiment("ocean.yaml"), "valid", manifest, workers=1)
    words = set(re.findall(r"`([\w.]+)", PAGE))
    assert set(open_store(manifest).attrs) - {"title"} <= words
    assert CACHE in PAGE
    stated = set(re.findall(r"^  (\w+):", blocks("yaml")[0].split("emulators:")[0], re.MULTILINE))
    optional = {"files", "channels", "length_units", "every", "spin_up"}
    known = {"import", "dims", "variable", "long_name", "units", "frame_interval", "time_units", "periods", "points"}
    assert known | {"split", "gap", "splits", "shard_frames"} == stated
    assert optional <= words | set(re.findall(r"\w+", " ".join(re.findall(r"`[^`]*`", PAGE))))


def test_the_page_is_linked() -> None:
    assert "(importing.md)" in (ROOT / "docs" / "data.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_whole_chain_runs_on_imported_data(
    tmp_path: Path, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(prepared.folder / "data", tmp_path / "data")
    shutil.copy(prepared.folder / "ocean.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert len(commands("thermalize")) == 3
    for line in commands("thermalize"):
        done = thermalize(*line[1:])
        assert done.returncode == 0, done.stderr
    assert ["snakemake", "--cores", "all", "--configfile", "ocean.yaml"] in commands("snakemake")
    config = tmp_path / "ocean.yaml"
    snakemake(tmp_path, config=config)
    results = Results("ocean", tmp_path / "results")
    table = pd.read_csv(results.table("csv"))
    assert table["stabilizer"].tolist() == ["raw", "thermalized"]
    assert set(table["system"]) == {"import q 16x16"}
    assert np.isfinite(table["log_spectral_distance_floor"]).all()
    figures = {path.stem for path in (results.folder / "figures").glob("*.png")}
    assert {"overview", "spectra", "calibration"} <= figures
    rollout = xr.open_zarr(results.rollout("unet", "thermalized", 0).with_name("seed0.zarr"), decode_times=False)
    truth = open_store(results.simulation("test"))
    np.testing.assert_allclose(rollout["q"][:, 0], truth["q"][:2, 0], rtol=1e-4, atol=1e-10)
    assert rollout["q"].attrs["units"] == "s-1"
    verify(results.simulation("train"))
    again = snakemake(tmp_path, config=config)
    assert "Nothing to be done" in again.stdout + again.stderr
    changed_files_are_imported_again(tmp_path, config)


def changed_files_are_imported_again(folder: Path, config: Path) -> None:
    """Only the test block lies in the third file."""
    manifests = {split: Results("ocean", folder / "results").simulation(split) for split in ("train", "valid", "test")}
    before = {split: json.loads(manifest.read_text())["fingerprint"] for split, manifest in manifests.items()}
    path = folder / "data" / "ocean_3.nc"
    with xr.open_dataset(path, decode_times=False) as dataset:
        changed = dataset.load() * 1.01
    changed["q"].attrs = {"units": "s-1"}
    path.unlink()
    changed.to_netcdf(path)
    plan = snakemake(folder, "--dry-run", config=config).stdout
    assert re.search(r"^simulate +3$", plan, re.MULTILINE)
    targets = [str(manifest.relative_to(folder)) for manifest in manifests.values()]
    snakemake(folder, *targets, config=config)
    after = {split: json.loads(manifest.read_text())["fingerprint"] for split, manifest in manifests.items()}
    assert {split for split in before if before[split] != after[split]} == {"test"}


@pytest.mark.slow
def test_data_that_are_not_there_are_named_by_the_workflow(tmp_path: Path) -> None:
    (tmp_path / "ocean.yaml").write_text(blocks("yaml")[0], encoding="utf-8")
    done = snakemake(tmp_path, check=False, config=tmp_path / "ocean.yaml")
    assert done.returncode != 0
    assert "data/ocean_*.nc" in done.stdout + done.stderr
    assert not (tmp_path / "results" / "ocean" / "simulation").exists()
