"""A file is used only with its digest beside it, and `sha256sum` agrees."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from thermalize.runtime.errors import UserError
from thermalize.store import sealed
from thermalize.store.netcdf import read_dataset, write_dataset


def table() -> xr.Dataset:
    values = np.random.default_rng(0).standard_normal((3, 5))
    names = np.array(["a", "bcd", "ü"])
    return xr.Dataset({"energy": (("name", "k"), values, {"units": "1"})}, {"name": names}, {"note": "μ", "n": [1, 2]})


@pytest.mark.skipif(
    shutil.which("sha256sum") is None,
    reason="this machine has no sha256sum (GNU coreutils), which users may check with",
)
def test_sha256sum_checks_files_and_folders(tmp_path: Path) -> None:
    sealed.write(tmp_path / "a.json", b"{}")
    (tmp_path / "b").write_bytes(b"1")
    sealed.seal_folder(tmp_path, ["a.json", "b"])
    for name in ("a.json.sha256", "SHA256SUMS"):
        done = subprocess.run(["sha256sum", "-c", "--strict", name], cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
    assert sealed.read(tmp_path / "a.json") == b"{}"
    assert sealed.read_member(tmp_path, "b") == b"1"


@pytest.mark.parametrize("moment", range(2))
def test_whatever_moment_a_writer_is_killed_at_the_file_is_not_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """Between the file and its digest; before both, the old file stays whole."""
    path, replaced = tmp_path / "a.csv", []
    sealed.write(path, b"old")
    replace = Path.replace

    def dying(self: Path, target: Path) -> Path:
        if len(replaced) == moment:
            raise KeyboardInterrupt
        replaced.append(target)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", dying)
    with pytest.raises(KeyboardInterrupt):
        sealed.write(path, b"new")
    monkeypatch.undo()
    if moment == 0:
        assert sealed.read(path) == b"old"
        return
    with pytest.raises(UserError, match=r"a\.csv was changed or damaged"):
        sealed.read(path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "a.nc.sha256 does not exist"),
        (b"", "a.nc.sha256 is damaged"),
        (b"\xff\xfe", "a.nc.sha256 is damaged"),
        (b"0" * 64 + b"  a.nc\n", "a.nc was changed"),
        (b"0" * 64 + b"  ../a.nc\n", "a.nc.sha256 is damaged"),
        (b"0" * 64 + b"  other.nc\n", "a.nc was changed"),
    ],
)
def test_a_digest_that_is_none_is_refused(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    path, beside = tmp_path / "a.nc", tmp_path / "a.nc.sha256"
    sealed.write(path, b"1")
    beside.unlink() if content is None else beside.write_bytes(content)
    with pytest.raises(UserError) as caught:
        sealed.read(path)
    assert sentence in str(caught.value)
    if content is None:
        assert sealed.read(path, required=False) == b"1"


def test_pipes_and_folders_are_no_files(tmp_path: Path) -> None:
    """Reading a pipe would wait for ever."""
    os.mkfifo(tmp_path / "a")
    (tmp_path / "b").mkdir()
    for name in ("a", "b"):
        with pytest.raises(UserError, match=f"{name} is not a file"):
            sealed.read(tmp_path / name)


def test_a_dataset_survives_bit_for_bit_and_any_netcdf_library_reads_it(tmp_path: Path) -> None:
    first, second = tmp_path / "deep" / "a.nc", tmp_path / "b.nc"
    write_dataset(first, table())
    other = [np.full(2**17, 7.0) for _ in range(4)]  # memory that is not zero where it is taken up again
    del other
    write_dataset(second, table())
    assert first.read_bytes() == second.read_bytes()
    xr.testing.assert_identical(read_dataset(first), table())
    xr.testing.assert_identical(xr.load_dataset(first, engine="netcdf4"), table())
