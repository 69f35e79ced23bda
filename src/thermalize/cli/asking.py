"""Commands that say what there is: results, whether they are whole and of today, this machine, the schema."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from thermalize.cli.options import RESULTS, Root
from thermalize.config.load import load_experiment, schema_text
from thermalize.runtime.errors import printable

__all__ = ["app"]

app = typer.Typer()


@app.command()
def why(
    results: Annotated[list[Path], typer.Argument(help="results, or folders of them, below results/NAME")],
    config: Annotated[
        Path | None, typer.Option("--config", help="configuration instead of the one beside the results")
    ] = None,
) -> None:
    """Say which results are those of today's settings, inputs and code, and why the others are not."""
    from thermalize.workflow.why import say

    for line in say(results, config):
        print(printable(line))


@app.command()
def show(table: Annotated[Path, typer.Argument(help="a summary.csv or ablation.csv")]) -> None:
    """Print the summary table, or the table of the sweeps."""
    from thermalize.stages.artifacts import print_table

    print_table(table)


@app.command()
def verify(paths: Annotated[list[Path], typer.Argument(help="files or folders of the results")]) -> None:
    """Compare stores, models and all other results with their digests, and name every fault."""
    from thermalize.store.audit import audit

    faults = 0
    for path in paths:
        found = audit(path)
        for fault in found.faults:
            print(f"Error: {printable(fault)}", file=sys.stderr)
        print(printable(found.summary()))
        faults += len(found.faults)
    if faults:
        raise typer.Exit(2)


@app.command()
def doctor(
    configs: Annotated[
        list[Path] | None, typer.Argument(help="configurations; config.yaml and configs/*.yaml when left out")
    ] = None,
    root: Root = RESULTS,
) -> None:
    """Say in one page what this machine has and which configurations fit."""
    from thermalize.workflow.doctor import fit, page
    from thermalize.workflow.machine import look

    found = configs or [
        path for path in (Path("config.yaml"), *sorted(Path("configs").glob("*.yaml"))) if path.is_file()
    ]
    machine = look(root)
    print(page(machine, [fit(load_experiment(path), machine) for path in found]))


@app.command()
def schema() -> None:
    """Print the JSON schema of the configuration."""
    print(schema_text(), end="")
