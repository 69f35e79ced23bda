"""What makes Snakemake make results again: a file for each, which its rule has as input.

.snakemake/thermalize/{name}/{step}/….due    of a result that is current empty and older than anything; of another
                                             new, with why it is made again
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from thermalize.runtime.files import explaining, remove
from thermalize.store.fingerprint import keep, remember
from thermalize.workflow.plan import NEVER, Plan, Status

__all__ = ["MARKS", "SOURCES", "due_of", "mark"]

MARKS = Path(".snakemake") / "thermalize"
"""Folder of what Snakemake is told, below the one that it runs in."""
SOURCES = ".sources.json"
"""Time of change of what is to be older than any result [s since 1970]."""
LONG_AGO = 1


@cache
def due_of(folder: Path, step: str, *key: str) -> Path:
    """Which file below a folder says whether a result is to be made; wildcards may stand in braces."""
    return folder / step / f"{'/'.join(key) or step}.due"


def mark(plan: Plan, folder: Path) -> None:
    """Write the marks of all results of a plan below `folder`, where they do not stand there already.

    That of a result which is not current holds what it never held before, so that the result is made again whichever
    target asks for it; but for one that was never made, of which nothing is there, it is enough that there is one.
    """
    remember(folder.parent / SOURCES)
    marks = {due_of(folder, status.result.step, *status.result.key): status for status in plan.results()}
    new = {path: status for path, status in marks.items() if not _is_marked(plan, status, path)}
    for above in {path.parent for path in new}:
        with explaining(above):
            above.mkdir(parents=True, exist_ok=True)
    for path, status in new.items():
        with explaining(path):
            remove(path)  # whatever waits there, a link above all, is not to be written through
            path.write_text("" if status.current else f"{time.time_ns()}: {'; '.join(status.faults)}\n")
            now = max([time.time(), *(each.stat().st_mtime + 1 for each in _there(plan, status))])
            os.utime(path, (LONG_AGO if status.current else now,) * 2)
    keep(folder.parent / SOURCES)


def _is_marked(plan: Plan, status: Status, path: Path) -> bool:
    """Whether what Snakemake is told of a result stands there already."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    if status.current:
        return found.st_mtime == LONG_AGO
    said = stat.S_ISREG(found.st_mode) and found.st_size > 0
    return said and status.faults == (NEVER,) and not any(_there(plan, status))


def _there(plan: Plan, status: Status) -> Iterator[Path]:
    """What there is of a result."""
    paths = [*map(Path, plan.outputs(status.result)), plan.record(status.result)]
    return (path for path in paths if path.exists())
