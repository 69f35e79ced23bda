"""Moments merged from pieces are those of the whole."""

from __future__ import annotations

import json
from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thermalize.truth.moments import Moments


@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(1, 5), min_size=1, max_size=6),
    st.sampled_from([(2,), (2, 5), (1, 4, 3)]),
    st.sampled_from([0.0, 1e3, -1e6]),
)
def test_any_partition_gives_the_moments_of_the_whole(
    seed: int, sizes: list[int], rest: tuple[int, ...], offset: float
) -> None:
    parts = [np.random.default_rng([seed, i]).standard_normal((n, *rest)) + offset for i, n in enumerate(sizes)]
    whole = np.concatenate(parts)
    statistics = reduce(Moments.merge, map(Moments.of, parts), Moments()).statistics()
    axes = (0, *range(2, whole.ndim))
    np.testing.assert_allclose(statistics["mean"], whole.mean(axes), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(statistics["std"], whole.std(axes), rtol=1e-9, atol=1e-12)


def test_single_precision_is_summed_in_double() -> None:
    values = np.full((100_000, 1), 0.1, np.float32)
    statistics = Moments.of(values).statistics()
    assert statistics["mean"] == pytest.approx([float(np.float32(0.1))], rel=1e-14)
    assert statistics["std"] == pytest.approx([0.0], abs=1e-14)


def test_json_keeps_every_bit() -> None:
    moments = Moments.of(np.random.default_rng(0).standard_normal((7, 2, 3)))
    back = Moments.from_json(json.loads(json.dumps(moments.to_json())))
    assert back.statistics() == moments.statistics()
    assert back.merge(moments).statistics() == moments.merge(moments).statistics()
