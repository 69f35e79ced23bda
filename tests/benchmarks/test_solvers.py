"""The benchmark of the solvers: its search, clock and tables are right; with the peers, every part runs."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import count, pairwise
from math import exp, inf
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks import timing
from benchmarks.cases import CASES, _refined, members, quick, system, with_points
from benchmarks.errors import distance, steps_within
from benchmarks.ours import OURS, precisely
from benchmarks.report import BEGIN, END, cheapest, page, tables

ROOT = Path(__file__).resolve().parents[2]


# The search for the largest step


def test_search_stops_at_the_first_step_within_the_tolerance():
    tried = []

    def error(steps: int) -> float:
        tried.append(steps)
        return inf if steps < 12 else (10 / steps) ** 4

    accuracy = steps_within(error, 8, 1e-3)
    assert tried == [8, 12, 17, 23, 33, 46, 65]  # 8 · √2^j, rounded up
    assert accuracy.steps(1e-3) == 65
    assert accuracy.steps(1e-1) == 23
    assert accuracy.steps(1e-9) is None


def test_search_gives_up_on_round_off():
    accuracy = steps_within(lambda steps: max((10 / steps) ** 4, 1e-4), 8, 1e-6)
    assert accuracy.steps(1e-6) is None
    assert len(accuracy.errors) == 10  # one more than it took to reach the floor


def test_distance_is_that_of_the_worst_layer_and_infinite_after_a_blow_up():
    reference = np.stack([np.full((4, 4), 2.0), np.full((4, 4), 1e-3)])
    off = reference * np.array([1.0, 1.01])[:, None, None]
    assert distance(off, reference) == pytest.approx(0.01)
    assert distance(np.full_like(reference, np.nan), reference) == inf


# The clock


def test_times_are_medians_per_unit_of_calls_that_take_turns(monkeypatch: pytest.MonkeyPatch):
    now, order = [0.0], []

    def work(name: str, costs: list[float]):
        numbers = count()

        def run() -> None:
            order.append(name)
            now[0] += costs[next(numbers)]

        return run

    monkeypatch.setattr(timing.time, "process_time", lambda: now[0])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: 2 * now[0])
    found = timing.interleaved({"a": (work("a", [99, 3, 30, 6]), 3), "b": (work("b", [99, 4, 4, 4]), 1)}, rounds=3)
    assert order == ["a", "b"] * 4
    assert found == {"a": timing.Cost(2.0, 4.0), "b": timing.Cost(4.0, 8.0)}


# Cases and the reference


def test_finer_grids_hold_the_same_field():
    x = np.arange(16) * 2 * np.pi / 16
    fine = np.arange(32) * 2 * np.pi / 32
    field = np.cos(3 * x)[None, :, None] * np.sin(5 * x)[None, None, :]
    expected = np.cos(3 * fine)[None, :, None] * np.sin(5 * fine)[None, None, :]
    np.testing.assert_allclose(_refined(field, 32), expected, atol=1e-14)


def test_members_are_shifted_copies_that_differ():
    field = np.random.default_rng(0).standard_normal((1, 16, 16))
    copies = members(field, 8)
    assert copies.shape == (8, 1, 16, 16)
    np.testing.assert_array_equal(copies[3], np.roll(field, 6, axis=-1))
    assert len({copy.tobytes() for copy in copies}) == 8


def test_reference_solves_the_logistic_equation():
    one = torch.ones(1, dtype=torch.complex128)
    u = precisely(one, lambda u: -(u**2), 0.1 * one, 2.0, 64)
    assert u[0].real == pytest.approx(0.1 * exp(2) / (1 + 0.1 * (exp(2) - 1)), rel=1e-9)


def test_the_filter_acts_only_where_it_is_asked_for():
    without, published = system(CASES["qg-64"]).filter, system(CASES["qg-64"], filtered=True).filter
    assert bool((without == 1).all())
    assert float(published.real.min()) < 0.5


@pytest.mark.parametrize("solver", OURS, ids=lambda solver: solver.scheme)
def test_our_errors_fall_at_the_order_of_the_scheme(solver):
    case = with_points(CASES["kolmogorov-64"], 16)
    x = np.arange(16) * 2 * np.pi / 16
    field = 2 * np.cos(x) * np.cos(2 * x)[:, None] + np.sin(3 * x + x[:, None])
    reference = solver.reference(case, field[None], 256)
    errors = []
    for steps in (32, 64):
        run = solver.start(case, field[None, None], case.window / steps, "float64")
        run.advance(steps)
        errors.append(distance(run.fields()[0], reference))
    slope = np.log2(errors[0] / errors[1])
    order = {"etdrk4": 4, "etdab3": 3, "etdab4": 4}[solver.scheme]
    assert order - 0.5 < slope < order + 0.7


def test_every_case_starts_from_one_that_is_coarser():
    for case in CASES.values():
        if case.before is not None:
            assert CASES[case.before].points < case.points
    assert all(a.points < b.points for a, b in pairwise(CASES[f"qg-{points}"] for points in (64, 128, 256)))


# Tables


def measured() -> dict:
    """Two of our schemes and one of a peer's: the cheapest differs between the tolerances."""
    costs = {
        "thermalize ETDRK4": {"processor": 4e-3, "wall": 9.0},
        "thermalize ETDAB3": {"processor": 1e-3, "wall": 9.0},
        "exponax ETDRK4": {"processor": 8e-3, "wall": 9.0},
        "transforms": {"processor": 6e-4, "wall": 9.0},
    }
    errors = {
        "thermalize ETDRK4": {"10": 9e-4, "20": 1e-5},
        "thermalize ETDAB3": {"30": 9e-4, "300": 1e-5},
        "exponax ETDRK4": {"10": 9e-4, "20": 2e-5},
    }
    entry = {"tolerances": [1e-3, 1e-5], "errors": errors, "batches": {"1": costs, "8": costs}}
    case = {"window": 0.5, "unit": ["time unit", 1.0], "types": {"float64": entry}}
    return {"machine": {"torch": "2.0"}, "cases": {"kolmogorov-64": case}}


def test_the_cheapest_way_to_a_tolerance_is_taken():
    case = measured()["cases"]["kolmogorov-64"]
    assert cheapest(case, "float64", "1", 1e-3, "thermalize") == ("ETDAB3", 30, pytest.approx(0.06))
    assert cheapest(case, "float64", "1", 1e-5, "thermalize") == ("ETDRK4", 20, pytest.approx(0.16))
    assert cheapest(case, "float64", "1", 1e-5, "exponax") == ("", 0, inf)


def test_tables_hold_ratios_times_and_what_was_not_reached():
    text = tables(measured())
    assert "| kolmogorov-64 | float64 | 1e-03 | ETDAB3 (0.0167) | ETDRK4 (0.05) | 60 : 160 | 2.7 | 2.7 |" in text
    assert "| kolmogorov-64 | float64 | 1e-05 | ETDRK4 (0.025) | not reached | 160 : – | – | – |" in text
    assert "| kolmogorov-64 | float64 | 8 | 4 | 1 | 8 | 60 % |" in text
    assert "torch 2.0" in text


def test_only_the_generated_part_of_the_page_changes():
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert page(text, "new") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    assert page(page(text, "new"), "new") == page(text, "new")


def test_the_page_has_its_markers():
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert text.index(BEGIN) < text.index("### Time to a given error") < text.index(END)


# The whole benchmark


def test_our_solvers_run_on_a_quick_case():
    case = quick(CASES["qg-64"])
    assert case.points == 16
    fields = np.random.default_rng(0).standard_normal((2, 2, 16, 16)) * 1e-6
    for solver in OURS:
        run = solver.start(case, fields, 3600.0, "float32")
        run.advance(5)
        assert run.fields().shape == fields.shape
        assert torch.isfinite(torch.from_numpy(run.fields())).all()


@pytest.mark.peers
def test_the_table_is_complete(tmp_path: Path):
    (tmp_path / "page.md").write_text(f"{BEGIN}\n{END}\n", encoding="utf-8")
    names = ["kolmogorov-64", "qg-64", "ks-22"]
    command = [sys.executable, "-m", "benchmarks.solvers", "--quick", "--rounds", "1", "--cases", *names]
    command += ["--output", str(tmp_path / "numbers.json"), "--page", str(tmp_path / "page.md")]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    found = json.loads((tmp_path / "numbers.json").read_text(encoding="utf-8"))
    peers = {"kolmogorov-64": {"exponax", "jax-cfd"}, "qg-64": {"pyqg-jax"}, "ks-22": {"exponax"}}
    rows = [line for line in (tmp_path / "page.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    for name, packages in peers.items():
        for dtype, entry in found["cases"][name]["types"].items():
            assert {solver.split()[0] for solver in entry["errors"]} == {"thermalize", *packages}
            for costs in entry["batches"].values():
                assert all(costs[solver]["processor"] > 0 for solver in entry["errors"])
            of_type = [row for row in rows if row.startswith(f"| {name} | {dtype} | 1e-")]
            assert len(of_type) == 2 * len(packages)
    assert {one["batch"] for one in found["steps"]} == {1, 8}
