"""A Python that is warm: `python -m thermalize …` and `python -m snakemake …` without the seconds that imports take.

One process imports what they need and waits. The executable that `python()` gives hands it its arguments, folder,
environment and open streams. A process is forked for them: the executable ends with its status, and it is killed where
the executable is. With any other arguments the executable is the Python of the tests.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import pkgutil
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from functools import cache, partial
from importlib import import_module
from pathlib import Path

__all__ = ["python"]

Request = tuple[list[str], str, dict[str, str]]
"""The name of a module and its arguments, the working folder, the environment."""

# Isolated and without `site` it starts within some hundredths of a second.
EXECUTABLE = """#!{python} -IS
import json, os, signal, socket, sys
words = sys.argv[2:] if sys.argv[1:2] == ["-u"] else sys.argv[1:]  # torchrun asks for it
if words[:1] != ["-m"] or words[1] not in ("snakemake", "thermalize"):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
request = json.dumps((words[1:], os.getcwd(), dict(os.environ))).encode()
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [len(request).to_bytes(8, "big")], [0, 1, 2])
    server.sendall(request)
    status = int(server.recv(8) or -signal.SIGKILL)
if status < 0:
    os.kill(os.getpid(), -status)
os._exit(abs(status))
"""


@cache
def python(source: Path | None = None) -> Path:
    """The executable, of the package below `source` if that is given; the process that waits ends with this one."""
    # Not in a folder of pytest's: the address of a socket has at most a hundred bytes.
    folder = Path(tempfile.mkdtemp(prefix="warm"))
    address, executable = str(folder / "socket"), folder / "python"
    command = [sys.executable, __file__, address]
    settings = {**os.environ, **({"PYTHONPATH": str(source)} if source else {})}
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    server = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nothing, env=settings)
    atexit.register(server.communicate)  # which ends it
    assert server.stdout
    assert server.stdout.readline() == b"warm\n"
    executable.write_text(EXECUTABLE.format(python=sys.executable, address=address))
    executable.chmod(0o755)
    return executable


def main(address: str) -> int:
    """Imports everything, then waits for requests; returns the status of one in the process that is forked for it."""
    import smart_open  # noqa: F401
    import snakemake.cli

    import thermalize
    from thermalize.stages import cost
    from thermalize.store.fingerprint import digest_of, modules
    from thermalize.workflow.steps import STEPS

    snakemake.cli.get_argument_parser()  # imports the plugins
    for found in pkgutil.walk_packages(thermalize.__path__, "thermalize."):
        if not found.name.endswith("__main__"):
            import_module(found.name)
    import_late()
    for name in {each for step in STEPS.values() for each in modules(step.stage)}:
        digest_of(name)
    os.fsync = lambda _: None  # no test cuts the power
    cost.STEPS, cost.REPEATS = 2, 2  # nor believes a time
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        print("warm", flush=True)
        os.dup2(2, 1)  # nobody waits for the end of what is forked
        request = next_request(listener)
    if request:
        return carry_out(*request)
    shutil.rmtree(Path(address).parent)
    return 0


def import_late() -> None:
    """What libraries import when they are first asked for something: a compiler, fonts, kinds of arrays and tables."""
    import dask.array  # noqa: F401
    import pandas.io.formats.style  # noqa: F401
    import torch
    from matplotlib.figure import Figure

    torch.optim.SGD([torch.zeros(1, requires_grad=True)]).step()
    figure = Figure()
    figure.text(0, 0, "σ")
    for kind in ("pdf", "png"):
        figure.savefig(os.devnull, format=kind)


def next_request(listener: socket.socket) -> Request | None:
    """What the process is to carry out that this one has become; None where the tests have ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a keeper ends
    while select.select([listener, sys.stdin], [], [])[0] == [listener]:
        client, _ = listener.accept()
        if not os.fork():
            return keep(client)
        client.close()
    return None


def keep(client: socket.socket) -> Request:
    """Forks the process that carries the request out, and stays to tell the client how it ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, streams, *_ = socket.recv_fds(client, 8, 3)
    with client.makefile("rb") as stream:
        request = stream.read(int.from_bytes(size, "big"))
    if not (child := os.fork()):
        os.setsid()
        for number, each in enumerate(streams):
            os.dup2(each, number)
            os.close(each)
        client.close()
        words, folder, environment = json.loads(request)
        return words, folder, environment
    threading.Thread(target=end_with, args=(client, child), daemon=True).start()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    client.sendall(str(status).encode())
    os._exit(0)


def end_with(client: socket.socket, child: int) -> None:
    """Kills the process and all that it has started when its client is gone."""
    client.recv(1)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)


def carry_out(words: list[str], folder: str, environment: dict[str, str]) -> int:
    """As `python -m` does; returns the status."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.stdin, sys.stdout, sys.stderr = map(partial(open, closefd=False), (0, 1, 2), "rww")
    sys.argv = words
    sys.path[:1] = [folder, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    try:
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    except SystemExit as done:
        if not isinstance(done.code, int | None):
            print(done.code, file=sys.stderr)
        return done.code if isinstance(done.code, int) else int(bool(done.code))
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    status = 0

    # The first that is registered is the last that is called.
    @atexit.register
    def leave() -> None:
        """Ends without the seconds in which an interpreter takes apart all that was imported."""
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

    status = main(sys.argv[1])
