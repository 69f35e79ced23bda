"""Progress of long work: a bar on a terminal, sparse lines with rate and remaining time in a log file."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

__all__ = ["track", "track_blocks"]

FIRST_LINE_AFTER = 2.0
SECONDS_BETWEEN_LINES = 20.0


class track:
    """Context manager that counts units of work: ``with track(1000, "training") as bar: bar.update()``."""

    def __init__(self, total: int, desc: str, initial: int = 0, unit: str = "step", show: bool = True) -> None:
        terminal = sys.stderr.isatty()
        hidden = not (terminal and show)
        self._bar = tqdm(total=total, desc=desc, initial=initial, unit=unit, disable=hidden, dynamic_ncols=True)
        self._lines = show and not terminal
        self._total, self._desc, self._unit = total, desc, unit
        self._initial = self._done = initial
        self._note: dict[str, Any] = {}
        self._started = time.monotonic()
        self._next_line = self._started + FIRST_LINE_AFTER

    def update(self, n: int = 1) -> None:
        self._done += n
        self._bar.update(n)
        if self._lines and time.monotonic() >= self._next_line:
            self._print()

    def note(self, **values: Any) -> None:
        """Values shown beside the count, such as the current loss."""
        self._note = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in values.items()}
        self._bar.set_postfix(self._note, refresh=False)

    def _restart(self) -> None:
        """Measure the rate from here on, not over the time in which workers started."""
        self._initial, self._started = self._done, time.monotonic()
        self._next_line = self._started + FIRST_LINE_AFTER
        self._bar.unpause()

    def _print(self) -> None:
        self._next_line = time.monotonic() + SECONDS_BETWEEN_LINES
        meter = tqdm.format_meter(
            self._done,
            self._total,
            time.monotonic() - self._started,
            prefix=self._desc,
            unit=self._unit,
            initial=self._initial,
            bar_format="{desc}: {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]",
            postfix=", ".join(f"{key}={value}" for key, value in self._note.items()),
        )
        print(meter, file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, where: TracebackType | None
    ) -> None:
        self._bar.close()
        if self._lines and kind is None:
            self._print()


class track_blocks(track):
    """The same for blocks that are worked on side by side: ``bar.reach(block, steps)`` says how far a block is.

    Args:
        count: number of blocks.
        size: steps in each.
        desc: what is done.
        done: blocks that were finished before.
    """

    def __init__(self, count: int, size: int, desc: str, done: int = 0) -> None:
        super().__init__(count * size, desc, initial=done * size, unit="step")
        self._count, self._size, self._finished = count, size, done
        self._reached: dict[int, int] = {}
        self._lock = threading.Lock()
        self.note(blocks=f"{done}/{count}")

    def reach(self, block: int, steps: int) -> None:
        """A block is that far, or farther, where it was said before; in any order and from any thread."""
        with self._lock:
            before = self._reached.get(block, 0)
            if not self._reached and steps < self._size:
                self._restart()
            if steps > before:
                self._reached[block] = steps
                self.update(steps - before)

    def finish(self, block: int) -> None:
        """A block is done."""
        self._finished += 1
        self.note(blocks=f"{self._finished}/{self._count}")
        self.reach(block, self._size)
