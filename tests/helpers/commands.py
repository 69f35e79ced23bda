"""Every command of the command line, run in this process; a new command is found by itself and needs its words here."""

from __future__ import annotations

import io
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import typer
from workflow_run import TINY

from thermalize.cli import app, main

COMMAND = typer.main.get_command(app)
NAMES = sorted(COMMAND.commands)
WORDS = {
    "--split": "test",
    "--emulator": "small",
    "--diffusion": "small",
    "--stabilizer": "thermalized",
    "--name": "spectra",
}
WRITING = sorted(set(NAMES) - {"doctor", "schema", "show", "verify", "why"})
"""Commands that write below `--results`."""


@dataclass(frozen=True)
class Said:
    """How a command ended and what it printed."""

    status: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """What a command that failed printed: one line, beside those on progress and warnings of libraries."""
        lines = [line for line in self.err.splitlines() if line.startswith("Error: ")]
        assert self.status == 2, self
        assert len(lines) == 1, self
        assert "Traceback" not in self.err + self.out, self
        return lines[0]


def arguments(name: str, results: Path, config: Path = TINY) -> list[str]:
    """A command on the experiment `tiny` below the folder `results`."""
    found, folder = [name], results / "tiny"
    files = {"config": [config], "configs": [config], "table": [folder / "tables" / "summary.csv"], "paths": [folder]}
    files["results"] = [folder]
    for parameter in COMMAND.commands[name].params:
        option = parameter.opts[0]
        if parameter.param_type_name == "argument":
            found += map(str, files[parameter.name])
        elif parameter.required or option in WORDS:
            found += [option, WORDS[option]]
        elif option == "--results":
            found += [option, str(results)]
        elif option == "--workers":
            found += [option, "1"]
    return found


def run(*words: str | Path, encoding: str = "utf-8") -> Said:
    """The command `thermalize` with these words; an error that it does not explain is raised."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding, write_through=True) for _ in range(2))
    threads, deterministic = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    status: object = 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["thermalize", *map(str, words)])
        patch.setattr(typer.main, "get_command", lambda _: COMMAND)
        try:
            main()
        except SystemExit as done:
            status = done.code or 0
        finally:
            torch.set_num_threads(threads)
            torch.set_deterministic_debug_mode(deterministic)
    assert isinstance(status, int), status
    said = [stream.buffer.getvalue().decode(encoding) for stream in (out, err)]
    return Said(status, *said)


@contextmanager
def limited(kind: int, most: int) -> Iterator[None]:
    """A limit of the system on this process, such as RLIMIT_FSIZE, for a while."""
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)
