"""Solvers: tendencies and short trajectories on the device against the CPU, and steps per second.

Round-off grows in a chaotic system, so how far two trajectories may be apart is measured: not further than one whose
start was changed a little.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from gpu.report import Row, compared, measured
from gpu.running import CPU, Check, difference
from gpu.sizes import Flow
from thermalize.runtime.streams import stream
from thermalize.systems import Timing, build, frames, stepper

__all__ = ["rows"]

CHANGES = {torch.float64: 1e-11, torch.float32: 1e-4}
"""Relative change of the start of the trajectory that says how far round-off may lead."""
SAFETY = 4.0
TIMED_STEPS = 10


def rows(check: Check) -> Iterator[Row]:
    for flow in check.size.flows:
        start = build(flow.system).initial_condition(stream(0, "gpu", flow.label))[None]
        yield from _tendencies(check, flow, start)
        yield from _trajectories(check, flow, start)
        yield from _speed(check, flow, start)


def _tendencies(check: Check, flow: Flow, start: Tensor) -> Iterator[Row]:
    exact = build(flow.system).tendency(start)
    found = {
        (dtype, device): build(flow.system, dtype, device).tendency(start.to(device, dtype))
        for dtype in CHANGES
        for device in (CPU, check.device)
    }
    double = difference(check.fetch(found[torch.float64, check.device]), exact)
    yield compared(f"{flow.label}: tendency, float64", double, 1e-10, "round-off in double precision")
    single = difference(check.fetch(found[torch.float32, check.device]), exact)
    same = difference(found[torch.float32, CPU].double(), exact)
    yield compared(f"{flow.label}: tendency, float32", single, SAFETY * same + 1e-6, "4 times the CPU's own error")


def _trajectories(check: Check, flow: Flow, start: Tensor) -> Iterator[Row]:
    for dtype, change in CHANGES.items():
        expected = _end(flow, start, dtype, CPU)
        noise = torch.from_numpy(np.random.default_rng(0).standard_normal(start.shape)) * start.std()
        reach = difference(_end(flow, start + change * noise, dtype, CPU).double(), expected.double())
        found = difference(check.fetch(_end(flow, start, dtype, check.device)), expected.double())
        name = str(dtype).removeprefix("torch.")
        reason = f"how far a change of {change:g} of the start leads in {flow.steps} steps"
        yield compared(f"{flow.label}: trajectory, {name}", found, reach, reason)


def _end(flow: Flow, start: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    timing = Timing(flow.dt, flow.steps, 2, stepper=flow.stepper)
    *_, last = frames(build(flow.system, dtype, device), start, timing)
    return last


def _speed(check: Check, flow: Flow, start: Tensor) -> Iterator[Row]:
    """Of one member, as for a test run, and of a block of members, as in an ensemble."""
    for device in dict.fromkeys((CPU, check.device)):
        for members in (1, check.size.block) if device == check.device else (1,):
            system = build(flow.system, torch.float32, device)
            advance = stepper(flow.stepper, system, flow.dt)
            state = system.to_spectral(start.float().to(device).expand(members, *start.shape[1:]).contiguous())

            def work(state: Tensor = state, advance: object = advance) -> None:
                for _ in range(TIMED_STEPS):
                    state = advance.step(state)  # type: ignore[attr-defined]

            check.forget()
            with torch.no_grad():
                seconds = check.seconds(work, repeats=3) / TIMED_STEPS
            label = f"{flow.label}: float32, {members} member(s) on {device.type}"
            yield measured(label, members / seconds, "steps/s")
    yield check.memory(f"{flow.label}: memory of {check.size.block} members")
