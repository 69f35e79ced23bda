"""Damaged files and files of strangers: read as they are, or refused in one sentence that names the file."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from fuzz_files import DAMAGES, FORMATS, SHAPE, TRUTH, outcome

LONGEST = 10.0
MAY_CHANGE = {"flip", "attribute", "description", "dtype"}
"""Where numbers are not protected by a checksum, or are said to mean something else."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    for name, make in FORMATS.items():
        make(folder / name)
    return folder


@pytest.mark.parametrize("name", FORMATS)
def test_whole_files_are_read(whole: Path, name: str) -> None:
    np.testing.assert_array_equal(outcome(whole / name), TRUTH)


def judged(whole: Path, folder: Path, name: str, damage: str, seed: int) -> None:
    path = folder / name
    if path.exists():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (shutil.copytree if (whole / name).is_dir() else shutil.copy)(whole / name, path)
    DAMAGES[damage](path, np.random.default_rng(seed))
    before = time.monotonic()
    found = outcome(path)
    assert time.monotonic() - before < LONGEST
    if isinstance(found, str):
        assert name in found, found
        assert "\n" not in found, found
        return
    assert np.isfinite(found).all()
    if damage not in MAY_CHANGE or (damage == "flip" and name == "checked.nc"):
        np.testing.assert_array_equal(found, TRUTH)


@pytest.mark.parametrize("name", ["two.zarr", "three.zarr", "sharded.zarr"])
def test_a_damaged_coordinate_is_named(whole: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    shutil.copytree(whole / name, path)
    chunks = [each for each in (path / SHAPE[0]).rglob("*") if each.is_file() and each.name[0] not in ".z"]
    for each in chunks:
        each.write_bytes(each.read_bytes()[:-3])
    assert chunks
    assert f"{name}: {SHAPE[0]} cannot be read" in str(outcome(path))


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named_or_harmless(whole: Path, tmp_path: Path, damage: str) -> None:
    for name in FORMATS:
        judged(whole, tmp_path, name, damage, seed=len(name))


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FORMATS)
def test_much_damage_is_named_or_harmless(whole: Path, tmp_path: Path, name: str, damage: str) -> None:
    for seed in range(100, 130):
        judged(whole, tmp_path, name, damage, seed)
