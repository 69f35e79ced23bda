"""What commands are told: a configuration, which result, with how much."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from thermalize.runtime.errors import UserError

__all__ = [
    "RESULTS",
    "Config",
    "DiffusionName",
    "EmulatorName",
    "Gpus",
    "Root",
    "Seed",
    "StabilizerName",
    "Threads",
]

MOST_THREADS = 4096
"""As many as the largest machines have cores; PyTorch begins them all at once."""


def _folder(text: str) -> Path:
    """A folder that was named; an empty name would be the working folder."""
    if not str(text):
        raise UserError("--results is empty; name a folder, such as results, or write . for the working folder")
    return Path(text)


Config = Annotated[Path, typer.Argument(help="configuration of the experiment (YAML)")]
Root = Annotated[Path, typer.Option("--results", parser=_folder, metavar="PATH", help="folder of all results")]
EmulatorName = Annotated[str, typer.Option("--emulator", help="name under `emulators`")]
DiffusionName = Annotated[str, typer.Option("--diffusion", help="name under `diffusion`")]
StabilizerName = Annotated[
    str, typer.Option("--stabilizer", help="name under `rollouts.stabilizers`, or of a point of a sweep")
]
Seed = Annotated[int, typer.Option("--seed", help="one of `seeds`")]
Threads = Annotated[int, typer.Option("--threads", min=1, max=MOST_THREADS, help="CPU threads of the networks")]
Gpus = Annotated[int | None, typer.Option("--gpus", min=0, help="GPUs that the scheduler granted")]
RESULTS = Path("results")
