"""Leases: each GPU serves one job at a time, and a job whose device was chosen for it takes none.

The processes are real, and so are the GPUs where there are any; on a CPU, a command in place of `nvidia-smi` lists one.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from gpu.report import Row, judged, measured, not_run
from gpu.running import Check
from thermalize.runtime import leases

__all__ = ["rows"]

CHILD = """
import os, sys
from pathlib import Path
from thermalize.runtime import leases
leases.FOLDER, leases.PAUSE = Path(sys.argv[1]), 0.05
leases.lease(len(leases.devices()))
count = ""
if sys.argv[2] == "cuda":
    import torch
    torch.zeros(1, device="cuda")
    count = torch.cuda.device_count()
print(os.environ.get("CUDA_VISIBLE_DEVICES"), count, flush=True)
sys.stdin.read()
"""
START, PATIENCE, MOMENT = 30.0, 8.0, 1.0
"""Seconds for a process to import torch and start CUDA, for one to speak, and to see that one does not speak."""


def rows(check: Check) -> Iterator[Row]:
    environment = _environment(check)
    present = leases.devices() if check.cuda else ["GPU-pretended"]
    if not present:
        yield not_run("leases", "nvidia-smi lists no GPU")
        return
    yield measured("GPUs that nvidia-smi lists", len(present))
    with _process(check, environment) as first:
        told = _line(first.stdout, START).split()
        mine = told[0] if told else "nothing"
        reason = f"all {len(present)} of this machine, by their identifiers"
        yield judged(
            "CUDA_VISIBLE_DEVICES of a process that leased", sorted(mine.split(",")) == sorted(present), reason
        )
        if check.cuda:
            yield judged("GPUs that CUDA then has", told[1:] == [str(len(present))], "as many", " ".join(told[1:]))
        with _process(check, environment, touch=False) as second:
            said, early = _line(second.stderr, PATIENCE), _line(second.stdout, MOMENT)
            waits = said.startswith("Waiting for") and not early
            yield judged("a second process waits", waits, said or early or "it says nothing")
            first.kill()
            later = _line(second.stdout, PATIENCE).split()
            yield judged("and has the GPU when the first is killed", later[:1] == [mine], "the same identifiers")
            with _process(check, {**environment, leases.VISIBLE: "0"}, touch=False) as third:
                chosen = _line(third.stdout, PATIENCE).split()
                reason = "CUDA_VISIBLE_DEVICES=0 stays, nothing is waited for"
                yield judged("a process that was told its device takes none", chosen[:1] == ["0"], reason)


def _environment(check: Check) -> dict[str, str]:
    """As on a workstation: nothing says which device is meant."""
    hidden = (leases.VISIBLE, "TORCHELASTIC_RUN_ID")
    environment = {name: value for name, value in check.environment().items() if name not in hidden}
    if not check.cuda:
        folder = check.folder / "bin"
        folder.mkdir(exist_ok=True)
        listing = folder / "nvidia-smi"
        listing.write_text("#!/bin/sh\necho GPU-pretended\n")
        listing.chmod(0o755)
        environment["PATH"] = f"{folder}{os.pathsep}{environment.get('PATH', os.defpath)}"
    return environment


@contextmanager
def _process(check: Check, environment: dict[str, str], touch: bool = True) -> Iterator[subprocess.Popen[str]]:
    """A process that leases every GPU and keeps them; with `touch` it also uses one."""
    kind = check.device.type if touch else "cpu"
    command = [sys.executable, "-c", CHILD, str(Path(check.folder) / "leases"), kind]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, text=True, env=environment, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def _line(stream: IO[str] | None, seconds: float) -> str:
    """The next line that a process writes, or nothing where it writes none in time."""
    assert stream
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        return stream.readline().strip() if selector.select(seconds) else ""
