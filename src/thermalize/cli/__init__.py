"""The command ``thermalize``: one subcommand per stage. A stage reads files, writes files, and needs no Snakemake.

options  what commands are told
making   commands that make results
asking   commands that say what there is
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from thermalize.cli import asking, making
from thermalize.runtime.errors import UserError, printable
from thermalize.runtime.files import refused
from thermalize.runtime.terminal import any_terminal
from thermalize.workflow.job import SETTINGS

__all__ = ["app", "main"]

app = typer.Typer(
    name="thermalize",
    help="Long, stable rollouts of neural emulators: simulate, train, thermalize, diagnose.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(making.app)
app.add_typer(asking.app)


@app.callback()
def common(
    settings: Annotated[
        str | None, typer.Option("--settings", help="fingerprint of the settings that the workflow planned a job with")
    ] = None,
) -> None:
    """Long, stable rollouts of neural emulators: simulate, train, thermalize, diagnose."""
    SETTINGS.set(settings)


def main() -> None:
    """Run the command; an error that the user can mend is one sentence and exit status 2.

    So is whatever the disk refuses, wherever a command meets it.
    """
    any_terminal()
    try:
        app()
    except UserError as error:
        sentence = str(error)
    except OSError as error:
        sentence = refused(error)
    if os.environ.get("RANK", "0") == "0":  # of the processes of torchrun one speaks
        print(f"Error: {printable(sentence)}", file=sys.stderr)
    sys.exit(2)
