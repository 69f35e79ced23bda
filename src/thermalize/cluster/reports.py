"""What a task says while it runs: `report(value)` within it reaches the process that asked for it, wherever it runs.

On a worker the values travel as events of a Dask topic, at most one a second; a worker that is killed may repeat some.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from distributed import get_worker

__all__ = ["Reporting", "report", "telling"]

Task = TypeVar("Task")
Tell = Callable[[Any], None]

SECONDS_BETWEEN_REPORTS = 1.0
_tell: ContextVar[Tell | None] = ContextVar("tell", default=None)


def report(value: Any) -> None:
    """Say something from within a task: numbers, text, lists and dictionaries of them; no one may be listening."""
    tell = _tell.get()
    if tell is not None:
        tell(value)


@contextmanager
def telling(tell: Tell | None) -> Iterator[None]:
    """Hand what is reported meanwhile to `tell`."""
    token = _tell.set(tell)
    try:
        yield
    finally:
        _tell.reset(token)


@dataclass(frozen=True)
class Reporting(Generic[Task]):
    """The function of a task whose reports become events of a topic; made here, called on a worker."""

    function: Callable[[Task], Any]
    topic: str

    def __call__(self, task: Task) -> Any:
        with telling(_sparsely(lambda value: get_worker().log_event(self.topic, value))):
            return self.function(task)


def _sparsely(tell: Tell) -> Tell:
    next_time = 0.0

    def tell_sometimes(value: Any) -> None:
        nonlocal next_time
        if time.monotonic() >= next_time:
            next_time = time.monotonic() + SECONDS_BETWEEN_REPORTS
            tell(value)

    return tell_sometimes
