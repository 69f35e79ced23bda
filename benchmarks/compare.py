"""All measurements on one thread; `benchmarks.solvers` starts it with the right environment.

For a case and a type: errors for falling steps, then the time per step of every solver, interleaved. The cost at a
tolerance is the time per step times the steps that the tolerance takes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.cases import CASES, Case, dealiased, initial, members, quick, stable_dt, system, with_points
from benchmarks.errors import TOLERANCES, accuracies
from benchmarks.machine import describe
from benchmarks.ours import OURS, transforms
from benchmarks.running import Run
from benchmarks.timing import Cost, interleaved

__all__ = ["compare", "main", "steps_alone"]

TABLE_POINTS = (64, 128, 256, 512)
WORK = 2.0e5
"""Grid points times steps in one call of a timing round, so that a call is long against the clock's resolution."""


def compare(case: Case, dtypes: tuple[str, ...], rounds: int) -> dict[str, Any]:
    """Errors, times per step and their shares inside transforms, for the JSON file."""
    from benchmarks.peers import PEERS  # noqa: PLC0415  the peers are not needed for `--only-ours`

    solvers = (*OURS, *PEERS[case.config.kind])
    found: dict[str, Any] = {"window": case.window, "unit": case.unit, "types": {}}
    errors = accuracies(case, solvers, dtypes)
    for dtype in dtypes:
        entry: dict[str, Any] = {"tolerances": TOLERANCES[dtype], "batches": {}, "errors": {}}
        for solver in solvers:
            entry["errors"][solver.name] = errors[solver.name, dtype].errors
        for batch in case.batches:
            costs = _times(case, solvers, batch, dtype, rounds)
            entry["batches"][batch] = {name: vars(cost) for name, cost in costs.items()}
        found["types"][dtype] = entry
    return found


def _times(case: Case, solvers: tuple[Any, ...], batch: int, dtype: str, rounds: int) -> dict[str, Cost]:
    """Seconds per step and member."""
    start = initial(case)
    dt, fields = 0.2 * stable_dt(case, start, "etdab3"), members(start, batch)
    steps = max(2, int(WORK / (start.shape[-1] ** (start.ndim - 1) * batch)))
    work = {}
    for solver in solvers:
        run = solver.start(case, fields, dt, dtype)
        run.advance(4)  # multi-step schemes have their past
        work[solver.name] = (lambda run=run: run.advance(steps), steps * batch)
    if case.config.kind != "ks":
        work["transforms"] = transforms(case, batch, dtype)
    return interleaved(work, rounds)


def steps_alone(cases: tuple[Case, ...], rounds: int) -> list[dict[str, Any]]:
    """Our times per step on grids up to 512 points, the filter of QG included."""
    found = []
    for case in cases:
        for dtype in TOLERANCES:
            for batch in (1, 8):
                found.append({"case": case.name, "points": case.points, "dtype": dtype, "batch": batch})
                found[-1]["seconds"] = _ours_alone(case, batch, dtype, rounds)
    return found


def _ours_alone(case: Case, batch: int, dtype: str, rounds: int) -> dict[str, float]:
    solver = system(case, getattr(torch, dtype), filtered=True)
    rng = np.random.default_rng(0)
    fields = np.stack([solver.initial_condition(rng).numpy() for _ in range(batch)])
    dt, steps = 0.2 * stable_dt(case, fields[0].astype(float), "etdab3"), max(1, int(WORK / (case.points**2 * batch)))
    work = {}
    for ours in OURS:
        run = Run(solver, ours.scheme, fields, dt)
        run.advance(4)
        work[ours.scheme] = (lambda run=run: run.advance(steps), steps * batch)
    return {name: cost.processor for name, cost in interleaved(work, rounds).items()}


def main() -> None:
    """Measures, and writes the JSON file after every case."""
    options = _options()
    torch.set_num_threads(1)
    found = json.loads(options.output.read_text()) if options.output.exists() else {"cases": {}}
    found["machine"] = describe()
    for name in options.cases:
        print(f"{name} …", flush=True)
        case = quick(CASES[name]) if options.quick else CASES[name]
        found["cases"][name] = compare(case, tuple(TOLERANCES), options.rounds)
        options.output.write_text(json.dumps(found, indent=1))
    if options.steps:
        print("times per step …", flush=True)
        sizes = (16,) if options.quick else TABLE_POINTS
        flows = (CASES["kolmogorov-64"], dealiased(CASES["qg-64"]))
        found["steps"] = steps_alone(
            tuple(with_points(case, points) for case in flows for points in sizes), options.rounds
        )
        options.output.write_text(json.dumps(found, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--cases", nargs="*", default=list(CASES))
    parser.add_argument("--rounds", type=int, default=7, help="times that each timing is taken, after a warm-up")
    parser.add_argument("--quick", action="store_true", help="tiny grids, only to see that everything runs")
    parser.add_argument(
        "--steps", action=argparse.BooleanOptionalAction, default=True, help="our times per step to 512²"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
