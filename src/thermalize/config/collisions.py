"""Names of an experiment that would share a folder, or make too many of them.

Every emulator, diffusion model and stabilizer has files of its own name. Two names are one where a file system does not
tell capitals from small letters, and the name of a point of a sweep may be longer than a file system allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["LONGEST_LABEL", "MOST_ROLLOUTS", "MOST_STABILIZERS", "name_fault", "number_fault"]

LONGEST_LABEL = 200
MOST_STABILIZERS = 1000
MOST_ROLLOUTS = 100_000


def name_fault(groups: Mapping[str, Iterable[str]]) -> str | None:
    """What is wrong with the names of a group, by the key that they stand under."""
    for where, names in groups.items():
        seen: dict[str, str] = {}
        for name in names:
            if len(name) > LONGEST_LABEL:
                return f"{where}: the name {name[:40]}… has {len(name)} characters, at most {LONGEST_LABEL} fit"
            other = seen.setdefault(name.lower(), name)
            if other != name:
                return (
                    f"{where}: {other!r} and {name!r} differ in capital letters alone, and are one file where these do "
                    "not count; rename one of the two"
                )
    return None


def number_fault(emulators: int, stabilizers: int, seeds: int) -> str | None:
    """Whether there are more rollouts than a workflow can plan."""
    if emulators * stabilizers * seeds <= MOST_ROLLOUTS:
        return None
    return (
        f"emulators, stabilizers with points of sweeps, and seeds make {emulators} × {stabilizers} × {seeds} rollouts, "
        f"more than {MOST_ROLLOUTS}; spread them over several experiments"
    )
