"""What the jobs of an experiment asked for, and what they took.

    python -m benchmarks.memory logs/demo --write    after snakemake has run the experiment

Both are in Snakemake's benchmark files, which the default profile has written with `benchmark-extended`; the peak is
`max_rss`, of all processes of a job together, sampled when it begins and every half a minute.
"""

from __future__ import annotations

import argparse
from ast import literal_eval
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks.report import table

__all__ = ["Job", "jobs", "main"]

PAGE = Path(__file__).parents[1] / "docs" / "workflow.md"
BEGIN, END = (f"<!-- memory: {word} -->" for word in ("begin", "end"))


@dataclass(frozen=True)
class Job:
    """A rule and its wildcards, the memory it asked for and its peak [MB]."""

    name: str
    asked: int
    peak: float


def jobs(logs: Path) -> Iterator[Job]:
    """Those with a benchmark file below `logs`, the same job once, by rule."""
    found = {}
    for path in sorted(logs.rglob("*.benchmark.tsv")):
        row = pd.read_csv(path, sep="\t").iloc[-1]
        wildcards = " ".join(map(str, literal_eval(row["wildcards"]).values()))
        name = f"{row['rule_name']} {wildcards}".strip()
        found[name] = Job(name, literal_eval(row["resources"])["mem_mb"], float(row["max_rss"]))
    return iter(sorted(found.values(), key=lambda job: job.name))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", type=Path, help="folder of the logs of an experiment")
    parser.add_argument("--write", action="store_true", help=f"put the table into docs/{PAGE.name}")
    options = parser.parse_args(arguments)
    found = list(jobs(options.logs))
    if not found:
        parser.error(f"there are no benchmark files below {options.logs}; run the experiment first")
    rows = [[job.name, f"{job.asked:,}", f"{job.peak:,.0f}", f"{job.asked / job.peak:.1f}"] for job in found]
    text = table(["job", "asked for [MB]", "peak [MB]", "ratio"], rows)
    print(text)
    if options.write:
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
