"""The command of this process once more, in several processes of this machine."""

from __future__ import annotations

import sys

from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run

__all__ = ["torchrun"]


def torchrun(count: int) -> int:
    """Runs the command line of this process in `count` processes, one per visible GPU; returns its exit status.

    This process stays, and with it the GPUs that it has leased.
    """
    try:
        run(parse_args(["--standalone", "--nproc-per-node", str(count), "-m", "thermalize", *sys.argv[1:]]))
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        return failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode
    except SignalException as stopped:
        return 128 + stopped.sigval
    return 0
