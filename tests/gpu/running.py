"""What every part works with, and how parts run one after another within the time that there is.

A part is a generator of rows, so that what it found stays where it fails or runs out of time.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from statistics import median
from time import monotonic, perf_counter
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from gpu.report import Row, failed, not_run
from gpu.sizes import Size

__all__ = ["CPU", "Check", "Clock", "OutOfTime", "Part", "difference", "run"]

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
SLACK = 5.0
"""Seconds kept for the table."""


class Clock:
    """The seconds that are left of all that may be spent, from the start of the check on."""

    def __init__(self, seconds: float, now: Callable[[], float] = monotonic) -> None:
        self._now, self._end = now, now() + seconds

    @property
    def left(self) -> float:
        return self._end - self._now()


class OutOfTime(Exception):
    """A part took longer than it may."""


@dataclass
class Check:
    """What is looked at.

    Attributes:
        device: that is compared with the CPU.
        size: of everything.
        clock: the time that is left.
        folder: for files.
        missing: libraries of the package that this Python lacks.
        packages: folders with further libraries.
        kept: what one part has made and another may use.
    """

    device: torch.device
    size: Size
    clock: Clock
    folder: Path
    missing: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    kept: dict[str, Any] = field(default_factory=dict)

    @property
    def cuda(self) -> bool:
        return self.device.type == "cuda"

    def fetch(self, x: Tensor) -> Tensor:
        """A result of the device as the comparison sees it: on the CPU, in double precision."""
        x = x.detach().cpu()
        return x.to(torch.complex128 if x.is_complex() else torch.float64)

    def environment(self, **more: str) -> dict[str, str]:
        """Of a process that is to find what this one finds."""
        paths = [str(ROOT / "src"), *self.packages, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        modules = os.pathsep.join(path for path in paths if path)
        return {**os.environ, "PYTHONPATH": modules, **more}

    def synchronize(self) -> None:
        if self.cuda:
            torch.cuda.synchronize(self.device)

    def seconds(self, work: Callable[[], Any], repeats: int = 5, warm: int = 1) -> float:
        """Median time of `work`, until the device has finished it."""
        times = []
        for repeat in range(-warm, repeats):
            self.synchronize()
            began = perf_counter()
            work()
            self.synchronize()
            if repeat >= 0:
                times.append(perf_counter() - began)
        return median(times)

    def forget(self) -> None:
        """Begin to look for the largest memory anew."""
        if self.cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)

    def memory(self, what: str) -> Row:
        """The most memory that tensors had on the GPU since `forget`."""
        if not self.cuda:
            return not_run(what, "the device is a CPU")
        return Row("", what, torch.cuda.max_memory_allocated(self.device) / 1e9, "GB")


def difference(found: Tensor, expected: Tensor) -> float:
    """‖found − expected‖ / ‖expected‖; infinite where something is not finite."""
    if not (bool(torch.isfinite(found).all()) and bool(torch.isfinite(expected).all())):
        return float("inf")
    return float((found - expected).norm() / expected.norm().clamp(min=1e-300))


@dataclass(frozen=True)
class Part:
    """A part of the check.

    Attributes:
        name: in the table.
        module: of this package, whose `rows` finds them; imported when the part begins.
        limit: most seconds that it may take.
        least: seconds below which it is not begun, because it would not end.
    """

    name: str
    module: str
    limit: float
    least: float = 0.0


def run(parts: list[Part], check: Check, found: list[Row], keep: Callable[[list[Row]], None]) -> None:
    """Adds the rows of all parts in turn; a part that cannot run, fails or is stopped is a row that says so.

    After every part `keep` is called with what was found so far, in case that the process does not survive the next.
    """
    for part in parts:
        began = monotonic()
        print(f"gpu-check: {part.name} ({check.clock.left:.0f} s left)", file=sys.stderr, flush=True)
        found += (replace(row, part=part.name) for row in _rows(part, check))
        found.append(Row(part.name, "time of this part", monotonic() - began, "s"))
        keep(found)


def _rows(part: Part, check: Check) -> Iterator[Row]:
    left = check.clock.left - SLACK
    if left < part.least:
        yield not_run("this part", f"{max(0.0, left):.0f} s are left, and it takes about {part.least:.0f} s")
        return
    limit = min(part.limit, left)
    try:
        with _limited(limit):
            yield from import_module(f"gpu.{part.module}").rows(check)
    except OutOfTime:
        yield not_run("the rest of this part", f"it was stopped after {limit:.0f} s")
    except ModuleNotFoundError as error:
        yield not_run("this part", f"this Python lacks {error.name}")
    except Exception as error:  # whatever it is, the other parts are worth having
        traceback.print_exc()
        yield failed("this part", f"{type(error).__name__}: {str(error)[:300]}")


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raises OutOfTime in what runs longer; a call into the GPU is let finish."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, stop)
    running = signal.setitimer(signal.ITIMER_REAL, max(0.01, seconds))
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *running)
