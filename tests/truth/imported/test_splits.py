"""Rows of imported splits: no frame belongs to two splits, and splits of one trajectory lie a gap apart."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from import_data import section, splits

from thermalize.config import ImportConfig
from thermalize.runtime.errors import UserError
from thermalize.truth.imported.splits import ORDER, Row, rows


def config(**changes: Any) -> ImportConfig:
    return ImportConfig.model_validate(section("a.nc", **changes))


def by_member(**changes: Any) -> ImportConfig:
    return config(split="member", gap=None, files="member", **changes)


SIZES = st.tuples(st.integers(1, 4), st.integers(2, 6))


@given(
    sizes=st.tuples(SIZES, SIZES, SIZES), length=st.integers(2, 40), members=st.integers(1, 4), gap=st.floats(0.01, 4)
)
def test_blocks_of_time_never_overlap_and_lie_a_gap_apart(
    sizes: tuple[tuple[int, int], ...], length: int, members: int, gap: float
) -> None:
    scaled = splits(*((members * windows, frames) for windows, frames in sizes))  # type: ignore[arg-type]
    chosen = config(splits=scaled, gap=gap)
    try:
        found = rows(chosen, [length] * members)
    except UserError:
        needed = sum(windows * frames for windows, frames in sizes) + 2 * np.ceil(gap / chosen.frame_interval - 1e-9)
        assert needed > length
        return
    for split in ORDER:
        assert len(found[split]) == chosen.splits[split].members
        assert all(row.frames == chosen.splits[split].frames for row in found[split])
        assert all(row.start >= 0 and row.start + row.frames <= length for row in found[split])
    assert_disjoint([row for split in ORDER for row in found[split]])
    for earlier, later in (("train", "valid"), ("valid", "test")):
        last = max(row.start + row.frames - 1 for row in found[earlier])
        first = min(row.start for row in found[later])
        assert (first - last - 1) * chosen.frame_interval >= gap - 1e-9


@given(sizes=st.tuples(SIZES, SIZES, SIZES), lengths=st.lists(st.integers(2, 9), min_size=3, max_size=12))
def test_members_belong_to_one_split(sizes: tuple[tuple[int, int], ...], lengths: list[int]) -> None:
    chosen = by_member(splits=splits(*sizes))
    try:
        found = rows(chosen, lengths)
    except UserError:
        wanted = [frames for members, frames in sizes for _ in range(members)]
        assert len(wanted) > len(lengths) or any(want > have for want, have in zip(wanted, lengths, strict=False))
        return
    members = [{row.member for row in found[split]} for split in ORDER]
    assert [len(each) for each in members] == [chosen.splits[split].members for split in ORDER]
    assert not any(one & other for one, other in combinations(members, 2))
    assert_disjoint([row for split in ORDER for row in found[split]])


def assert_disjoint(found: list[Row]) -> None:
    taken = [(row.member, frame) for row in found for frame in range(row.start, row.start + row.frames)]
    assert len(taken) == len(set(taken))


def test_windows_of_time_are_spread_over_the_members_of_the_files() -> None:
    found = rows(config(splits=splits((4, 10), (2, 5), (2, 5)), gap=1.0), [40, 40])
    assert found["train"] == (Row(0, 0, 10), Row(1, 0, 10), Row(0, 10, 10), Row(1, 10, 10))
    assert found["valid"] == (Row(0, 22, 5), Row(1, 22, 5))
    assert found["test"] == (Row(0, 29, 5), Row(1, 29, 5))


TOO_LITTLE = [
    (
        by_member(splits=splits((3, 5), (1, 5), (2, 5))), [5] * 5,
        "simulation.splits needs 3 + 1 + 2 = 6 members, but the files hold 5; lower members",
    ),
    (
        by_member(splits=splits((1, 5), (1, 6), (1, 5)), spin_up=2.0, every=2, frame_interval=1.0), [5, 5, 5],
        "simulation.splits.valid.frames = 6, but member 1 of the files has 5 frames after spin_up = 2 and every = 2; "
        "lower frames",
    ),
    (
        config(splits=splits((2, 10), (1, 10), (1, 10))), [43],
        "simulation.splits needs 44 frames with two gaps of 2, but the files hold 43; lower members or frames",
    ),
    (
        config(splits=splits((2, 3), (1, 3), (2, 3))), [43, 43],
        "simulation.splits.valid.members = 1 is not divisible by the 2 members of the files, each of which is cut into "
        "as many windows; try members: 2",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("chosen", "lengths", "sentence"), TOO_LITTLE, ids=["members", "frames", "time", "windows"])
def test_too_little_is_said_in_one_sentence(chosen: ImportConfig, lengths: list[int], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        rows(chosen, lengths)
    assert str(caught.value) == sentence
