"""Members are trajectories of their own, and frames are states: copies, continuations, months and means are neither."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from import_data import DIMS, STEP, experiment, ocean, section, splits, waves, write

from thermalize.config import ImportConfig
from thermalize.runtime.errors import UserError
from thermalize.store.manifest import open_store
from thermalize.truth.imported.archive import survey
from thermalize.truth.imported.source import imported
from thermalize.truth.simulate import simulate

PARTS = splits((1, 10), (1, 10), (1, 5))


def accepted(folder: Path, source: Any, **changes: Any) -> None:
    """Of the experiment nothing matters but its networks."""
    options = {"files": "member", "split": "member", "gap": None, "splits": PARTS, **changes}
    imported(experiment("another.nc"), ImportConfig.model_validate(section(source, **options)), "train", folder)


def refused(folder: Path, source: Any, **changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        accepted(folder, source, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def runs(folder: Path, frames: int = 30) -> list[Path]:
    """Three trajectories of their own, from one time on."""
    values = [waves(frames, seed=seed) for seed in range(3)]
    return [write(ocean(each), folder / "data" / f"run{number}.nc") for number, each in enumerate(values)]


def test_trajectories_of_their_own_are_members(tmp_path: Path) -> None:
    runs(tmp_path)
    accepted(tmp_path, str(tmp_path / "data" / "*.nc"))


def test_parts_of_one_run_are_no_members(tmp_path: Path) -> None:
    """run0_0, run0_1, run1_0: the valid member would be the continuation of the train member."""
    whole, other = waves(60), waves(30, seed=1)
    a = write(ocean(whole[:30]), tmp_path / "run0_0.nc")
    b = write(ocean(whole[30:], first=30), tmp_path / "run0_1.nc")
    write(ocean(other), tmp_path / "run1_0.nc")
    said = refused(tmp_path, str(tmp_path / "*.nc"), splits=splits((1, 30), (1, 30), (1, 30)))
    assert said == (
        f"{b} begins one frame interval after the end of {a}: it is its continuation and no member of its own; join "
        "the parts "
        "of each member to one trajectory, or leave out what follows at once"
    )
    joined = xr.concat([ocean(whole[:30]), ocean(whole[30:], first=30)], "ocean_time")
    for path in (a, b):
        path.unlink()
    write(joined, a)
    write(ocean(waves(30, seed=2)), tmp_path / "run2_0.nc")
    accepted(tmp_path, str(tmp_path / "*.nc"))


@pytest.mark.parametrize("first", [0, 100])
def test_a_continuation_is_known_by_its_values(tmp_path: Path, first: int) -> None:
    """Whatever its times say: here every part counts from zero, or from somewhere."""
    whole, dense = waves(400)[::1], waves(30, seed=1)
    parts = [whole[:20], whole[20:40], dense]
    paths = [write(ocean(part, first=number * first), tmp_path / f"{number}.nc") for number, part in enumerate(parts)]
    said = refused(tmp_path, str(tmp_path / "*.nc"), splits=splits((1, 20), (1, 20), (1, 20)))
    assert said.startswith(f"{paths[1]} goes on where the end leads of {paths[0]}: it is its continuation")


def test_a_part_that_begins_with_the_last_frame_is_a_continuation(tmp_path: Path) -> None:
    whole = waves(60)
    a = write(ocean(whole[:30]), tmp_path / "a.nc")
    b = write(ocean(whole[29:59]), tmp_path / "b.nc")
    write(ocean(waves(30, seed=1)), tmp_path / "c.nc")
    said = refused(tmp_path, str(tmp_path / "*.nc"), splits=splits((1, 30), (1, 30), (1, 30)))
    assert said.startswith(f"{b} begins with the last frame of {a}: it is its continuation")


def test_files_that_overlap_in_time_are_compared(tmp_path: Path) -> None:
    whole = waves(60)
    a, b = write(ocean(whole[:40]), tmp_path / "a.nc"), write(ocean(whole[12:52], first=12), tmp_path / "b.nc")
    write(ocean(waves(40, seed=1)), tmp_path / "c.nc")
    said = refused(tmp_path, str(tmp_path / "*.nc"), splits=splits((1, 40), (1, 40), (1, 40)))
    assert said.startswith(f"{b} overlaps {a}: it begins with a frame of it")
    write(ocean(waves(40, seed=2), first=12), b)
    accepted(tmp_path, str(tmp_path / "*.nc"), splits=splits((1, 40), (1, 40), (1, 40)))


def shifted(folder: Path, shift: int, frames: int = 60, timed: bool = True) -> tuple[Path, Path]:
    """Two files of one trajectory, the second without its first frames, and two of others."""
    whole = waves(60 + shift)
    for number in (1, 2):
        write(ocean(waves(60, seed=number)), folder / f"{number}.nc")
    part = ocean(whole[shift : shift + frames], first=shift if timed else 0)
    return write(ocean(whole[:60]), folder / "0.nc"), write(part, folder / "3.nc")


SKIPPING = {"every": 2, "frame_interval": 1.0, "splits": splits((1, 20), (1, 20), (2, 20))}


@pytest.mark.parametrize("spin_up", [0.0, 2.0])
@pytest.mark.parametrize("shift", [1, 2, 5, 37])
def test_files_that_overlap_at_a_skipped_frame_are_compared(tmp_path: Path, shift: int, spin_up: float) -> None:
    """Half a frame interval later is the same trajectory."""
    a, b = shifted(tmp_path, shift)
    said = refused(tmp_path, str(tmp_path / "*.nc"), spin_up=spin_up, **SKIPPING)
    assert said.startswith((f"{b} overlaps {a}: it begins with a frame of it", f"{b} begins with one of the last"))
    write(ocean(waves(60, seed=3), first=shift), b)
    accepted(tmp_path, str(tmp_path / "*.nc"), spin_up=spin_up, **SKIPPING)


def test_an_overlap_is_found_by_the_times_in_the_files(tmp_path: Path) -> None:
    """A stated interval may be off by a little, which adds up to whole frames."""
    whole, step = waves(9100, points=4, levels=1), STEP * (1 + 9e-5)
    for number, first in enumerate((0, 9001)):
        write(ocean(whole[first : first + 9050], first, step), tmp_path / f"{number}.nc")
    write(ocean(waves(40, points=4, levels=1, seed=1)), tmp_path / "2.nc")
    said = refused(tmp_path, str(tmp_path / "*.nc"), splits=splits((1, 9040), (1, 40), (1, 40)), points=None)
    assert said.startswith(f"{tmp_path / '1.nc'} overlaps {tmp_path / '0.nc'}: it begins with a frame of it")


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("shift", [36, 37, 38])
def test_a_continuation_at_a_skipped_frame_is_one(tmp_path: Path, shift: int, timed: bool) -> None:
    """Whatever the times say, and whether the first file goes on behind what is used of it or not."""
    a, b = shifted(tmp_path, shift, timed=timed)
    for whole in (True, False):
        if not whole:
            write(ocean(waves(60 + shift)[: max(37, shift)]), a)
        said = refused(tmp_path, str(tmp_path / "*.nc"), **SKIPPING | {"splits": splits((1, 19), (1, 19), (2, 19))})
        assert said.startswith(f"{b} ")
        assert f" {a}: it is its continuation" in said


def test_a_run_that_begins_after_another_is_its_own_where_frames_say_so(tmp_path: Path) -> None:
    """Frames of the first file at that time tell that it is another trajectory."""
    for number in range(4):
        write(ocean(waves(60, seed=number), first=39 if number == 3 else 0), tmp_path / f"{number}.nc")
    accepted(tmp_path, str(tmp_path / "*.nc"), **SKIPPING)


def test_a_skipped_frame_need_not_be_whole(tmp_path: Path) -> None:
    """It is looked at for its likeness alone."""
    for number in range(4):
        values = waves(60, seed=number)
        values[1::2] = np.nan
        write(ocean(values, first=number), tmp_path / f"{number}.nc")
    accepted(tmp_path, str(tmp_path / "*.nc"), **SKIPPING)


@pytest.mark.parametrize("shift", [1, 3])
def test_members_along_a_dimension_may_not_overlap(tmp_path: Path, shift: int) -> None:
    whole = waves(60)
    values = [whole[:30], waves(30, seed=1), whole[shift : shift + 30]]
    path = write(xr.concat([ocean(each) for each in values], "run"), tmp_path / "a.nc")
    said = refused(tmp_path, path, files="time", dims={**DIMS, "member": "run"})
    assert said == (f"{path}: run 2 overlaps {path}: run 0: it begins with a frame of it; leave one of them out")


@pytest.mark.parametrize("again", [shutil.copy, os.link, os.symlink], ids=["copy", "hard link", "link"])
def test_one_file_is_one_member_whatever_it_is_called(tmp_path: Path, again: Any) -> None:
    a, b, _ = runs(tmp_path)
    b.unlink()
    again(a, b)
    said = refused(tmp_path, str(tmp_path / "data" / "*.nc"))
    assert said == (
        f"{b} begins with the same frame as {a}: members must be independent; leave one of them out, or what they "
        "have in "
        "common with spin_up"
    )


def test_members_along_a_dimension_are_compared(tmp_path: Path) -> None:
    values = [waves(30, seed=seed) for seed in (0, 1, 0)]
    path = write(xr.concat([ocean(each) for each in values], "run"), tmp_path / "a.nc")
    changes = {"files": "time", "dims": {**DIMS, "member": "run"}}
    assert refused(tmp_path, path, **changes).startswith(f"{path}: run 2 begins with the same frame as {path}: run 0")
    whole = waves(60)
    values = [whole[:30], waves(30, seed=1), whole[30:]]
    path = write(xr.concat([ocean(each) for each in values], "run"), tmp_path / "b.nc")
    whole_members = splits((1, 30), (1, 30), (1, 30))
    said = refused(tmp_path, path, splits=whole_members, **changes)
    assert said.startswith(f"{path}: run 2 goes on where the end leads of {path}: run 0: it is its continuation")


def test_a_common_past_is_left_out_with_spin_up(tmp_path: Path) -> None:
    """Members that begin at one state and then part are independent after a while, as the sentence says."""
    past = waves(10)
    paths = []
    for number in range(3):
        values = np.concatenate([past, waves(30, seed=number + 1)])
        paths.append(write(ocean(values), tmp_path / f"{number}.nc"))
    assert "what they have in common with spin_up" in refused(tmp_path, str(tmp_path / "*.nc"))
    accepted(tmp_path, str(tmp_path / "*.nc"), spin_up=5.0)


def test_members_that_change_fast_are_not_compared_in_vain(tmp_path: Path) -> None:
    """Frames without memory of each other tell no continuation from chance."""
    rng = np.random.default_rng(0)
    for number in range(8):
        write(ocean(rng.standard_normal((30, 2, 8, 8))), tmp_path / f"{number}.nc")
    accepted(tmp_path, str(tmp_path / "*.nc"), splits=splits((6, 30), (1, 30), (1, 30)))


def test_bad_frames_are_found_before_anything_is_copied(tmp_path: Path) -> None:
    """The first and the last frame of every file that a split has frames of."""
    for number, start in enumerate((0, 20, 40)):
        values = waves()[start : start + 20].copy()
        values[0, 0, 1, 1] = np.nan if number == 1 else values[0, 0, 1, 1]
        write(ocean(values, first=start), tmp_path / f"{number}.nc")
    changes = {"files": "time", "split": "time", "gap": 1.0, "splits": splits((1, 30), (1, 5), (1, 5))}
    said = refused(tmp_path, str(tmp_path / "*.nc"), **changes)
    assert said.startswith(f"{tmp_path / '1.nc'}: q is NaN at .isel(ocean_time=0, zl=0, yh=1, xh=1)")


DAYS = {
    "first of months": [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334],
    "middle of months": [15.5, 45, 74.5, 105, 135.5, 166, 196.5, 227.5, 258, 288.5, 319, 349.5],
    "quarters": [0, 90, 181, 273, 365, 455, 546, 638, 730, 820, 911, 1003],
    "years": [0, 365, 730, 1095, 1461, 1826, 2191, 2556, 2922, 3287, 3652, 4017],
}


def dated(days: Any, calendar: str = "standard", units: str = "days since 2001-01-01", methods: str = "") -> xr.Dataset:
    data = ocean(waves(12)).assign_coords(ocean_time=("ocean_time", days, {"units": units, "calendar": calendar}))
    if methods:
        data["q"].attrs["cell_methods"] = methods
    return data


def complaint(data: xr.Dataset, folder: Path, interval: float, units: str = "days") -> str:
    path = write(data, folder / "a.nc")
    with pytest.raises(UserError) as caught:
        survey(ImportConfig.model_validate(section(path, frame_interval=interval, time_units=units, gap=interval)))
    return str(caught.value)


@pytest.mark.parametrize("days", DAYS.values(), ids=DAYS.keys())
def test_months_are_no_time_step_whatever_interval_is_stated(tmp_path: Path, days: list[float]) -> None:
    mean = (days[-1] - days[0]) / 11
    for interval in (mean, 30.0, float(f"{mean:.6g}")):
        said = complaint(dated(days), tmp_path, interval)
        assert "frames follow the calendar" in said
        assert "means over months are no states of the system" in said
        assert "write " not in said


def test_months_of_equal_length_are_months(tmp_path: Path) -> None:
    assert "frames follow the calendar" in complaint(dated(30.0 * np.arange(12), "360_day"), tmp_path, 30.0)
    means = dated(365.0 * np.arange(12), "noleap", methods="area: mean time: mean (interval: 1 day)")
    assert "frames follow the calendar" in complaint(means, tmp_path, 365.0)


@pytest.mark.parametrize(
    ("in_file", "stated"),
    [("months since 2001-01-01", "days"), ("months", "days"), ("months", "months"), ("", "months")],
)
def test_months_are_no_unit(tmp_path: Path, in_file: str, stated: str) -> None:
    """Stating the unit of the file, as is advised for others, does not let them in."""
    said = complaint(dated(1.0 * np.arange(12), units=in_file), tmp_path, 1.0, stated)
    assert "means over months are no states of the system, and months have no fixed length" in said
    assert "state 'months'" not in said


@pytest.mark.parametrize(
    ("days", "calendar", "methods"),
    [
        (5.0 * np.arange(12), "standard", "time: mean"),
        (30.0 * np.arange(12), "standard", "time: point"),
        (30.0 * np.arange(12), "noleap", ""),
        (np.float32(30.0 * np.arange(12) + 700000.0), "noleap", ""),
        (365.0 * np.arange(12), "noleap", "area: mean"),
        (35.0 * np.arange(12), "360_day", ""),
    ],
)
def test_equal_steps_of_many_days_are_read(tmp_path: Path, days: Any, calendar: str, methods: str) -> None:
    path = write(dated(days, calendar, methods=methods), tmp_path / "a.nc")
    interval = float(days[1] - days[0])
    assert survey(ImportConfig.model_validate(section(path, frame_interval=interval, gap=interval))).lengths == [12]


def test_what_a_frame_is_the_mean_of_is_kept(tmp_path: Path) -> None:
    data = ocean()
    data["q"].attrs["cell_methods"] = "ocean_time: mean"
    config = experiment(write(data, tmp_path / "a.nc"))
    manifest = tmp_path / "simulation" / "valid.manifest.json"
    simulate(config, "valid", manifest, workers=1)
    assert open_store(manifest).attrs["source_cell_methods"] == "ocean_time: mean"
